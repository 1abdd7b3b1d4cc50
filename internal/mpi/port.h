//go:build mpi && cgo && !mpiload

// Many messages in one crossing: the loop under Port.
#ifndef RANKPOOL_PORT_H
#define RANKPOOL_PORT_H

#include "shim.h"

enum { RP_OP_SEND, RP_OP_RECV, RP_OP_TAKE };
enum { RP_EV_RECEIVED, RP_EV_ARRIVED, RP_EV_DONE, RP_EV_FAILED };

// The code of the failure of a rank that the library has told to be lost. No library has it.
enum { RP_LOSS = -2 };

// One operation to start. Its bytes are at ptr, or behind the record when inside is set; stride leads to the next record.
typedef struct {
  int32_t kind, peer, tag, inside;
  int64_t len, stride;
  uint64_t token, ptr, message;
} rp_op;

// A page of operations. It may be written again once every operation is started and none is on its way.
typedef struct rp_page {
  struct rp_page *next;
  int64_t cap, used, started, live, lost;
} rp_page;

typedef struct {
  int32_t kind, peer, tag, code;
  int64_t len;
  uint64_t token, ptr;
} rp_event;

typedef struct rp_port rp_port;

rp_port *rp_port_new(uintptr_t c, int tag, int64_t eager, int64_t arena, int maxev, int peers, int nslots,
                     int64_t longest);
void rp_port_free(rp_port *p);
rp_event *rp_port_events(rp_port *p);
rp_page *rp_page_new(int64_t cap);
void rp_page_free(rp_page *p);
int rp_port_poll(uintptr_t port, uintptr_t pages, int maxev, int64_t spin_ns);
void *rp_port_kick(rp_port *p);
int rp_port_posted(rp_port *p);
void rp_port_withdraw(rp_port *p);
int rp_port_abandon(rp_port *p, int peer, int maxev);
int rp_port_cancel(rp_port *p);
void *rp_stage_new(int64_t len);
void rp_stage_free(void *p);

#endif
