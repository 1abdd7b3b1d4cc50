package mpi

import (
	"os"
	"syscall"
	"time"
)

// exitLimit is how long libc's exit handlers may take.
const exitLimit = 10 * time.Second

// raceStatus is the race detector's exit status, unless GORACE says otherwise.
const raceStatus = 66

// Exit ends the process with the status. After MPI_Finalize the handlers that libc runs at the end of a process (atexit) run
// first, and then what Go does in os.Exit: coverage is written, and the race detector turns a status of 0 into its own. Since
// 4.2, MPICH takes leave of its launcher in such a handler; of a rank that ends without it mpiexec believes that it has crashed,
// and kills the others. A handler that hangs is given up after some seconds.
//
// Before MPI_Finalize, and in a program without MPI, Exit is os.Exit, with the same limit behind it.
func Exit(status int) {
	if raceDetector && status == 0 && runtimeState.state.Load() != idle { // os.Exit ends in libc's exit
		time.AfterFunc(exitLimit, func() {
			if races() > 0 {
				syscall.Exit(raceStatus)
			}
			syscall.Exit(0)
		})
		os.Exit(0)
	}
	if !Ended() {
		os.Exit(status)
	}
	rawRunExitHandlers(status, exitLimit)
	os.Exit(status)
}

// Ended tells whether MPI_Finalize has returned, whoever has called it.
func Ended() bool {
	if runtimeState.state.Load() == idle || runtimeState.stuck.Load() {
		return false
	}
	_, off, code := rawState()
	return code == 0 && off
}
