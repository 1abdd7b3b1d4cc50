//go:build mpi && cgo && !mpiload

package mpi

// #include "exit.h"
import "C"

import "time"

func rawRunExitHandlers(status int, limit time.Duration) {
	C.rp_run_exit_handlers(C.int(status), C.int64_t(limit))
}
