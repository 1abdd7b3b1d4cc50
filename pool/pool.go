package pool

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"sync"

	"github.com/rankpool/rankpool/asyncresult"
	"github.com/rankpool/rankpool/futures"
)

// AsyncResult is what the asynchronous verbs return. Its methods are those of [asyncresult.AsyncResult].
type AsyncResult[T any] = asyncresult.AsyncResult[T]

// ApplyResult is the [AsyncResult] of [ApplyAsync].
type ApplyResult[R any] = asyncresult.ApplyResult[R]

// MapResult is the [AsyncResult] of [MapAsync] and [StarmapAsync].
type MapResult[R any] = asyncresult.MapResult[R]

// Pool is a pool of workers. It comes from [New], [With], [On] or package threadpool. Its methods and the verbs may be called from several
// goroutines at once. On a nil Pool, or a zero value, the verbs and [Pool.Join] return an error.
type Pool struct {
	ex futures.Executor

	mu     sync.Mutex
	closed bool
	maps   int           // asynchronous maps under way
	idle   chan struct{} // closed when there are none; nil when nobody waits for that
}

// New returns a pool whose workers depend on how the program was started: processes of this machine, or the ranks of an MPI job. Nothing
// starts before the pool is first used. Every option of an executor is an option of a pool. The error lists every option that is wrong.
func New(opts ...Option) (*Pool, error) {
	ex, err := futures.NewMPIPoolExecutor(opts...)
	if err != nil {
		return nil, fmt.Errorf("pool: New: %w", err)
	}
	return On(ex), nil
}

// On returns a pool with the workers of an executor. The executor then belongs to the pool: Close, [Pool.Terminate] and [Pool.Join] shut it
// down. On panics when ex is nil.
func On(ex futures.Executor) *Pool {
	if v := reflect.ValueOf(ex); !v.IsValid() || v.Kind() == reflect.Pointer && v.IsNil() {
		panic("pool: On: the executor is nil; make one with package futures")
	}
	return &Pool{ex: ex}
}

// Executor returns the executor that the pool uses, for its Stats, Backend and NumWorkers, and for [futures.Submit].
func (p *Pool) Executor() futures.Executor {
	if p.none() {
		return nil
	}
	return p.ex
}

var errNone = errors.New("pool: there is no pool: make one with New, With, On or package threadpool")

func (p *Pool) none() bool { return p == nil || p.ex == nil }

// Close forbids further calls, which get [futures.ErrShutdown]. Submitted calls still run. Like Python's close it does not wait;
// [Pool.Join] waits. Close of an executor waits, as Close usually does in Go.
func (p *Pool) Close() {
	if p.none() {
		return
	}
	p.close()
	_ = p.ex.Shutdown(context.Background(), futures.NoWait()) // without waiting it cannot fail
}

// Terminate is [Pool.Close] that also cancels the tasks that have not begun and ends the contexts of running tasks. It does not wait for
// these: a task that ignores its context runs to its end. Cancelled tasks fail with [futures.ErrCancelled], which Get and [Imap] return and
// an ErrorCallback gets.
func (p *Pool) Terminate() {
	if p.none() {
		return
	}
	p.close()
	_ = p.ex.Shutdown(context.Background(), futures.NoWait(), futures.CancelFutures(), futures.InterruptTasks())
}

// Join waits until everything that was submitted has run, its callbacks too, and the workers have left. If ctx ends first, the error says
// which tasks still run, and they go on. Join implies [Pool.Close]. Called by a callback, it does not wait for callbacks, since it would
// wait for itself.
func (p *Pool) Join(ctx context.Context) error {
	if p.none() {
		return errNone
	}
	p.close()
	if err := p.ex.Shutdown(ctx); err != nil {
		return &joinError{err}
	}
	if err := p.mapsDone(ctx); err != nil {
		return fmt.Errorf("pool: Join: waiting for a MapAsync to collect its results: %w", err)
	}
	if err := p.ex.Shutdown(ctx); err != nil { // what their callbacks take
		return &joinError{err}
	}
	return nil
}

// joinError is an error of the executor. It is not looked at before the user does so, see futures.TestMain.
type joinError struct{ cause error }

func (e *joinError) Error() string { return "pool: Join: " + e.cause.Error() }
func (e *joinError) Unwrap() error { return e.cause }

func (p *Pool) close() {
	p.mu.Lock()
	p.closed = true
	p.mu.Unlock()
}

// usable says whether the pool takes calls.
func (p *Pool) usable() error {
	if p.none() {
		return errNone
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return futures.ErrShutdown
	}
	return nil
}

// beginMap counts an asynchronous map, unless the pool is closed: Join waits for it.
func (p *Pool) beginMap() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return futures.ErrShutdown
	}
	p.maps++
	return nil
}

func (p *Pool) endMap() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.maps--
	if p.maps == 0 && p.idle != nil {
		close(p.idle)
		p.idle = nil
	}
}

// mapsDone waits until no asynchronous map is under way, or until ctx ends.
func (p *Pool) mapsDone(ctx context.Context) error {
	p.mu.Lock()
	if p.maps == 0 {
		p.mu.Unlock()
		return nil
	}
	if p.idle == nil {
		p.idle = make(chan struct{})
	}
	idle := p.idle
	p.mu.Unlock()
	select {
	case <-idle:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
