package futures

import (
	"log/slog"
	"strings"

	"github.com/rankpool/rankpool/internal/lane"
)

// Promise is the other end of a [Future] that a program completes itself: one side sets the result of the promise, the other waits for its
// [Promise.Future]. The future is done when [Promise.SetResult], [Promise.SetError] or [Promise.SetPartial] is called, or when it is
// cancelled. The zero value is ready to use. A Promise must not be copied. All methods may be called from several goroutines at once.
type Promise[T any] struct{ future Future[T] }

// NewPromise returns a promise whose future is pending. Callbacks of the future run in the goroutine that completes or cancels it.
func NewPromise[T any]() *Promise[T] { return new(Promise[T]) }

// NewFuture returns a future that nobody completes: it is pending until it is cancelled. In tests of code that waits it stands for a call
// that does not end. For a future that will be completed, use a [Promise].
func NewFuture[T any]() *Future[T] { return NewPromise[T]().Future() }

// NewPromiseOn is [NewPromise] for a call that is built on an executor, such as pool.MapAsync. The callbacks of the future run where those
// of the executor's own futures do, and never at the same time as one of them, even if they are added late. Close and Shutdown wait for
// callbacks that are due, but not for the future to be completed. NewPromiseOn panics when ex is nil or a zero value.
func NewPromiseOn[T any](ex Executor) *Promise[T] {
	e, err := baseOf(ex)
	if err != nil {
		panic("futures: NewPromiseOn: " + strings.TrimPrefix(err.Error(), "futures: "))
	}
	p := new(Promise[T])
	p.future.owner = (*beside)(e)
	return p
}

// beside is the executor as the owner of a promise's future: it has its callbacks, and nothing to do with its completion.
type beside executor

func (b *beside) cancelled() *callbackList { return nil }

func (b *beside) lane() *lane.Lane { return &b.callbacks }

// Future returns the future that the promise completes, the same each time; nil for a nil promise.
func (p *Promise[T]) Future() *Future[T] {
	if p == nil {
		return nil
	}
	return &p.future
}

// SetRunningOrNotifyCancel claims the pending future for the caller, who is about to do its work, and reports whether to do it: false means
// that the future was cancelled and the work must be skipped. Claiming one that is running or finished is a mistake; it is logged, and the
// result is false as well.
func (p *Promise[T]) SetRunningOrNotifyCancel() bool {
	switch {
	case p == nil:
		return false
	case p.future.claim():
		return true
	}
	if s := p.future.is(); s != cancelled {
		log(slog.LevelError+4, "futures: a promise was claimed whose future is not pending", "state", s.String())
	}
	return false
}

// SetResult finishes the future with a value. It blocks only for the callbacks. A future that is done already stays as it is, and the error
// matches [ErrInvalidState].
func (p *Promise[T]) SetResult(v T) error { return p.set("set the result", v, nil) }

// SetError finishes the future with an error. Any error that is not nil is a failure, even one that holds a nil pointer; nil is success
// with the zero value. Otherwise it is like [Promise.SetResult].
func (p *Promise[T]) SetError(err error) error {
	var zero T
	return p.set("set the error", zero, err)
}

// SetPartial finishes the future with a partial value and the error that says what is missing; [Future.Result] returns both. Otherwise it
// is like [Promise.SetResult].
func (p *Promise[T]) SetPartial(v T, err error) error {
	if p == nil {
		return errNoPromise
	}
	f := &p.future
	if !f.begin() {
		return &stateError{verb: "set a partial result", was: f.is()}
	}
	f.value, f.partial = v, err != nil
	f.end(err).release().run()
	return nil
}

func (p *Promise[T]) set(verb string, v T, err error) error {
	if p == nil {
		return errNoPromise
	}
	list, ok := p.future.finish(v, err)
	if !ok {
		return &stateError{verb: verb, was: p.future.is()}
	}
	list.release().run()
	return nil
}
