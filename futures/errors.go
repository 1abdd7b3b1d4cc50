package futures

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/rankpool/rankpool/internal/dispatch"
	"github.com/rankpool/rankpool/internal/remote"
)

// RemoteError is the error of a task that failed in another process, or in a goroutine of a program that was told to use
// those (RANKPOOL_BACKEND=threads), and of an initializer that failed.
//
// [errors.Is] and [errors.As] look through it at what the task returned, as far as that survives the way: see [RegisterError].
// Printed with %+v it shows the tree of causes with their types, and the stack.
//
// The stack is that of a panic, or the one that the error carried, or the innermost of those that it wraps. An error carries a stack
// when it has one of these methods, as errors of packages that record a stack do:
//
//	Stack() string
//	Stack() []byte
//	StackTrace() T // a T that prints the stack with %+v
type RemoteError struct {
	Func    string // the name of the function, as registered, behind "initializer " if it is that; empty if it is not known
	Worker  int    // the worker's index, from 0
	Workers int    // how many workers the pool has; 0 if it is not known
	Rank    int    // of the worker's process in its MPI job; negative where there is none
	Host    string // where the worker ran; empty if it is not known
	Pid     int    // the worker's process; 0 if it is not known
	Thread  bool   // the worker is a goroutine of that process
	Type    string // the Go type of what the task returned
	Message string // its text
	Stack   string // of the goroutine that panicked, or that the error carried; else empty
	Cause   error  // what the task returned, as far as it survived the way
}

// Error tells on one line what failed, where, and the message; a message of several lines keeps them.
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

// Error tells that it was a panic, and the value; the type as well for values that are more than a string.
func (e *PanicError) Error() string { return (*remote.PanicError)(e).Error() }

// Unwrap returns the value of the panic if it was an error.
func (e *PanicError) Unwrap() error { return e.Cause }

// Format writes the line of [PanicError.Error], and with %+v the stack below it.
func (e *PanicError) Format(s fmt.State, verb rune) { (*remote.PanicError)(e).Format(s, verb) }

// BrokenError is the error of a task that was lost with its worker, and of everything queued on an executor that can no
// longer work. It matches [ErrBroken].
type BrokenError struct {
	Worker  int    // the index of the worker at fault; -1 when it is none in particular
	Workers int    // how many workers the pool has; 0 if it is not known
	Host    string // where the worker ran; empty if it is not known
	Pid     int    // the worker's process; 0 if it is not known
	Rank    int    // of that process in its MPI job; -1 when it has none, or it is not known
	Thread  bool   // the worker is a goroutine of that process
	Task    string // the function that the worker ran, if a task was lost with it
	Cause   error  // what happened to the worker; a *MismatchError if it is another program
}

// Error names the task and the worker, and tells the cause.
func (e *BrokenError) Error() string { return (*dispatch.BrokenError)(e).Error() }

// Is says that a [*BrokenError] is [ErrBroken].
func (e *BrokenError) Is(target error) bool { return target == ErrBroken }

// Unwrap returns the cause.
func (e *BrokenError) Unwrap() error { return e.Cause }

// Format writes the line of [BrokenError.Error], and with %+v also what the cause has to say at length: the stack of a panic, or the whole difference
// of a program.
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

// PeerError is what an operation of package comm returns when a worker that it waits for was lost, or when that worker's call in the
// same [SubmitEach] has failed or returned. It matches [ErrBroken].
type PeerError struct {
	Worker int    // the index of the worker that says nothing more
	Rank   int    // its rank in the communicator of the workers
	Reason string // why; empty when its call has returned
}

// Error names the worker and the reason.
func (e *PeerError) Error() string { return (*dispatch.PeerError)(e).Error() }

// Unwrap returns [ErrBroken].
func (e *PeerError) Unwrap() error { return ErrBroken }

// MismatchError is the Cause of a [BrokenError] when a worker is not the program that the master is, or is a rank with another MPI
// library. The worker has run nothing.
// Printed with %+v it shows the whole difference.
type MismatchError struct {
	Worker int    // the worker's index
	Host   string // where it ran; empty if it is not known
	Diff   string // every difference, one a line
}

// Error tells which worker, the first difference, and what to do.
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

// ShutdownError is returned by a Shutdown that its context cut short. It matches what the context says, and [ErrTimeout] when that
// was a deadline.
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
