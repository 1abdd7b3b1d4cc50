//go:build mpi && cgo && !mpiload

#define _GNU_SOURCE
#include "port.h"
#include "ulfm.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

typedef struct {
  rp_page *page; // NULL unless the bytes lie in it
  uint64_t token;
  int32_t peer, tag, kind;
  int64_t len;
} rp_pending;

// A receive that waits for a message, and the message until the poll after the one that reported it.
typedef struct {
  MPI_Request request;
  char *data;
} rp_slot;

struct rp_port {
  MPI_Comm comm;
  int tag, peers;
  int64_t eager, longest;

  // A ring. Of its receives, posted wait, and next is the one that is matched first: MPI matches in the order of posting.
  rp_slot *slots;
  char *room; // their memory
  int nslots, next, posted, closing;

  // Operations on their way: three arrays of the same length, as MPI_Testsome wants the requests side by side.
  MPI_Request *requests;
  rp_pending *pending;
  int *indices;
  MPI_Status *statuses;
  int n, cap;

  rp_event *events;
  int nev, maxev;

  char *arena;
  int64_t arena_used, arena_cap;

  unsigned char *lost; // given up
  unsigned char *dead; // the library has said so, and DEAD or TOLD tells whether it is reported
  int untold;          // some are not reported

  // Written from Go: something was queued, so a poll that spins shall come back for it.
  _Atomic int32_t kick;
};

enum { DEAD = 1, TOLD };

rp_port *rp_port_new(uintptr_t c, int tag, int64_t eager, int64_t arena, int maxev, int peers, int nslots,
                     int64_t longest) {
  rp_port *p = calloc(1, sizeof *p);
  if (!p) return NULL;
  p->comm = RP_COMM(c);
  p->tag = tag;
  p->eager = eager;
  p->longest = longest;
  p->peers = peers;
  p->maxev = maxev;
  p->events = malloc(sizeof *p->events * (size_t)maxev);
  p->lost = calloc((size_t)peers + 1, 1);
  p->dead = calloc((size_t)peers + 1, 1);
  if (nslots > 0) {
    p->slots = calloc((size_t)nslots, sizeof *p->slots);
    p->room = malloc((size_t)nslots * (size_t)longest);
  } else {
    p->arena = malloc((size_t)arena);
    p->arena_cap = arena;
  }
  if (!p->events || !p->lost || !p->dead || (nslots > 0 ? !p->slots || !p->room : !p->arena)) {
    rp_port_free(p);
    return NULL;
  }
  p->nslots = nslots;
  for (int i = 0; i < nslots; i++) p->slots[i].data = p->room + (size_t)i * (size_t)longest;
  return p;
}

void rp_port_free(rp_port *p) {
  free(p->requests);
  free(p->pending);
  free(p->indices);
  free(p->statuses);
  free(p->events);
  free(p->arena);
  free(p->slots);
  free(p->room);
  free(p->lost);
  free(p->dead);
  free(p);
}

rp_event *rp_port_events(rp_port *p) { return p->events; }
void *rp_port_kick(rp_port *p) { return (void *)&p->kick; }
int rp_port_posted(rp_port *p) { return p->posted; }

rp_page *rp_page_new(int64_t cap) {
  rp_page *g = malloc(sizeof *g + (size_t)cap);
  if (!g) return NULL;
  memset(g, 0, sizeof *g);
  g->cap = cap;
  return g;
}

void rp_page_free(rp_page *g) { free(g); }
void *rp_stage_new(int64_t len) { return malloc(len > 0 ? (size_t)len : 1); }
void rp_stage_free(void *p) { free(p); }

static void report(rp_port *p, int kind, int peer, int tag, int code, int64_t len, uint64_t token, uint64_t ptr) {
  if (kind == RP_EV_FAILED && code != RP_LOSS && peer >= 0 && rp_is_loss(code)) code = RP_LOSS;
  p->events[p->nev++] = (rp_event){kind, peer, tag, code, len, token, ptr};
}

// Reports the ranks of whose loss the library has told.
static void mourn(rp_port *p, int maxev) {
  p->untold = 0;
  for (int i = 0; i < p->peers; i++) {
    if (p->dead[i] != DEAD) continue;
    if (p->nev >= maxev) {
      p->untold = 1;
      return;
    }
    p->dead[i] = TOLD;
    report(p, RP_EV_FAILED, i, p->tag, RP_LOSS, 0, 0, 0);
  }
}

// Turns an error of a receive from any rank that only says that some rank is lost into the report of that rank.
static int notice(rp_port *p, int rc, int maxev) {
  if (!rp_is_loss(rc)) return rc;
  unsigned char *dead = calloc((size_t)p->peers + 1, 1);
  if (!dead) return rc;
  rc = rp_acknowledge(p->comm, dead, p->peers);
  for (int i = 0; i < p->peers; i++)
    if (dead[i] && !p->dead[i]) p->dead[i] = DEAD;
  free(dead);
  mourn(p, maxev);
  return rc;
}

static int grow(rp_port *p) {
  int cap = p->cap ? 2 * p->cap : 64;
  void *q;
  if (!(q = realloc(p->requests, sizeof *p->requests * (size_t)cap))) return 0;
  p->requests = q;
  if (!(q = realloc(p->pending, sizeof *p->pending * (size_t)cap))) return 0;
  p->pending = q;
  if (!(q = realloc(p->indices, sizeof *p->indices * (size_t)cap))) return 0;
  p->indices = q;
  if (!(q = realloc(p->statuses, sizeof *p->statuses * (size_t)cap))) return 0;
  p->statuses = q;
  p->cap = cap;
  return 1;
}

// Starts one operation. Small sends are nearly always over when MPI_Isend returns, so they are tested on the spot.
static void start(rp_port *p, rp_page *g, rp_op *o) {
  if (o->peer >= 0 && o->peer < p->peers && p->lost[o->peer]) {
    report(p, RP_EV_FAILED, o->peer, o->tag, MPI_SUCCESS, o->len, o->token, 0);
    return;
  }
  if (p->n == p->cap && !grow(p)) {
    report(p, RP_EV_FAILED, o->peer, o->tag, MPI_ERR_NO_MEM, o->len, o->token, 0);
    return;
  }
  char *data = o->inside || !o->ptr ? (char *)(o + 1) : (char *)(uintptr_t)o->ptr;
  MPI_Request r = MPI_REQUEST_NULL;
  MPI_Datatype type;
  int count, done = 0, rc = rp_count_type(o->len, &count, &type);
  if (rc == MPI_SUCCESS) {
    if (o->kind == RP_OP_SEND) {
      rc = MPI_Isend(data, count, type, o->peer, o->tag, p->comm, &r);
    } else if (o->kind == RP_OP_RECV) {
      rc = MPI_Irecv(data, count, type, o->peer, o->tag, p->comm, &r);
    } else {
      MPI_Message m = RP_MESSAGE(o->message);
      rc = MPI_Imrecv(data, count, type, &m, &r);
    }
    if (type != MPI_BYTE) MPI_Type_free(&type);
  }
  if (rc == MPI_SUCCESS && o->inside) rc = MPI_Test(&r, &done, MPI_STATUS_IGNORE);
  if (rc != MPI_SUCCESS) {
    report(p, RP_EV_FAILED, o->peer, o->tag, rc, o->len, o->token, 0);
    return;
  }
  if (done) return;
  p->requests[p->n] = r;
  p->pending[p->n++] = (rp_pending){o->inside ? g : NULL, o->token, o->peer, o->tag, o->kind, o->len};
  if (o->inside) g->live++;
}

static void start_all(rp_port *p, rp_page *g, int maxev) {
  for (; g; g = g->next)
    while (g->started < g->used) {
      if (p->nev >= maxev) return;
      rp_op *o = (rp_op *)((char *)(g + 1) + g->started);
      g->started += o->stride;
      start(p, g, o);
    }
}

// Ends the pending operation i; the caller closes the gap. A small send that went well tells nobody.
static void end(rp_port *p, int i, MPI_Status *s, int rc) {
  rp_pending *d = &p->pending[i];
  if (d->page) d->page->live--;
  if (rc != MPI_SUCCESS) {
    report(p, RP_EV_FAILED, d->peer, d->tag, rc, d->len, d->token, 0);
    return;
  }
  if (!d->token) return;
  rp_status st = {d->peer, d->tag, 0, 0, d->len};
  if (d->kind != RP_OP_SEND) rp_fill(s, 0, &st);
  report(p, RP_EV_DONE, st.source, st.tag, st.cancelled ? -1 : 0, st.len, d->token, 0);
}

static int test(rp_port *p, int maxev) {
  // Every completion may be an event, so no more are tested than there is room for.
  int room = maxev - p->nev, n = p->n < room ? p->n : room, done = 0;
  if (n <= 0) return MPI_SUCCESS;
  int rc = MPI_Testsome(n, p->requests, &done, p->indices, p->statuses);
  // Open MPI returns the error of the first request that has one in the place of MPI_ERR_IN_STATUS.
  if (rc != MPI_SUCCESS && rp_class(rc) != RP_ERR_IN_STATUS && (done == MPI_UNDEFINED || done <= 0)) return notice(p, rc, maxev);
  if (done == MPI_UNDEFINED || done <= 0) return MPI_SUCCESS;
  for (int k = 0; k < done; k++) {
    end(p, p->indices[k], &p->statuses[k], rc == MPI_SUCCESS ? MPI_SUCCESS : p->statuses[k].MPI_ERROR);
    p->pending[p->indices[k]].kind = -1;
  }
  int to = 0;
  for (int from = 0; from < p->n; from++)
    if (p->pending[from].kind >= 0) {
      p->pending[to] = p->pending[from];
      p->requests[to++] = p->requests[from];
    }
  p->n = to;
  return MPI_SUCCESS;
}

// Takes what has arrived. Nobody else receives on this communicator and tag, so what the probe saw is what is received.
static int take(rp_port *p, int maxev) {
  while (p->nev < maxev) {
    MPI_Status s;
    MPI_Count len = 0;
    int found = 0, rc = MPI_Iprobe(MPI_ANY_SOURCE, p->tag, p->comm, &found, &s);
    if (rc != MPI_SUCCESS) return notice(p, rc, maxev);
    if (!found) return rc;
    MPI_Get_elements_x(&s, MPI_BYTE, &len);
    if (len <= p->eager) {
      if (p->arena_used + len > p->arena_cap) return MPI_SUCCESS;
      char *to = p->arena + p->arena_used;
      rc = MPI_Recv(to, (int)len, MPI_BYTE, s.MPI_SOURCE, s.MPI_TAG, p->comm, MPI_STATUS_IGNORE);
      if (rc != MPI_SUCCESS) return rc;
      p->arena_used += (len + 15) & ~(MPI_Count)15;
      report(p, RP_EV_RECEIVED, s.MPI_SOURCE, s.MPI_TAG, 0, len, 0, (uint64_t)(uintptr_t)to);
      continue;
    }
    MPI_Message m = MPI_MESSAGE_NULL;
    rc = MPI_Improbe(s.MPI_SOURCE, s.MPI_TAG, p->comm, &found, &m, &s);
    if (rc != MPI_SUCCESS || !found) return rc;
    report(p, RP_EV_ARRIVED, s.MPI_SOURCE, s.MPI_TAG, 0, len, 0, RP_TO(m));
  }
  return MPI_SUCCESS;
}

// Posts a receive in every slot that is free, those included whose message the last poll reported.
static int post(rp_port *p, int maxev) {
  while (p->posted < p->nslots && !p->closing) {
    rp_slot *s = &p->slots[(p->next + p->posted) % p->nslots];
    int rc = MPI_Irecv(s->data, (int)p->longest, MPI_BYTE, MPI_ANY_SOURCE, p->tag, p->comm, &s->request);
    if (rc != MPI_SUCCESS) return notice(p, rc, maxev); // the next poll posts it
    p->posted++;
  }
  return MPI_SUCCESS;
}

// Reports what the posted receives have got, in their order. A message that was too long is an error of its sender.
static int collect(rp_port *p, int maxev) {
  while (p->posted && p->nev < maxev) {
    rp_slot *slot = &p->slots[p->next];
    MPI_Status s = {.MPI_SOURCE = -1};
    rp_status st;
    int done = 0, rc = MPI_Test(&slot->request, &done, &s);
    if (rc == MPI_SUCCESS && !done) return MPI_SUCCESS;
    int over = slot->request == MPI_REQUEST_NULL; // not where it waits on, for those that live
    if (rc != MPI_SUCCESS && rp_class(rc) != RP_ERR_TRUNCATE && !(rp_is_loss(rc) && over)) return notice(p, rc, maxev);
    p->next = (p->next + 1) % p->nslots;
    p->posted--;
    if (rc != MPI_SUCCESS) {
      report(p, RP_EV_FAILED, s.MPI_SOURCE, p->tag, rc, 0, 0, 0);
      continue;
    }
    rp_fill(&s, 0, &st);
    if (!st.cancelled && !p->closing)
      report(p, RP_EV_RECEIVED, st.source, st.tag, 0, st.len, 0, (uint64_t)(uintptr_t)slot->data);
  }
  return MPI_SUCCESS;
}

#define RP_STRIDE 8 // attempts between two looks at the clock

int rp_port_poll(uintptr_t port, uintptr_t pages, int maxev, int64_t spin_ns) {
  rp_port *p = (rp_port *)port;
  int64_t begin = 0;
  if (maxev > p->maxev) maxev = p->maxev;
  p->nev = 0;
  p->arena_used = 0;
  int rc = post(p, maxev);
  if (p->untold) mourn(p, maxev);
  start_all(p, (rp_page *)pages, maxev);
  for (int turn = 1;; turn++) {
    if (rc == MPI_SUCCESS) rc = p->nslots ? collect(p, maxev) : take(p, maxev);
    if (rc == MPI_SUCCESS) rc = test(p, maxev);
    if (rc != MPI_SUCCESS) {
      if (p->nev < maxev) report(p, RP_EV_FAILED, -1, p->tag, rc, 0, 0, 0);
      return p->nev;
    }
    if (p->nev || spin_ns <= 0 || atomic_load_explicit(&p->kick, memory_order_acquire)) return p->nev;
    if (turn % RP_STRIDE) continue;
    int64_t now = rp_now();
    if (!begin) begin = now;
    if (now - begin >= spin_ns) return p->nev;
  }
}

// Stops waiting for a peer that is gone. Its requests are neither completed nor freed: either may hang or kill.
int rp_port_abandon(rp_port *p, int peer, int maxev) {
  int to = 0;
  p->nev = 0;
  if (peer >= 0 && peer < p->peers) p->lost[peer] = 1;
  for (int from = 0; from < p->n; from++) {
    rp_pending *d = &p->pending[from];
    if (d->peer == peer && p->nev < maxev && p->nev < p->maxev) {
      if (d->page) d->page->lost++;
      report(p, RP_EV_FAILED, d->peer, d->tag, MPI_SUCCESS, d->len, d->token, 0);
      continue;
    }
    p->pending[to] = *d;
    p->requests[to++] = p->requests[from];
  }
  p->n = to;
  return p->nev;
}

// Posts no more receives, and asks for the end of those that wait, which a later poll sees.
void rp_port_withdraw(rp_port *p) {
  p->closing = 1;
  for (int i = 0; i < p->posted; i++) MPI_Cancel(&p->slots[(p->next + i) % p->nslots].request);
}

// Asks for the end of every other receive; they end as usual, in a later poll.
int rp_port_cancel(rp_port *p) {
  int n = 0;
  for (int i = 0; i < p->n; i++)
    if (p->pending[i].kind != RP_OP_SEND && MPI_Cancel(&p->requests[i]) == MPI_SUCCESS) n++;
  return n;
}
