package asyncresult

import (
	"context"
	"errors"
	"time"

	"github.com/rankpool/rankpool/futures"
)

// AsyncResult is the result of a call, or of a whole map, that may not be there yet. It is ready when the call has succeeded, has failed,
// or will never run, and does not change after that. It comes from package pool or from [New]. A nil one, or a zero value, is a result that
// has failed. All methods may be called from several goroutines at once.
type AsyncResult[T any] struct{ f *futures.Future[T] }

// ApplyResult is the result of one call.
type ApplyResult[R any] = AsyncResult[R]

// MapResult is the result of a map: the slice of all results, or the first failure; with pool.KeepGoing both.
type MapResult[R any] = AsyncResult[[]R]

// New makes a result of a future, for programs that handle results of pools together with others: the future that [futures.SubmitEach]
// returns, one made by [futures.Then], that of a [futures.Promise]. Callbacks run where those of f do. New panics when f is nil.
func New[T any](f *futures.Future[T]) *AsyncResult[T] {
	if f == nil {
		panic("asyncresult: New: the future is nil; look at the error of the call that was to return it")
	}
	return &AsyncResult[T]{f: f}
}

// future returns what holds the result.
func (r *AsyncResult[T]) future() *futures.Future[T] {
	if r == nil || r.f == nil {
		p := futures.NewPromise[T]()
		_ = p.SetError(errNone)
		return p.Future()
	}
	return r.f
}

var errNone = errors.New("asyncresult: there is no result: look at the error of the call that was to return it")

// Get waits until the result is ready, or until ctx ends, and returns the value or the error of the task. It may be called again, with the
// same outcome.
//
// A ready result is returned even if ctx has ended. Otherwise the error matches the error of ctx, and [futures.ErrTimeout] after a
// deadline; the result is unaffected, and a later Get may find it. A call that will never run because of Terminate has
// [futures.ErrCancelled].
func (r *AsyncResult[T]) Get(ctx context.Context) (T, error) { return r.future().Result(ctx) }

// GetWithin is [AsyncResult.Get] with a time limit in place of a context. With zero or less it does not wait.
func (r *AsyncResult[T]) GetWithin(d time.Duration) (T, error) { return r.future().ResultWithin(d) }

// Wait waits until the result is ready, or until ctx ends, and reports whether it is ready. It does not matter how the task ended.
func (r *AsyncResult[T]) Wait(ctx context.Context) bool {
	f := r.future()
	_, _ = f.Exception(ctx)
	return f.Done()
}

// WaitCallbacks waits until the result is ready and the callbacks that were added before have run, or until ctx ends. Join of a pool waits
// for the same, but for all results. Called by a callback of the same pool it returns an error, because it could wait for a callback that
// comes after its own.
func (r *AsyncResult[T]) WaitCallbacks(ctx context.Context) error {
	return r.future().WaitCallbacks(ctx)
}

// Ready reports whether the result is there. It does not block.
func (r *AsyncResult[T]) Ready() bool { return r.future().Done() }

// DoneChan returns a channel that is closed when the result is ready, for a select.
func (r *AsyncResult[T]) DoneChan() <-chan struct{} { return r.future().DoneChan() }

// Ran returns which worker ran the call, and for how long, once the result is ready. The second result is false if no worker ran it, and
// for a map, whose elements run on many.
func (r *AsyncResult[T]) Ran() (futures.RunInfo, bool) { return r.future().Ran() }

// Successful reports whether the task succeeded. It does not block: before the result is ready the error is [futures.ErrNotReady].
func (r *AsyncResult[T]) Successful() (bool, error) {
	if !r.future().Done() {
		return false, futures.ErrNotReady
	}
	_, err := r.future().ResultWithin(0)
	return err == nil, nil
}

// Callback calls fn with the value once the result is ready, if the task succeeded; for a map, once, with the whole slice. Callbacks of one
// pool run one after another, on a goroutine of the pool, so they may share variables without a lock. Those of different results run in no
// particular order. A callback that blocks delays the others, and Join. A panic in fn is recovered and logged. Callback returns r and does
// not block. It panics when fn is nil.
func (r *AsyncResult[T]) Callback(fn func(T)) *AsyncResult[T] {
	if fn == nil {
		panic("asyncresult: Callback: the callback is nil; pass a function")
	}
	r.notify(func(v T, err error) {
		if err == nil {
			fn(v)
		}
	})
	return r
}

// ErrorCallback calls fn with the error once the result is ready, if the task failed or was cancelled; for a map, once, with its first
// error. Otherwise it is like [AsyncResult.Callback]. A call or map that Terminate has cancelled has [futures.ErrCancelled].
func (r *AsyncResult[T]) ErrorCallback(fn func(error)) *AsyncResult[T] {
	if fn == nil {
		panic("asyncresult: ErrorCallback: the callback is nil; pass a function")
	}
	r.notify(func(_ T, err error) {
		if err != nil {
			fn(err)
		}
	})
	return r
}

// notify has fn called when the result is ready.
func (r *AsyncResult[T]) notify(fn func(T, error)) {
	r.future().AddDoneCallback(func(f *futures.Future[T]) { fn(f.ResultWithin(0)) })
}

// String describes the state of the result.
func (r *AsyncResult[T]) String() string {
	ok, err := r.Successful()
	switch {
	case errors.Is(err, futures.ErrNotReady):
		return "AsyncResult(not ready)"
	case ok:
		return "AsyncResult(successful)"
	default:
		return "AsyncResult(failed)"
	}
}
