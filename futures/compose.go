package futures

import (
	"fmt"
	"reflect"
	"runtime/debug"
	"sync/atomic"

	"github.com/rankpool/rankpool/internal/lane"
	"github.com/rankpool/rankpool/internal/remote"
)

// Compose returns a future that one of two handlers completes when f is done. onValue gets the value, or onError the error, and the result
// of that handler is the outcome. Without onError the very same error is passed on, and without onValue the value. The latter needs an R
// that can hold a T, otherwise Compose panics.
//
// A handler runs where the callbacks of f do, among them and in their order; if f is done already, it is due at once. A panic or
// [runtime.Goexit] in it fails the returned future with a [*PanicError]. The returned future is never running. A nil f counts as failed.
//
// When f is cancelled, so is the returned future, and no handler runs. Cancelling the returned future cancels f if that is pending; if it
// is running, the handlers are dropped.
func Compose[T, R any](f *Future[T], onValue func(T) (R, error), onError func(error) (R, error)) *Future[R] {
	if onValue == nil {
		onValue = passOn[T, R]("Compose")
	}
	return attach(f, &composed[T, R]{onValue: onValue, onError: onError, binding: true})
}

// composed is a future that waits for another one and has a handler complete it.
type composed[T, R any] struct {
	Future[R]
	node    node[caller]
	from    atomic.Pointer[Future[T]] // whoever swaps it for nil is alone in using the handlers from then on
	onValue func(T) (R, error)
	onError func(error) (R, error)
	on      *lane.Lane
	binding bool // to cancel this one cancels the other
	rescue  bool // onError gets the error of onValue, too
}

// attach makes c wait for f and returns the future that it is.
func attach[T, R any](f *Future[T], c *composed[T, R]) *Future[R] {
	f = orFailed(f)
	c.from.Store(f)
	c.on = f.callbackLane()
	c.owner, c.node.to = c, c
	f.addCallback(&c.node)
	return &c.Future
}

// call implements caller: the other future is done.
func (c *composed[T, R]) call(r *runner) {
	f := c.from.Swap(nil)
	if f == nil {
		return
	}
	defer c.drop()
	if f.Cancelled() {
		list, _ := c.withdraw(f.err)
		r.push(list.release())
		return
	}
	var v R
	err := errHandlerExited // unless a handler returns
	defer func() { r.push(c.settle(v, err)) }()
	v, err = handle(f, c.onValue, c.onError, c.rescue)
}

// cancelled implements canceller.
func (c *composed[T, R]) cancelled() *callbackList {
	f := c.from.Swap(nil)
	if f == nil {
		return nil
	}
	f.removeCallback(&c.node)
	c.drop()
	if !c.binding {
		return nil
	}
	list, _ := f.withdraw(c.err)
	return list
}

// bound implements binder.
func (c *composed[T, R]) bound() []*core {
	if f := c.from.Load(); f != nil && c.binding {
		return []*core{&f.core}
	}
	return nil
}

// drop lets go of the handlers and of what they hold.
func (c *composed[T, R]) drop() { c.onValue, c.onError = nil, nil }

// lane implements canceller: callbacks run where those of the other future do.
func (c *composed[T, R]) lane() *lane.Lane { return c.on }

// awaits implements dependent.
func (c *composed[T, R]) awaits() *core {
	if f := c.from.Load(); f != nil {
		return &f.core
	}
	return nil
}

// handle gives the outcome of f, which is done and not cancelled, to the handler that fits. With rescue, an error of
// onValue goes to onError.
func handle[T, R any](
	f *Future[T], onValue func(T) (R, error), onError func(error) (R, error), rescue bool,
) (R, error) {
	err := f.failure()
	if err == nil {
		var v R
		if v, err = attempt(onValue, f.value); err == nil || !rescue {
			return v, err
		}
	}
	if onError == nil {
		var zero R
		return zero, err
	}
	return attempt(onError, err)
}

// attempt calls a handler and makes a panic an error, which has the stack.
func attempt[A, R any](fn func(A) (R, error), a A) (r R, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = remote.Recovered(p, debug.Stack())
		}
	}()
	return fn(a)
}

// errHandlerExited is the failure that a handler leaves behind when it calls runtime.Goexit.
var errHandlerExited error = &PanicError{Goexit: true}

// passOn returns the handler that hands the value on as it is.
func passOn[T, R any](verb string) func(T) (R, error) {
	same := func(v T) (T, error) { return v, nil }
	if h, ok := any(same).(func(T) (R, error)); ok {
		return h
	}
	from, to := reflect.TypeFor[T](), reflect.TypeFor[R]()
	if !from.AssignableTo(to) {
		const text = "futures: %s: onValue is nil, but a %v cannot be passed on as a %v; pass a function"
		panic(fmt.Sprintf(text, verb, from, to))
	}
	return func(v T) (r R, _ error) {
		reflect.ValueOf(&r).Elem().Set(reflect.ValueOf(&v).Elem())
		return r, nil
	}
}
