package futures

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/rankpool/rankpool/internal/dispatch"
	"github.com/rankpool/rankpool/internal/remote"
)

// RemoteError is the error of a task that failed in another process, or in a goroutine under RANKPOOL_BACKEND=threads, and of an
// initializer that failed.
//
// [errors.Is] and [errors.As] look through it at the error of the task, as far as that survives the transfer: see [RegisterError]. With %+v
// it prints the tree of causes with their types, and the stack.
//
// The stack is that of a panic, or the one that the error carries, or the innermost one of the errors that it wraps. An error carries a
// stack when it has one of these methods, as errors of packages that record a stack do:
//
//	Stack() string
//	Stack() []byte
//	StackTrace() T // a T that prints the stack with %+v
type RemoteError struct {
	Func    string // the registered name of the function, after "initializer " if it is one; empty if it is not known
	Worker  int    // the worker's index, from 0
	Workers int    // how many workers the pool has; 0 if it is not known
	Rank    int    // the rank of the worker's process in its MPI job; negative if there is none
	Host    string // where the worker ran; empty if it is not known
	Pid     int    // the worker's process; 0 if it is not known
	Thread  bool   // the worker is a goroutine of that process
	Type    string // the Go type of the error that the task returned
	Message string // its text
	Stack   string // of the goroutine that panicked, or carried by the error; else empty
	Cause   error  // the error that the task returned, as far as it survived the transfer
}

// Error returns one line with what failed, where, and the message. A message of several lines keeps them.
func (e *RemoteError) Error() string { return (*remote.Error)(e).Error() }

// Unwrap returns the cause.
func (e *RemoteError) Unwrap() error { return e.Cause }

// Format writes the line of [RemoteError.Error], and with %+v also the tree of causes with their types and the stack of the worker.
func (e *RemoteError) Format(s fmt.State, verb rune) { (*remote.Error)(e).Format(s, verb) }

// PanicError is the error of a task, an initializer or a handler of [Then] and the like that panicked, or that called
// [runtime.Goexit]. Printed with %+v it shows the stack.
type PanicError struct {
	Value  string // the value of the panic as text
	Type   string // its Go type; empty after a Goexit
	Stack  string // of the goroutine that panicked
	Goexit bool   // no panic: the goroutine was ended by runtime.Goexit
	Cause  error  // the value of the panic if it was an error; errors.Is and errors.As find it
}

// Error says that it was a panic, and the value; for values that are more than a string also the type.
func (e *PanicError) Error() string { return (*remote.PanicError)(e).Error() }

// Unwrap returns the value of the panic if it was an error.
func (e *PanicError) Unwrap() error { return e.Cause }

// Format writes the line of [PanicError.Error], and with %+v the stack below it.
func (e *PanicError) Format(s fmt.State, verb rune) { (*remote.PanicError)(e).Format(s, verb) }

// BrokenError is the error of a task that was lost with its worker, and of everything queued on an executor that has become unusable. It
// matches [ErrBroken].
type BrokenError struct {
	Worker  int    // the index of the worker at fault; -1 if there is none in particular
	Workers int    // how many workers the pool has; 0 if it is not known
	Host    string // where the worker ran; empty if it is not known
	Pid     int    // the worker's process; 0 if it is not known
	Rank    int    // the rank of that process in its MPI job; -1 if there is none, or it is not known
	Thread  bool   // the worker is a goroutine of that process
	Task    string // the function that the worker ran, if a task was lost with it
	Cause   error  // what happened to the worker; a *MismatchError if it runs another program
}

// Error names the task, the worker and the cause.
func (e *BrokenError) Error() string { return (*dispatch.BrokenError)(e).Error() }

// Is reports that a [*BrokenError] matches [ErrBroken].
func (e *BrokenError) Is(target error) bool { return target == ErrBroken }

// Unwrap returns the cause.
func (e *BrokenError) Unwrap() error { return e.Cause }

// Format writes the line of [BrokenError.Error]. With %+v it adds the details of the cause, such as the stack of a panic, or the whole
// difference between two programs.
func (e *BrokenError) Format(s fmt.State, verb rune) {
	switch {
	case verb == 'q':
		fmt.Fprintf(s, "%q", e.Error())
	case verb == 'v' && s.Flag('+') && e.Cause != nil:
		fmt.Fprintf(s, "%s\ncause: %+v", e.Error(), e.Cause)
	default:
		io.WriteString(s, e.Error())
	}
}

// PeerError is the error of an operation of package comm that waits for a worker which was lost, or whose call in the same [SubmitEach] has
// failed or returned. It matches [ErrBroken].
type PeerError struct {
	Worker int    // the index of the worker that was waited for
	Rank   int    // its rank in the communicator of the workers
	Reason string // why it sends nothing more; empty when its call has returned
}

// Error names the worker and the reason.
func (e *PeerError) Error() string { return (*dispatch.PeerError)(e).Error() }

// Unwrap returns [ErrBroken].
func (e *PeerError) Unwrap() error { return ErrBroken }

// MismatchError is the Cause of a [BrokenError] when a worker does not run the master's program, or is a rank with another MPI library. The
// worker has run no task. With %+v it prints the whole difference.
type MismatchError struct {
	Worker int    // the worker's index
	Host   string // where it ran; empty if it is not known
	Diff   string // every difference, one a line
}

// Error names the worker, the first difference, and what to do.
func (e *MismatchError) Error() string {
	first, rest, _ := strings.Cut(e.Diff, "\n")
	// The sign in front means something only in a list.
	first = strings.TrimSpace(strings.TrimLeft(first, "-+~ "))
	more := 0
	for l := range strings.SplitSeq(rest, "\n") {
		if l != "" && !strings.HasPrefix(l, " ") {
			more++
		}
	}
	if libraries, ok := strings.CutPrefix(first, "MPI library: "); ok { // the last of the differences: the programs are the same
		return e.who() + " uses another MPI library: " + libraries + "; load the same module, or set the same RANKPOOL_MPI, for every rank and host"
	}
	s := e.who() + " runs a different program"
	if first != "" {
		s += ": " + strings.Join(strings.Fields(first), " ")
	}
	switch {
	case more == 1:
		s += " (and 1 more difference)"
	case more > 1:
		s += fmt.Sprintf(" (and %d more differences)", more)
	}
	return s + "; start every process from the same executable, rebuilt and copied to every host"
}

func (e *MismatchError) who() string {
	if e.Host == "" {
		return fmt.Sprintf("worker %d", e.Worker)
	}
	return fmt.Sprintf("worker %d on %s", e.Worker, e.Host)
}

// Format writes the one line of [MismatchError.Error], and with %+v the whole difference below it.
func (e *MismatchError) Format(s fmt.State, verb rune) {
	switch {
	case verb == 'q':
		fmt.Fprintf(s, "%q", e.Error())
	case verb == 'v' && s.Flag('+'):
		io.WriteString(s, e.Error()+"\n"+e.Diff)
	default:
		io.WriteString(s, e.Error())
	}
}

// ShutdownError is returned by a Shutdown that its context cut short. It matches the error of the context, and [ErrTimeout] if that was a
// deadline.
type ShutdownError struct {
	Running []RunningTask // what still runs
	Cause   error         // why the wait ended
}

// Error names the tasks that still run.
func (e *ShutdownError) Error() string {
	s := "futures: Shutdown was cut short"
	if len(e.Running) > 0 {
		names := make([]string, len(e.Running))
		for i, t := range e.Running {
			names[i] = t.String()
		}
		s += fmt.Sprintf(" with %d tasks running: %s", len(names), strings.Join(names, ", "))
	}
	if e.Cause != nil {
		s += ": " + e.Cause.Error()
	}
	return s
}

// Unwrap returns the reason.
func (e *ShutdownError) Unwrap() error { return e.Cause }

// RunningTask is a task that was still running when a Shutdown was cut short.
type RunningTask struct {
	Func   string    // the name of the function, as registered
	Worker int       // the index of the worker
	Host   string    // where the worker runs
	Pid    int       // the worker's process; 0 if it is not known
	Thread bool      // the worker is a goroutine of that process
	Since  time.Time // when the worker was given the batch that the task is in
}

// String names the task and its worker.
func (t RunningTask) String() string {
	name := t.Func
	if name == "" {
		name = "a task"
	}
	switch {
	case t.Thread:
		return fmt.Sprintf("%s on worker %d (a goroutine of this program)", name, t.Worker)
	case t.Pid == 0:
		return fmt.Sprintf("%s on worker %d", name, t.Worker)
	}
	return fmt.Sprintf("%s on worker %d (process %d on %s)", name, t.Worker, t.Pid, t.Host)
}

func init() { remote.Declare(outward, inward) }

// outward returns an error of the packages below as the type of this package that it is.
func outward(err error) error {
	switch e := err.(type) {
	case *remote.Error:
		return (*RemoteError)(e)
	case *remote.PanicError:
		return (*PanicError)(e)
	case *dispatch.BrokenError:
		return (*BrokenError)(e)
	case *dispatch.PeerError:
		return (*PeerError)(e)
	}
	return err
}

// inward takes that back, for those that package remote writes.
func inward(err error) error {
	switch e := err.(type) {
	case *RemoteError:
		return (*remote.Error)(e)
	case *PanicError:
		return (*remote.PanicError)(e)
	}
	return err
}
