//go:build mpi && cgo && unix

package futures

import (
	"os"
	"os/signal"
	"syscall"
)

// leaveSignals has a rank that serves leave the signals that somebody sends to all processes of a job to the master, which may
// have a meaning for them. One that it was started to ignore stays ignored.
func leaveSignals() {
	ignoreSignals()
	for _, s := range []os.Signal{syscall.SIGHUP, syscall.SIGQUIT, syscall.SIGUSR1, syscall.SIGUSR2} {
		if !signal.Ignored(s) {
			signal.Notify(make(chan os.Signal, 1), s)
		}
	}
}
