//go:build unix

package proc

import (
	"os"
	"os/signal"
	"syscall"
)

// LeaveSignals leaves the signals that people, terminals and batch systems send to a whole process group to the master, and
// more of them if the program says so: this process goes on. One that it was started to ignore stays ignored. The program
// may ask for them as well.
//
// It is not signal.Ignore, which programs started by tasks would inherit. The channel is never read: a full one drops.
func LeaveSignals(more ...os.Signal) {
	c := make(chan os.Signal, 1)
	for _, s := range append([]os.Signal{
		syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGQUIT, syscall.SIGUSR1, syscall.SIGUSR2,
	}, more...) {
		if !signal.Ignored(s) {
			signal.Notify(c, s)
		}
	}
}
