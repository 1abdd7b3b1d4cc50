//go:build mpi && cgo && !mpiload

// What differs between MPI libraries, made equal: every handle is a uintptr_t (0 is the null handle), every error class,
// reduction and element type has a number of ours, every macro is a function. The Go files see nothing of <mpi.h>.
#ifndef RANKPOOL_SHIM_H
#define RANKPOOL_SHIM_H

#include <mpi.h>
#include <signal.h>
#include <stdint.h>

#if defined(RANKPOOL_MPICH) && !defined(MPICH_VERSION)
#error "RANKPOOL_MPICH is defined but mpi.h is not MPICH's: use the settings that `build/mpi-env mpich` prints"
#endif
#if defined(RANKPOOL_OPENMPI) && !defined(OPEN_MPI)
#error "RANKPOOL_OPENMPI is defined but mpi.h is not Open MPI's: use the settings that `build/mpi-env openmpi` prints"
#endif

#define RP_TO(h) ((uintptr_t)(intptr_t)(h))
#define RP_COMM(h) ((MPI_Comm)(intptr_t)(h))
#define RP_REQUEST(h) ((MPI_Request)(intptr_t)(h))
#define RP_MESSAGE(h) ((MPI_Message)(intptr_t)(h))

// Families of libraries, as mpi.h has it.
enum { RP_FAMILY_OTHER, RP_FAMILY_OPENMPI, RP_FAMILY_MPICH };

// Error classes; the order is that of the Go constants.
enum {
  RP_SUCCESS, RP_ERR_UNKNOWN, RP_ERR_OTHER, RP_ERR_INTERN, RP_ERR_ARG, RP_ERR_BUFFER, RP_ERR_COUNT, RP_ERR_TYPE, RP_ERR_OP,
  RP_ERR_TAG, RP_ERR_COMM, RP_ERR_RANK, RP_ERR_ROOT, RP_ERR_GROUP, RP_ERR_REQUEST, RP_ERR_TRUNCATE, RP_ERR_IN_STATUS,
  RP_ERR_PENDING, RP_ERR_NO_MEM, RP_ERR_SPAWN, RP_ERR_INFO, RP_ERR_LOST
};

// Collectives; the order is that of the Go constants.
enum { RP_BARRIER, RP_BCAST, RP_REDUCE, RP_ALLREDUCE, RP_GATHER, RP_ALLGATHER, RP_SCATTER };

typedef struct {
  int32_t source, tag, code, cancelled;
  int64_t len;
} rp_status;

int rp_family(void);
int rp_class(int code);
int rp_error_string(int code, char *buf, int cap);
int rp_library(char *buf, int cap);
int rp_processor(char *buf, int cap);
int rp_online(void);

int rp_init(int level, int *provided, int *restored, int cap, int *nrestored);
int rp_finalize(void);
int rp_state(int *initialized, int *finalized);
int rp_query_level(int *level);

uintptr_t rp_world(void);
uintptr_t rp_self(void);
int rp_parent(uintptr_t *out);
int rp_describe(uintptr_t c, int *rank, int *size, int *inter, int *remote, int *tag_ub);
int rp_errors_return(uintptr_t c);
int rp_group(uintptr_t c, uintptr_t *out);
int rp_dup(uintptr_t c, uintptr_t *out);
int rp_split(uintptr_t c, int color, int key, uintptr_t *out);
int rp_split_host(uintptr_t c, int key, uintptr_t *out);
int rp_create_group(uintptr_t c, int n, const int *ranks, int tag, uintptr_t *out);
int rp_inter_create(uintptr_t local, int leader, uintptr_t peer, int remote_leader, int tag, uintptr_t *out);
int rp_merge(uintptr_t c, int high, uintptr_t *out);
int rp_free(uintptr_t c);
int rp_disconnect(uintptr_t c);
int rp_abort(uintptr_t c, int status);
int rp_attribute(int universe, int *value, int *found);
int rp_spawn(uintptr_t c, int root, char *command, char **argv, int n, int ninfo, char **keys, char **values,
             uintptr_t *out, int *codes);

int rp_isend(uintptr_t buf, int64_t len, int peer, int tag, uintptr_t c, uintptr_t *req);
int rp_irecv(uintptr_t buf, int64_t len, int peer, int tag, uintptr_t c, uintptr_t *req);
int rp_imrecv(uintptr_t buf, int64_t len, uintptr_t *msg, uintptr_t *req);
int rp_wait(uintptr_t *req, int64_t spin_ns, int *done, rp_status *st);
int rp_cancel(uintptr_t req);
int rp_iprobe(uintptr_t c, int peer, int tag, int64_t spin_ns, int *found, rp_status *st);
int rp_improbe(uintptr_t c, int peer, int tag, int64_t spin_ns, int *found, uintptr_t *msg, rp_status *st);
int rp_any_source(void);
int rp_any_tag(void);

int rp_collective(int what, int blocking, uintptr_t send, uintptr_t recv, int64_t count, int type, int op, int root,
                  uintptr_t c, uintptr_t *req);

// Shared between the C files.
int64_t rp_now(void);
void rp_calm_threads(sigset_t *old);
int rp_count_type(int64_t len, int *count, MPI_Datatype *type);
void rp_fill(MPI_Status *from, int code, rp_status *to);

#endif
