package futures

import (
	"fmt"
	"strings"
	"sync"

	"github.com/rankpool/rankpool/internal/dispatch"
	"github.com/rankpool/rankpool/internal/pkl5"
	"github.com/rankpool/rankpool/internal/registry"
	"github.com/rankpool/rankpool/internal/remote"
)

// RemoteError is the error of a task that failed in another process, or in a goroutine of a program that was told to use
// those (RANKPOOL_BACKEND=threads): Func, Worker, Rank, Host, Pid, Thread (the worker is a goroutine), the Type and Message of
// the error there, and the Stack if it was a panic (printed by %+v). errors.Is and errors.As look through it for what survives
// the way: context, io, fs, os, syscall.Errno and strconv errors, errors.Join and %w chains, and whatever RegisterError made
// known. Others arrive as text with the name of their type.
type RemoteError = remote.Error

// PanicError is the error of a task that panicked, with the panic's value as text, its type and the stack, or that
// called runtime.Goexit. A panic with an error matches that error.
type PanicError = remote.PanicError

// BrokenError is the error of a task that was lost with its worker, and of everything queued on an executor that can no
// longer work: Worker (-1 for none in particular), Host, Pid, Rank (-1 for none), Thread (the worker is a goroutine of that
// process), Task and the Cause. It matches ErrBroken.
type BrokenError = dispatch.BrokenError

// MismatchError is the Cause when a worker is not the program that the master is; %+v shows the whole difference.
type MismatchError = registry.MismatchError

// RunningTask is a task that was still running: Func, Worker, Host, Pid, Thread, and Since when.
type RunningTask = dispatch.RunningTask

// PeerError is what an operation of package comm returns when a worker that it waits for was lost, or its call in the same
// SubmitEach has failed or returned. It matches ErrBroken.
type PeerError = dispatch.PeerError

// ShutdownError is returned by a Shutdown that its context cut short. It unwraps to the reason, ErrTimeout among them
// when that was a deadline.
type ShutdownError struct {
	Running []RunningTask // what still runs
	Cause   error
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

// RegisterError makes an error type known under a name, so that errors.As finds it in a RemoteError with all its
// fields. Like Register it belongs into a package-level variable:
//
//	var _ = futures.RegisterError[*InputError]("InputError")
//
// It panics when the name is taken or empty, or the type cannot be encoded.
func RegisterError[E error](name string) struct{} {
	where := registry.Caller(0)
	err := registry.Default().Add(registry.Entry{Kind: registry.ErrorType, Name: name, Args: typeOf[E](), Where: where})
	if err == nil {
		err = remote.RegisterErrorType[E](name)
	}
	if err != nil {
		panic("futures: " + err.Error())
	}
	return struct{}{}
}

// RegisterSentinel makes an error value known under a name, so that errors.Is finds it in a RemoteError:
//
//	var ErrEmpty = futures.RegisterSentinel("empty", errors.New("nothing there"))
//
// It panics when the name is taken or empty, when err is nil, and after Main has begun.
func RegisterSentinel(name string, err error) error {
	where := registry.Caller(0)
	problem := registry.Default().Add(registry.Entry{Kind: registry.Sentinel, Name: name, Args: typeOf[error](), Where: where})
	if problem == nil {
		problem = remote.RegisterSentinel(name, err)
	}
	if problem != nil {
		panic("futures: " + problem.Error())
	}
	return err
}

// RegisterType makes a concrete type known under a name, so that values of it can travel inside interfaces. Like
// Register it belongs into a package-level variable. It panics when the name is taken or empty, or the type cannot be
// encoded.
func RegisterType[T any](name string) struct{} {
	where := registry.Caller(0)
	err := registry.Default().Add(registry.Entry{Kind: registry.Type, Name: name, Args: typeOf[T](), Where: where})
	if err == nil {
		err = pkl5.RegisterType(name, typeOf[T]())
	}
	if err != nil {
		panic("futures: " + err.Error())
	}
	return struct{}{}
}

// registerSentinels makes this package's own errors keep their identity across processes.
var registerSentinels = sync.OnceFunc(func() {
	if problem := remote.RegisterErrorType[*PeerError]("futures.PeerError"); problem != nil {
		panic("futures: " + problem.Error())
	}
	for name, err := range map[string]error{
		"futures.ErrCancelled": ErrCancelled, "futures.ErrTimeout": ErrTimeout, "futures.ErrInvalidState": ErrInvalidState,
		"futures.ErrBroken": ErrBroken, "futures.ErrShutdown": ErrShutdown, "futures.ErrNotReady": ErrNotReady,
		"futures.ErrChainCycle": ErrChainCycle, "futures.ErrDrained": ErrDrained, "futures.ErrArgumentChanged": ErrArgumentChanged, "futures.ErrNoWorkersComm": ErrNoWorkersComm,
	} {
		if problem := remote.RegisterSentinel(name, err); problem != nil {
			panic("futures: " + problem.Error())
		}
	}
})
