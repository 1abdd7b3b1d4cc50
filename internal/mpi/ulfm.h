//go:build mpi && cgo && !mpiload

// The loss of processes, as a library tells of it that has User-Level Failure Mitigation: Open MPI since version 5.
#ifndef RANKPOOL_ULFM_H
#define RANKPOOL_ULFM_H

#include "shim.h"

// Has the library tell of losses or not, unless the user has decided. Before MPI_Init.
void rp_want_losses(int on);

// Whether an error says no more than that a process of the communicator is lost, be it another than the operation's.
int rp_is_loss(int code);

// Lets receives from any rank go on although processes are lost. Sets dead[rank] for each lost one; the others stay as they are.
int rp_acknowledge(MPI_Comm c, unsigned char *dead, int ranks);

// Whether the library has the calls.
int rp_mitigates(void);

// Has all calls on a communicator fail, on all of its ranks. Local.
int rp_revoke(uintptr_t c);

#endif
