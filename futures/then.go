package futures

import (
	"fmt"
	"sync/atomic"

	"github.com/rankpool/rankpool/internal/lane"
)

// Then returns a future that one of two handlers completes when f is done. It differs from [Compose] in two things. An error of onValue, or
// a panic in it, goes to onError, which may recover. Cancelling the returned future does not cancel f, on which others may depend.
//
// For handlers that return futures there is [ThenChain]. A value that is itself a future stays one: Then does not unwrap it, and each
// [ThenChain] unwraps one level.
func Then[T, R any](f *Future[T], onValue func(T) (R, error), onError func(error) (R, error)) *Future[R] {
	if onValue == nil {
		onValue = passOn[T, R]("Then")
	}
	return attach(f, &composed[T, R]{onValue: onValue, onError: onError, rescue: true})
}

// Catch is [Then] with only the handler for errors. Without that too it swallows the error, and the value is zero. It does not intercept a
// cancellation.
func Catch[T any](f *Future[T], onError func(error) (T, error)) *Future[T] {
	if onError == nil {
		onError = func(error) (v T, _ error) { return v, nil }
	}
	return Then(f, nil, onError)
}

// ThenChain is [Then] for handlers that return a future. The future that ThenChain returns waits for that one and ends as it does, even
// cancelled. If a handler returns neither a future nor an error, the future succeeds with the zero value. Without onValue, a value that is
// a *Future[R] is chained to, and one that an R can hold is passed on.
//
// A future that would wait for itself, directly or through others made by [Then], ThenChain, [Catch], [Compose], [Collect], [Assemble] or
// [SubmitAfter], fails with [ErrChainCycle]. If onValue caused that, onError gets the error first and may recover.
func ThenChain[T, R any](
	f *Future[T], onValue func(T) (*Future[R], error), onError func(error) (*Future[R], error),
) *Future[R] {
	c := &chained[T, R]{onValue: onValue, onError: onError}
	if onValue == nil {
		c.onValue = chainOn[T, R]()
	}
	f = orFailed(f)
	c.from.Store(f)
	c.on = f.callbackLane()
	c.owner, c.calls.to = c, c
	f.addCallback(&c.calls)
	return &c.Future
}

// chainOn returns the handler that chains to the value itself, or wraps it.
func chainOn[T, R any]() func(T) (*Future[R], error) {
	same := func(v T) (T, error) { return v, nil }
	if h, ok := any(same).(func(T) (*Future[R], error)); ok {
		return h
	}
	pass := passOn[T, R]("ThenChain")
	return func(v T) (*Future[R], error) {
		r, err := pass(v)
		f := new(Future[R])
		f.settle(r, err)
		return f, nil
	}
}

// chained is a future that waits for another one, and then for the one that a handler returns.
type chained[T, R any] struct {
	Future[R]
	calls   node[caller]
	from    atomic.Pointer[Future[T]] // whoever swaps it for nil is alone in using the handlers from then on
	tie     atomic.Pointer[tie[T, R]] // whoever swaps it for nil completes this one from the other, or leaves that
	onValue func(T) (*Future[R], error)
	onError func(error) (*Future[R], error)
	on      *lane.Lane
}

// tie is the hook on the future that a handler returned.
type tie[T, R any] struct {
	node  node[hook]
	c     *chained[T, R]
	inner *Future[R]
}

// call implements caller: the first future is done.
func (c *chained[T, R]) call(r *runner) {
	f := c.from.Swap(nil)
	if f == nil {
		return
	}
	defer func() { c.onValue, c.onError = nil, nil }()
	if f.Cancelled() {
		list, _ := c.withdraw(f.err)
		r.push(list.release())
		return
	}
	var list *callbackList
	err := errHandlerExited // unless a handler returns
	defer func() {
		if err != nil {
			var zero R
			list, _ = c.finish(zero, err)
		}
		r.push(list.release())
	}()
	list, err = c.resolve(f)
}

// resolve asks the handler that fits for a future and chains to it.
func (c *chained[T, R]) resolve(f *Future[T]) (*callbackList, error) {
	err := f.failure()
	if err == nil {
		inner, herr := attempt(c.onValue, f.value)
		if herr == nil {
			var list *callbackList
			if list, herr = c.chain(inner); herr == nil {
				return list, nil
			}
		}
		err = herr
	}
	if c.onError == nil {
		return nil, err
	}
	inner, err := attempt(c.onError, err)
	if err != nil {
		return nil, err
	}
	return c.chain(inner)
}

// chain makes c wait for inner, or refuses because inner waits for c.
func (c *chained[T, R]) chain(inner *Future[R]) (*callbackList, error) {
	if inner == nil {
		var zero R
		list, _ := c.finish(zero, nil)
		return list, nil
	}
	if inner == &c.Future {
		return nil, cycle(inner)
	}
	// First tie, then look: of two that close a cycle at the same moment, at least one sees it. Nobody depends on a
	// future without followers, so there the way from inner, which may be long, need not be walked.
	t := &tie[T, R]{c: c, inner: inner}
	t.node.to = t
	c.tie.Store(t)
	if !inner.follow(&t.node) {
		return t.fire(), nil
	}
	if c.isDone() { // cancelled in between, too early to undo what was not done yet
		c.leave()
	} else if c.followed() && leadsTo(&inner.core, &c.core) && c.leave() {
		return nil, cycle(inner)
	}
	return nil, nil
}

// cycle makes the error of a future that cannot be chained to inner.
func cycle(inner fmt.Stringer) error { return fmt.Errorf("%w: %s", ErrChainCycle, inner) }

// fire implements hook: the second future is done.
func (t *tie[T, R]) fire() *callbackList {
	if !t.c.tie.CompareAndSwap(t, nil) {
		return nil
	}
	var list *callbackList
	if t.inner.Cancelled() {
		list, _ = t.c.withdraw(t.inner.err)
	} else {
		list, _ = t.c.finish(t.inner.outcome())
	}
	return list
}

// leave stops waiting for the second future, and tells whether c was: false means that it is being completed from it.
func (c *chained[T, R]) leave() bool {
	t := c.tie.Swap(nil)
	if t == nil {
		return false
	}
	t.inner.unfollow(&t.node)
	return true
}

// cancelled implements canceller.
func (c *chained[T, R]) cancelled() *callbackList {
	if f := c.from.Swap(nil); f != nil {
		f.removeCallback(&c.calls)
		c.onValue, c.onError = nil, nil
	}
	c.leave()
	return nil
}

// lane implements canceller: callbacks run where those of the first future do.
func (c *chained[T, R]) lane() *lane.Lane { return c.on }

// awaits implements dependent.
func (c *chained[T, R]) awaits() *core {
	if t := c.tie.Load(); t != nil {
		return &t.inner.core
	}
	if f := c.from.Load(); f != nil {
		return &f.core
	}
	return nil
}

// dependent is the owner of a future that waits for one other; awaits names it, or nil for none at the moment.
type dependent interface{ awaits() *core }

// leadsTo tells whether c waits for target, be it through others. Nothing is logged anywhere: what a future waits for
// is known to the future alone and forgotten when it is done, so a chain leaves nothing behind.
func leadsTo(c, target *core) bool {
	var seen map[*core]struct{} // once there are several ways to a future
	for left := []*core{c}; len(left) > 0; {
		c, left = left[len(left)-1], left[:len(left)-1]
		for c != nil {
			if c == target {
				return true
			}
			if _, again := seen[c]; again {
				break
			}
			if seen != nil {
				seen[c] = struct{}{}
			}
			c.mu.Lock()
			owner := c.owner
			c.mu.Unlock()
			c = nil
			switch o := owner.(type) {
			case dependent:
				c = o.awaits()
			case gatherer:
				if seen == nil {
					seen = map[*core]struct{}{}
				}
				left = append(left, o.awaitsAll()...)
			}
		}
	}
	return false
}
