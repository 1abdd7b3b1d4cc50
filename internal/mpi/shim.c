//go:build mpi && cgo && !mpiload

#define _GNU_SOURCE
#include "shim.h"
#include "ulfm.h"

#include <dlfcn.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

// The address of an empty message: MPI wants one and Go has none to give.
static char rp_nothing[16];

static void *rp_address(uintptr_t p) { return p ? (void *)p : rp_nothing; }

int64_t rp_now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

int rp_family(void) {
#if defined(OPEN_MPI)
  return RP_FAMILY_OPENMPI;
#elif defined(MPICH_VERSION)
  return RP_FAMILY_MPICH;
#else
  return RP_FAMILY_OTHER;
#endif
}

int rp_class(int code) {
  int class;
  if (code == MPI_SUCCESS) return RP_SUCCESS;
  if (MPI_Error_class(code, &class) != MPI_SUCCESS) return RP_ERR_UNKNOWN;
  switch (class) {
  case MPI_ERR_OTHER: return RP_ERR_OTHER;
  case MPI_ERR_INTERN: return RP_ERR_INTERN;
  case MPI_ERR_ARG: return RP_ERR_ARG;
  case MPI_ERR_BUFFER: return RP_ERR_BUFFER;
  case MPI_ERR_COUNT: return RP_ERR_COUNT;
  case MPI_ERR_TYPE: return RP_ERR_TYPE;
  case MPI_ERR_OP: return RP_ERR_OP;
  case MPI_ERR_TAG: return RP_ERR_TAG;
  case MPI_ERR_COMM: return RP_ERR_COMM;
  case MPI_ERR_RANK: return RP_ERR_RANK;
  case MPI_ERR_ROOT: return RP_ERR_ROOT;
  case MPI_ERR_GROUP: return RP_ERR_GROUP;
  case MPI_ERR_REQUEST: return RP_ERR_REQUEST;
  case MPI_ERR_TRUNCATE: return RP_ERR_TRUNCATE;
  case MPI_ERR_IN_STATUS: return RP_ERR_IN_STATUS;
  case MPI_ERR_PENDING: return RP_ERR_PENDING;
  case MPI_ERR_NO_MEM: return RP_ERR_NO_MEM;
  case MPI_ERR_SPAWN: return RP_ERR_SPAWN;
  case MPI_ERR_INFO:
  case MPI_ERR_INFO_KEY:
  case MPI_ERR_INFO_VALUE: return RP_ERR_INFO;
#if defined(MPI_ERR_PROC_FAILED)
  case MPI_ERR_PROC_FAILED:
  case MPI_ERR_PROC_FAILED_PENDING: return RP_ERR_LOST;
#elif defined(MPIX_ERR_PROC_FAILED)
  case MPIX_ERR_PROC_FAILED: return RP_ERR_LOST;
#endif
  default: return RP_ERR_UNKNOWN;
  }
}

// Every text function copies at most cap bytes and returns how many.
static int rp_copy(const char *from, int n, char *to, int cap) {
  if (n > cap) n = cap;
  if (n < 0) n = 0;
  memcpy(to, from, n);
  return n;
}

int rp_error_string(int code, char *buf, int cap) {
  char text[MPI_MAX_ERROR_STRING + 1];
  int n = 0;
  if (MPI_Error_string(code, text, &n) != MPI_SUCCESS) return 0;
  return rp_copy(text, n, buf, cap);
}

int rp_library(char *buf, int cap) {
  char text[MPI_MAX_LIBRARY_VERSION_STRING + 1];
  int n = 0;
  if (MPI_Get_library_version(text, &n) != MPI_SUCCESS) return 0;
  return rp_copy(text, n, buf, cap);
}

int rp_processor(char *buf, int cap) {
  char text[MPI_MAX_PROCESSOR_NAME + 1];
  int n = 0;
  if (MPI_Get_processor_name(text, &n) != MPI_SUCCESS) return 0;
  return rp_copy(text, n, buf, cap);
}

int rp_online(void) { return (int)sysconf(_SC_NPROCESSORS_ONLN); }

#define RP_SIGNALS 65

static void rp_snapshot(struct sigaction *old) {
  for (int s = 1; s < RP_SIGNALS; s++)
    if (sigaction(s, NULL, &old[s]) != 0) old[s].sa_handler = SIG_ERR;
}

// Puts back what differs from the snapshot. Go's handlers must run on the signal stack (SA_ONSTACK); what a library
// installs instead does not ask for it, and the next such signal on a goroutine's thread ends the program.
static int rp_put_back(const struct sigaction *old, int *changed, int cap) {
  int n = 0;
  for (int s = 1; s < RP_SIGNALS; s++) {
    struct sigaction now;
    if (old[s].sa_handler == SIG_ERR || sigaction(s, NULL, &now) != 0) continue;
    if (now.sa_handler == old[s].sa_handler && now.sa_flags == old[s].sa_flags) continue;
    if (sigaction(s, &old[s], NULL) == 0 && n < cap) changed[n++] = s;
  }
  return n;
}

// UCX would turn a nil dereference, which Go recovers from, into an abort of its own. It reads its variables when it is
// loaded: where the MPI library is linked with it that was before Go installed its handlers, which then prevail, and
// setting them now would only make every rank print that they are unused.
static void rp_tame_ucx(void) {
  void *ucx = dlopen("libucs.so.0", RTLD_LAZY | RTLD_NOLOAD);
  if (ucx) {
    dlclose(ucx);
    return;
  }
  setenv("UCX_ERROR_SIGNALS", "", 0);
  setenv("UCX_HANDLE_ERRORS", "none", 0);
}

// The threads that a library starts inherit the mask of the thread that initialises it. They are to take no signal: Go's handler
// on a thread that Go did not make gives what nobody has asked for its default action, so that a SIGUSR1 ends the process when
// the kernel picks such a thread for it, which it does after a SIGCONT. What a thread brings upon itself stays as it is, and so does
// SIGPROF, which Go's profiler knows how to take there. Open MPI unblocks everything in an orted that it starts here.
void rp_calm_threads(sigset_t *old) {
  static const int own[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGABRT, SIGSYS, SIGPROF};
  sigset_t all;
  sigfillset(&all);
  for (size_t i = 0; i < sizeof own / sizeof *own; i++) sigdelset(&all, own[i]);
  pthread_sigmask(SIG_BLOCK, &all, old);
}

int rp_init(int level, int *provided, int *restored, int cap, int *nrestored) {
  static const int levels[] = {MPI_THREAD_SINGLE, MPI_THREAD_FUNNELED, MPI_THREAD_SERIALIZED, MPI_THREAD_MULTIPLE};
  struct sigaction old[RP_SIGNALS];
  rp_tame_ucx();
  // Once it has lost a peer that it talked to by TCP, Open MPI looks at its other sockets every 10 ms only, by default.
  setenv("OMPI_MCA_mpi_event_tick_rate", "100", 0);
  rp_snapshot(old);
  sigset_t mask;
  rp_calm_threads(&mask);
  int rc = MPI_Init_thread(NULL, NULL, levels[level & 3], provided);
  pthread_sigmask(SIG_SETMASK, &mask, NULL);
  *nrestored = rp_put_back(old, restored, cap);
  if (rc == MPI_SUCCESS) rc = rp_query_level(provided);
  return rc;
}

int rp_finalize(void) {
  struct sigaction old[RP_SIGNALS];
  int changed[RP_SIGNALS];
  rp_snapshot(old);
  int rc = MPI_Finalize();
  rp_put_back(old, changed, RP_SIGNALS);
  return rc;
}

int rp_state(int *initialized, int *finalized) {
  int rc = MPI_Initialized(initialized);
  if (rc != MPI_SUCCESS) return rc;
  return MPI_Finalized(finalized);
}

int rp_query_level(int *level) {
  int l, rc = MPI_Query_thread(&l);
  *level = l >= MPI_THREAD_MULTIPLE ? 3 : l >= MPI_THREAD_SERIALIZED ? 2 : l >= MPI_THREAD_FUNNELED ? 1 : 0;
  return rc;
}

static uintptr_t rp_handle(MPI_Comm c) { return c == MPI_COMM_NULL ? 0 : RP_TO(c); }

static MPI_Comm rp_comm(uintptr_t h) { return h ? RP_COMM(h) : MPI_COMM_NULL; }

// A new communicator inherits its parent's error handler, but not every library does so for every constructor.
static int rp_made(int rc, MPI_Comm c, uintptr_t *out) {
  *out = 0;
  if (rc != MPI_SUCCESS || c == MPI_COMM_NULL) return rc;
  *out = RP_TO(c);
  return MPI_Comm_set_errhandler(c, MPI_ERRORS_RETURN);
}

uintptr_t rp_world(void) { return RP_TO(MPI_COMM_WORLD); }
uintptr_t rp_self(void) { return RP_TO(MPI_COMM_SELF); }

int rp_parent(uintptr_t *out) {
  MPI_Comm c = MPI_COMM_NULL;
  int rc = MPI_Comm_get_parent(&c);
  return rp_made(rc, c, out);
}

int rp_describe(uintptr_t h, int *rank, int *size, int *inter, int *remote, int *tag_ub) {
  MPI_Comm c = rp_comm(h);
  int *value, found = 0, rc;
  *remote = 0;
  *tag_ub = 32767;
  if ((rc = MPI_Comm_test_inter(c, inter)) != MPI_SUCCESS) return rc;
  if ((rc = MPI_Comm_rank(c, rank)) != MPI_SUCCESS) return rc;
  if ((rc = MPI_Comm_size(c, size)) != MPI_SUCCESS) return rc;
  if (*inter && (rc = MPI_Comm_remote_size(c, remote)) != MPI_SUCCESS) return rc;
  if (MPI_Comm_get_attr(MPI_COMM_WORLD, MPI_TAG_UB, &value, &found) == MPI_SUCCESS && found) *tag_ub = *value;
  return MPI_SUCCESS;
}

int rp_errors_return(uintptr_t c) { return MPI_Comm_set_errhandler(rp_comm(c), MPI_ERRORS_RETURN); }

int rp_group(uintptr_t c, uintptr_t *out) {
  MPI_Group g;
  int rc = MPI_Comm_group(rp_comm(c), &g);
  *out = RP_TO(g);
  return rc;
}

// Goroutine preemption sends SIGURG, which can interrupt a system call that a library does not retry. Masking costs
// 300 ns, so only calls that take longer anyway are wrapped; never one that starts a process, which would inherit it.
static void rp_mask(sigset_t *old) {
  sigset_t urgent;
  sigemptyset(&urgent);
  sigaddset(&urgent, SIGURG);
  pthread_sigmask(SIG_BLOCK, &urgent, old);
}

static void rp_unmask(const sigset_t *old) { pthread_sigmask(SIG_SETMASK, old, NULL); }

#define RP_QUIET(call)  \
  do {                  \
    sigset_t old;       \
    rp_mask(&old);      \
    rc = (call);        \
    rp_unmask(&old);    \
  } while (0)

int rp_dup(uintptr_t c, uintptr_t *out) {
  MPI_Comm made = MPI_COMM_NULL;
  int rc;
  RP_QUIET(MPI_Comm_dup(rp_comm(c), &made));
  return rp_made(rc, made, out);
}

int rp_split(uintptr_t c, int color, int key, uintptr_t *out) {
  MPI_Comm made = MPI_COMM_NULL;
  int rc;
  RP_QUIET(MPI_Comm_split(rp_comm(c), color < 0 ? MPI_UNDEFINED : color, key, &made));
  return rp_made(rc, made, out);
}

int rp_split_host(uintptr_t c, int key, uintptr_t *out) {
  MPI_Comm made = MPI_COMM_NULL;
  int rc;
  RP_QUIET(MPI_Comm_split_type(rp_comm(c), MPI_COMM_TYPE_SHARED, key, MPI_INFO_NULL, &made));
  return rp_made(rc, made, out);
}

int rp_create_group(uintptr_t c, int n, const int *ranks, int tag, uintptr_t *out) {
  MPI_Group all, some;
  MPI_Comm made = MPI_COMM_NULL;
  int rc;
  *out = 0;
  if ((rc = MPI_Comm_group(rp_comm(c), &all)) != MPI_SUCCESS) return rc;
  rc = MPI_Group_incl(all, n, ranks, &some);
  MPI_Group_free(&all);
  if (rc != MPI_SUCCESS) return rc;
  RP_QUIET(MPI_Comm_create_group(rp_comm(c), some, tag, &made));
  MPI_Group_free(&some);
  return rp_made(rc, made, out);
}

int rp_inter_create(uintptr_t local, int leader, uintptr_t peer, int remote_leader, int tag, uintptr_t *out) {
  MPI_Comm made = MPI_COMM_NULL;
  int rc;
  RP_QUIET(MPI_Intercomm_create(rp_comm(local), leader, rp_comm(peer), remote_leader, tag, &made));
  return rp_made(rc, made, out);
}

int rp_merge(uintptr_t c, int high, uintptr_t *out) {
  MPI_Comm made = MPI_COMM_NULL;
  int rc;
  RP_QUIET(MPI_Intercomm_merge(rp_comm(c), high, &made));
  return rp_made(rc, made, out);
}

int rp_free(uintptr_t h) {
  MPI_Comm c = rp_comm(h);
  int rc;
  RP_QUIET(MPI_Comm_free(&c));
  return rc;
}

int rp_disconnect(uintptr_t h) {
  MPI_Comm c = rp_comm(h);
  int rc;
  RP_QUIET(MPI_Comm_disconnect(&c));
  return rc;
}

int rp_abort(uintptr_t c, int status) { return MPI_Abort(rp_comm(c), status); }

int rp_attribute(int universe, int *value, int *found) {
  int *v = NULL, rc = MPI_Comm_get_attr(MPI_COMM_WORLD, universe ? MPI_UNIVERSE_SIZE : MPI_APPNUM, &v, found);
  if (rc == MPI_SUCCESS && *found) *value = *v;
  return rc;
}

int rp_spawn(uintptr_t c, int root, char *command, char **argv, int n, int ninfo, char **keys, char **values,
             uintptr_t *out, int *codes) {
  MPI_Info info = MPI_INFO_NULL;
  MPI_Comm made = MPI_COMM_NULL;
  int rc = MPI_SUCCESS;
  *out = 0;
  if (ninfo > 0) rc = MPI_Info_create(&info);
  for (int i = 0; i < ninfo && rc == MPI_SUCCESS; i++) rc = MPI_Info_set(info, keys[i], values[i]);
  if (rc == MPI_SUCCESS) rc = MPI_Comm_spawn(command, argv, n, info, root, rp_comm(c), &made, codes);
  if (info != MPI_INFO_NULL) MPI_Info_free(&info);
  return rp_made(rc, made, out);
}

// A count in MPI is an int. Longer messages are blocks of RP_BLOCK bytes and a rest, as one element of a derived type;
// the bytes of both ends match whatever type either used.
#define RP_BLOCK ((int64_t)1 << 20)

int rp_count_type(int64_t len, int *count, MPI_Datatype *type) {
  *type = MPI_BYTE;
  *count = (int)len;
  if (len <= INT32_MAX) return MPI_SUCCESS;
  MPI_Datatype block, blocks;
  int rc = MPI_Type_contiguous((int)RP_BLOCK, MPI_BYTE, &block);
  if (rc != MPI_SUCCESS) return rc;
  rc = MPI_Type_contiguous((int)(len / RP_BLOCK), block, &blocks);
  MPI_Type_free(&block);
  if (rc != MPI_SUCCESS) return rc;
  int lengths[2] = {1, (int)(len % RP_BLOCK)};
  MPI_Aint places[2] = {0, (MPI_Aint)(len - len % RP_BLOCK)};
  MPI_Datatype parts[2] = {blocks, MPI_BYTE};
  rc = MPI_Type_create_struct(lengths[1] ? 2 : 1, lengths, places, parts, type);
  MPI_Type_free(&blocks);
  if (rc != MPI_SUCCESS) return rc;
  *count = 1;
  rc = MPI_Type_commit(type);
  if (rc != MPI_SUCCESS) MPI_Type_free(type);
  return rc;
}

// Runs call with a count and type for len bytes; MPI frees the type itself once the operation is over.
#define RP_TYPED(len, call)                                     \
  int count, rc;                                                \
  MPI_Datatype type;                                            \
  if ((rc = rp_count_type(len, &count, &type)) != MPI_SUCCESS) return rc; \
  rc = (call);                                                  \
  if (type != MPI_BYTE) MPI_Type_free(&type)

int rp_isend(uintptr_t buf, int64_t len, int peer, int tag, uintptr_t c, uintptr_t *req) {
  MPI_Request r = MPI_REQUEST_NULL;
  RP_TYPED(len, MPI_Isend(rp_address(buf), count, type, peer, tag, rp_comm(c), &r));
  *req = RP_TO(r);
  return rc;
}

int rp_irecv(uintptr_t buf, int64_t len, int peer, int tag, uintptr_t c, uintptr_t *req) {
  MPI_Request r = MPI_REQUEST_NULL;
  RP_TYPED(len, MPI_Irecv(rp_address(buf), count, type, peer, tag, rp_comm(c), &r));
  *req = RP_TO(r);
  return rc;
}

int rp_imrecv(uintptr_t buf, int64_t len, uintptr_t *msg, uintptr_t *req) {
  MPI_Message m = RP_MESSAGE(*msg);
  MPI_Request r = MPI_REQUEST_NULL;
  RP_TYPED(len, MPI_Imrecv(rp_address(buf), count, type, &m, &r));
  *msg = RP_TO(m);
  *req = RP_TO(r);
  return rc;
}

void rp_fill(MPI_Status *from, int code, rp_status *to) {
  MPI_Count n = 0;
  int cancelled = 0;
  MPI_Get_elements_x(from, MPI_BYTE, &n);
  MPI_Test_cancelled(from, &cancelled);
  to->source = from->MPI_SOURCE;
  to->tag = from->MPI_TAG;
  to->code = code;
  to->cancelled = cancelled;
  to->len = n > 0 ? (int64_t)n : 0;
}

// Long spins yield, or the peer on the same core never gets to answer.
#define RP_POLITE 20000

#define RP_SPIN(attempt, over)                          \
  int64_t start = spin_ns > 0 ? rp_now() : 0;           \
  for (;;) {                                            \
    int rc = (attempt);                                 \
    if (rc != MPI_SUCCESS || (over) || spin_ns <= 0) { result = rc; break; } \
    int64_t spent = rp_now() - start;                   \
    if (spent >= spin_ns) { result = rc; break; }       \
    if (spent > RP_POLITE) sched_yield();               \
  }

int rp_wait(uintptr_t *req, int64_t spin_ns, int *done, rp_status *st) {
  MPI_Request r = RP_REQUEST(*req);
  MPI_Status s;
  int result;
  *done = 0;
  RP_SPIN(MPI_Test(&r, done, &s), *done);
  *req = RP_TO(r);
  if (result != MPI_SUCCESS) *done = 1;
  if (*done && result == MPI_SUCCESS) rp_fill(&s, 0, st);
  return result;
}

int rp_cancel(uintptr_t req) {
  MPI_Request r = RP_REQUEST(req);
  return MPI_Cancel(&r);
}

int rp_iprobe(uintptr_t c, int peer, int tag, int64_t spin_ns, int *found, rp_status *st) {
  MPI_Status s;
  int result;
  *found = 0;
  RP_SPIN(MPI_Iprobe(peer, tag, rp_comm(c), found, &s), *found);
  if (result == MPI_SUCCESS && *found) rp_fill(&s, 0, st);
  return result;
}

int rp_improbe(uintptr_t c, int peer, int tag, int64_t spin_ns, int *found, uintptr_t *msg, rp_status *st) {
  MPI_Message m = MPI_MESSAGE_NULL;
  MPI_Status s;
  int result;
  *found = 0;
  RP_SPIN(MPI_Improbe(peer, tag, rp_comm(c), found, &m, &s), *found);
  *msg = RP_TO(m);
  if (result == MPI_SUCCESS && *found) rp_fill(&s, 0, st);
  return result;
}

int rp_any_source(void) { return MPI_ANY_SOURCE; }
int rp_any_tag(void) { return MPI_ANY_TAG; }

static MPI_Datatype rp_type(int t) {
  switch (t) {
  case 1: return MPI_INT8_T;
  case 2: return MPI_INT16_T;
  case 3: return MPI_INT32_T;
  case 4: return MPI_INT64_T;
  case 5: return MPI_UINT8_T;
  case 6: return MPI_UINT16_T;
  case 7: return MPI_UINT32_T;
  case 8: return MPI_UINT64_T;
  case 9: return MPI_FLOAT;
  case 10: return MPI_DOUBLE;
  case 11: return MPI_C_FLOAT_COMPLEX;
  case 12: return MPI_C_DOUBLE_COMPLEX;
  default: return MPI_BYTE;
  }
}

static MPI_Op rp_op(int op) {
  switch (op) {
  case 0: return MPI_SUM;
  case 1: return MPI_PROD;
  case 2: return MPI_MIN;
  case 3: return MPI_MAX;
  case 4: return MPI_LAND;
  case 5: return MPI_LOR;
  case 6: return MPI_BAND;
  case 7: return MPI_BOR;
  case 8: return MPI_BXOR;
  default: return MPI_OP_NULL;
  }
}

// An address of 1 stands for MPI_IN_PLACE, which is a macro and no address.
static void *rp_place(uintptr_t p) { return p == 1 ? MPI_IN_PLACE : rp_address(p); }

static int rp_blocking(int what, void *send, void *recv, int n, MPI_Datatype t, MPI_Op op, int root, MPI_Comm c) {
  switch (what) {
  case RP_BARRIER: return MPI_Barrier(c);
  case RP_BCAST: return MPI_Bcast(send, n, t, root, c);
  case RP_REDUCE: return MPI_Reduce(send, recv, n, t, op, root, c);
  case RP_ALLREDUCE: return MPI_Allreduce(send, recv, n, t, op, c);
  case RP_GATHER: return MPI_Gather(send, n, t, recv, n, t, root, c);
  case RP_ALLGATHER: return MPI_Allgather(send, n, t, recv, n, t, c);
  case RP_SCATTER: return MPI_Scatter(send, n, t, recv, n, t, root, c);
  default: return MPI_ERR_ARG;
  }
}

static int rp_started(int what, void *send, void *recv, int n, MPI_Datatype t, MPI_Op op, int root, MPI_Comm c,
                      MPI_Request *r) {
  switch (what) {
  case RP_BARRIER: return MPI_Ibarrier(c, r);
  case RP_BCAST: return MPI_Ibcast(send, n, t, root, c, r);
  case RP_REDUCE: return MPI_Ireduce(send, recv, n, t, op, root, c, r);
  case RP_ALLREDUCE: return MPI_Iallreduce(send, recv, n, t, op, c, r);
  case RP_GATHER: return MPI_Igather(send, n, t, recv, n, t, root, c, r);
  case RP_ALLGATHER: return MPI_Iallgather(send, n, t, recv, n, t, c, r);
  case RP_SCATTER: return MPI_Iscatter(send, n, t, recv, n, t, root, c, r);
  default: return MPI_ERR_ARG;
  }
}

int rp_collective(int what, int blocking, uintptr_t send, uintptr_t recv, int64_t len, int kind, int op, int root,
                  uintptr_t comm, uintptr_t *req) {
  MPI_Datatype type = rp_type(kind);
  MPI_Request r = MPI_REQUEST_NULL;
  int count = (int)len, rc;
  if (kind == 0) {
    rc = rp_count_type(len, &count, &type);
    if (rc != MPI_SUCCESS) return rc;
  } else if (len > INT32_MAX) {
    return MPI_ERR_COUNT;
  }
  if (blocking)
    RP_QUIET(rp_blocking(what, rp_place(send), rp_place(recv), count, type, rp_op(op), root, rp_comm(comm)));
  else
    rc = rp_started(what, rp_place(send), rp_place(recv), count, type, rp_op(op), root, rp_comm(comm), &r);
  if (kind == 0 && type != MPI_BYTE) MPI_Type_free(&type);
  *req = RP_TO(r);
  return rc;
}
