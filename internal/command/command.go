// Package command has what the subcommands of rankpool have in common: the process that they run in, and how an error becomes an
// exit status.
package command

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

// Failure is the status of everything that goes wrong before the program starts.
const Failure = 1

// Version is the version of this command, and whether it was built with MPI.
func Version() string {
	v := "(unknown version)"
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" {
		v = info.Main.Version
	}
	if mpi.Built {
		return v + ", built with MPI"
	}
	return v + ", built without MPI"
}

// Surroundings is what a subcommand is told of the process it runs in.
type Surroundings struct {
	Launcher mpi.Launcher
	Out, Err io.Writer // of this process; nowhere in the ranks that keep quiet
}

// Speaks tells whether this process is the one of the job that tells the user what all of them find.
func Speaks(l mpi.Launcher) bool { return l.Rank <= 0 }

// SilentError is an error that another rank has printed, or that nobody needs to hear of.
type SilentError struct{ Status int }

func (e *SilentError) Error() string { return fmt.Sprintf("status %d", e.Status) }

// UsageError is a command line that makes no sense. The usage is printed with it.
type UsageError struct{ text string }

func (e *UsageError) Error() string { return e.text }

// Usagef makes a *UsageError.
func Usagef(format string, args ...any) error { return &UsageError{fmt.Sprintf(format, args...)} }

// Report prints an error and returns the exit status that goes with it.
func Report(s Surroundings, err error) int {
	if stopped := (*StoppedError)(nil); errors.As(err, &stopped) {
		fmt.Fprintln(s.Err, "rankpool: ended by signal:", stopped.Signal)
		return stopped.status()
	}
	if silent := (*SilentError)(nil); errors.As(err, &silent) {
		return silent.Status
	}
	fmt.Fprintln(s.Err, "rankpool:", err)
	return Failure
}

// StoppedError is a signal that ended what this command did.
type StoppedError struct{ Signal os.Signal }

func (e *StoppedError) Error() string { return "signal: " + e.Signal.String() }

// status is the exit status that a shell would report.
func (e *StoppedError) status() int {
	if n, ok := e.Signal.(syscall.Signal); ok {
		return 128 + int(n)
	}
	return Failure
}

// UntilSignal returns a context that ends, with a *StoppedError, when this process is told to end. Call stop before it ends or becomes
// another program: if a signal has come, however late, it makes the *StoppedError of a nil error.
func UntilSignal() (ctx context.Context, stop func(*error)) {
	ctx, cancel := context.WithCancelCause(context.Background())
	c := make(chan os.Signal, 1)
	for _, sig := range []os.Signal{os.Interrupt, syscall.SIGTERM} {
		if !signal.Ignored(sig) {
			signal.Notify(c, sig)
		}
	}
	over, watched := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(watched)
		select {
		case sig := <-c:
			cancel(&StoppedError{sig})
		case <-over:
		}
	}()
	return ctx, func(err *error) {
		signal.Stop(c) // it waits until signals that have come are in the channel
		close(over)
		<-watched
		select {
		case sig := <-c:
			cancel(&StoppedError{sig})
		default:
			cancel(nil)
		}
		if stopped := (*StoppedError)(nil); *err == nil && errors.As(context.Cause(ctx), &stopped) {
			*err = stopped
		}
	}
}

// Indent puts the further lines of a text under its first, in a list with a column in front.
func Indent(s string) string {
	return strings.ReplaceAll(strings.TrimSpace(s), "\n", "\n"+strings.Repeat(" ", 18))
}
