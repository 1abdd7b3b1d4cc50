package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime/debug"
	"strings"
	"syscall"

	"github.com/rankpool/rankpool/internal/mpi"
)

// exitFailure is the status of everything that goes wrong before the program starts.
const exitFailure = 1

// version is the version of this command, and whether it was built with MPI.
func version() string {
	v := "(unknown version)"
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" {
		v = info.Main.Version
	}
	if mpi.Built {
		return v + ", built with MPI"
	}
	return v + ", built without MPI"
}

// surroundings is what a subcommand is told of the process it runs in.
type surroundings struct {
	launcher mpi.Launcher
	out, err io.Writer // of this process; nowhere in the ranks that keep quiet
}

// speaks tells whether this process is the one of the job that tells the user what all of them find.
func speaks(l mpi.Launcher) bool { return l.Rank <= 0 }

// silentError is an error that another rank has printed, or that nobody needs to hear of.
type silentError struct{ status int }

func (e *silentError) Error() string { return fmt.Sprintf("status %d", e.status) }

// usageError is a command line that makes no sense. The usage is printed with it.
type usageError struct{ text string }

func (e *usageError) Error() string { return e.text }

func usagef(format string, args ...any) error { return &usageError{fmt.Sprintf(format, args...)} }

// report prints an error and returns the exit status that goes with it.
func report(s surroundings, err error) int {
	if stopped := (*stoppedError)(nil); errors.As(err, &stopped) {
		fmt.Fprintln(s.err, "rankpool: ended by signal:", stopped.signal)
		return stopped.status()
	}
	if silent := (*silentError)(nil); errors.As(err, &silent) {
		return silent.status
	}
	fmt.Fprintln(s.err, "rankpool:", err)
	return exitFailure
}

// stoppedError is a signal that ended what this command did.
type stoppedError struct{ signal os.Signal }

func (e *stoppedError) Error() string { return "signal: " + e.signal.String() }

// status is the exit status that a shell would report.
func (e *stoppedError) status() int {
	if n, ok := e.signal.(syscall.Signal); ok {
		return 128 + int(n)
	}
	return exitFailure
}

// untilSignal returns a context that ends, with a *stoppedError, when this process is told to end. Call stop before it becomes
// another program.
func untilSignal() (ctx context.Context, stop func()) {
	ctx, cancel := context.WithCancelCause(context.Background())
	c := make(chan os.Signal, 1)
	for _, sig := range []os.Signal{os.Interrupt, syscall.SIGTERM} {
		if !signal.Ignored(sig) {
			signal.Notify(c, sig)
		}
	}
	go func() {
		select {
		case sig := <-c:
			cancel(&stoppedError{sig})
		case <-ctx.Done():
		}
	}()
	return ctx, func() {
		signal.Stop(c)
		cancel(nil)
	}
}

func indent(s string) string {
	return strings.ReplaceAll(strings.TrimSpace(s), "\n", "\n"+strings.Repeat(" ", 18))
}
