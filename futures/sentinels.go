package futures

import (
	"context"
	"errors"
	"fmt"

	"github.com/rankpool/rankpool/internal/dispatch"
)

// The errors that callers test for by [errors.Is]. They are unrelated to each other, where Python derives some of them from one base class.
// If an error matches others too, its comment says so.
var (
	// ErrCancelled is the error of a future that was cancelled before it began. It does not match [context.Canceled]: that one means that
	// the caller gave up waiting, and the future goes on.
	ErrCancelled = errors.New("futures: cancelled before it began")

	// ErrTimeout is what a wait returns when its time is up. It matches context.DeadlineExceeded. The error of a wait whose context had a
	// deadline matches both. The future is unaffected.
	ErrTimeout error = timeoutError{}

	// ErrInvalidState is returned by the setters of a promise whose future is done already, and by the results of a [Map] that have been
	// read before. The error of a setter says which state it was in. If the future was cancelled it matches [ErrCancelled] too, so that a
	// producer can tell that it made no mistake.
	ErrInvalidState = errors.New("futures: invalid state")

	// ErrBroken is the error of calls that are queued on an executor when it becomes unusable, and of a later [Submit].
	ErrBroken = dispatch.ErrBroken

	// ErrShutdown is returned by an executor that was told to stop taking work.
	ErrShutdown = errors.New("futures: executor is shut down")

	// ErrNotReady is returned when something is asked about a result that is not there yet.
	ErrNotReady = errors.New("futures: not ready")

	// ErrChainCycle is the error of a future that was chained to itself, directly or through others.
	ErrChainCycle = errors.New("futures: chain cycle: the future waits for itself")

	// ErrArgumentChanged is the error of a task that was not run because a large slice of its argument was written to between the call and
	// the moment when it was sent: see [WithSnapshot].
	ErrArgumentChanged = dispatch.ErrChanged

	// ErrTooFewWorkers is the error of a gang that needs more workers than there are: see [OnWorkers].
	ErrTooFewWorkers = dispatch.ErrTooFew

	// ErrNoWorkersComm is returned when the workers' communicator is asked for outside of a task that has one.
	ErrNoWorkersComm = dispatch.ErrNoPeers
)

// timeoutError is the type of ErrTimeout.
type timeoutError struct{}

// Error says that time ran out.
func (timeoutError) Error() string { return "futures: timed out before the future was done" }

// Unwrap makes it match context.DeadlineExceeded.
func (timeoutError) Unwrap() error { return context.DeadlineExceeded }

// Timeout makes it one of net's and os's timeouts.
func (timeoutError) Timeout() bool { return true }

// gaveUpError is what a wait returns when its context ended first.
type gaveUpError struct {
	on    string // what was waited for
	errs  []error
	cause error
}

// gaveUp makes the error of a wait for what on names, whose context has ended.
func gaveUp(ctx context.Context, on string) error {
	e := &gaveUpError{on: on, cause: context.Cause(ctx)}
	if e.cause == nil {
		e.cause = ctx.Err()
	}
	if timedOut(ctx) {
		e.errs = append(e.errs, ErrTimeout)
	}
	e.errs = append(e.errs, ctx.Err(), e.cause)
	return e
}

// timedOut tells whether the context that has ended did so because of a deadline.
func timedOut(ctx context.Context) bool {
	return errors.Is(ctx.Err(), context.DeadlineExceeded) || errors.Is(context.Cause(ctx), context.DeadlineExceeded)
}

// Error says what was waited for and why the wait ended.
func (e *gaveUpError) Error() string {
	return fmt.Sprintf("futures: gave up waiting for %s: %v", e.on, e.cause)
}

// Unwrap returns [ErrTimeout] after a deadline, what the context says, and its cause.
func (e *gaveUpError) Unwrap() []error { return e.errs }

// stateError is the form ErrInvalidState takes: it names the state.
type stateError struct {
	verb string
	was  state
}

// Error says what was tried and on what.
func (e *stateError) Error() string {
	return fmt.Sprintf("futures: invalid state: cannot %s: the future is %s already", e.verb, e.was)
}

// Is matches [ErrInvalidState], and [ErrCancelled] when that is the state.
func (e *stateError) Is(target error) bool {
	return target == ErrInvalidState || target == ErrCancelled && e.was == cancelled
}
