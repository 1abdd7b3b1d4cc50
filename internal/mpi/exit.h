//go:build mpi && cgo && !mpiload

#ifndef RANKPOOL_EXIT_H
#define RANKPOOL_EXIT_H

#include <stdint.h>

// Runs what libc runs at the end of a process, and returns when that is done, or after the limit. The process must end then.
void rp_run_exit_handlers(int status, int64_t limit_ns);

#endif
