//go:build unix

package mpi

import (
	"os"
	"os/signal"
	"syscall"
)

// wantSignals has Go take SIGUSR1 and SIGUSR2, which launchers and batch systems send to every rank, and drop them unless the
// program wants them too. Go ignores them on its own threads anyway; on one that a library has made since it was initialised,
// or that belongs to a library somebody else has initialised, what nobody wants would end the process.
func wantSignals() {
	for _, s := range []os.Signal{syscall.SIGUSR1, syscall.SIGUSR2} {
		if !signal.Ignored(s) {
			signal.Notify(make(chan os.Signal, 1), s)
		}
	}
}
