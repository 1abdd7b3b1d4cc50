package futures

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"sync"
	"sync/atomic"

	"github.com/rankpool/rankpool/internal/dispatch"
)

// WithContext binds one call to a context. When ctx ends before the task has begun, the future is cancelled: its error matches
// [ErrCancelled], the error of ctx, and [context.Cause] of it. When ctx ends while the task runs, the task's own context ends, as by
// [Future.Interrupt]. A failure of the task then matches the error of ctx and its cause. A task that succeeds nevertheless has its result.
//
// The values and the deadline of ctx do not travel. A call whose ctx had ended before [Submit] never begins. Among calls with the same ctx,
// those that wait are cancelled before those that run end. Contexts that end at the same time, such as those derived from one, are handled
// one after another. Meanwhile a call may begin because another task has made room; its context ends then.
func WithContext(ctx context.Context) SingleOption {
	return callOption(func(c *taskConfig) error {
		if ctx == nil {
			return errors.New("WithContext: the context is nil")
		}
		c.ctx = ctx
		return nil
	})
}

// callOption is an option that makes sense for one call only.
type callOption func(*taskConfig) error

func (o callOption) task(c *taskConfig) error    { return o(c) }
func (o callOption) forEach(c *taskConfig) error { return o(c) }

// interrupt is Future.Interrupt; why is the error of what has not begun.
func (c *core) interrupt(why error) bool {
	c.mu.Lock()
	owner := c.owner
	c.mu.Unlock()
	var inputs []*core
	if b, ok := owner.(binder); ok && !c.isDone() {
		inputs = b.bound()
	}
	list, ok := c.withdraw(why)
	list.release().run()
	if i, is := owner.(interrupter); is && !ok && !c.isDone() {
		if ok = i.interrupt(); !ok { // it may have come back in between
			list, ok = c.withdraw(why)
			list.release().run()
		}
	}
	if ok {
		for _, in := range inputs {
			in.interrupt(why)
		}
	}
	return ok
}

// interrupter is the owner of a future that can end the context of what it is the result of.
type interrupter interface{ interrupt() (runs bool) }

// binder is the owner of a future whose cancellation cancels others.
type binder interface{ bound() []*core }

// call is the owner of a future that a submitted job completes.
type call interface {
	canceller
	worker
	interrupter
}

// under is a call that WithContext has bound to a context. It stands in the call's place as the owner of the future.
type under struct {
	call
	ctx   context.Context
	c     *core
	ended atomic.Bool // ctx has ended, and the call was told
	done  node[hook]
	group *boundCalls
	place node[*under] // in the group
}

// submitUnder gives a job to the scheduler, by its Submit or Expect, bound to a context unless that is nil.
func submitUnder(
	ctx context.Context, e *executor, m *dispatch.Master, j *dispatch.Job, c *core, owner canceller, submit func(*dispatch.Master, *dispatch.Job) error,
) error {
	if ctx == nil {
		return submit(m, j)
	}
	u := &under{call: owner.(call), ctx: ctx, c: c}
	u.done.to, u.place.to = u, u
	c.owner = u
	if ctx.Err() != nil {
		if err := m.Refusal(); err != nil {
			return err
		}
		u.ended.Store(true)
		c.revoke(whyEnded(u)) // nobody has a callback yet
		neverRuns(j)
		return nil
	}
	if err := submit(m, j); err != nil {
		return err
	}
	e.bound.add(u)
	if !c.follow(&u.done) {
		u.fire()
	}
	return nil
}

// fire implements hook: the future is done, and the context needs to know it no longer.
func (u *under) fire() *callbackList {
	u.group.remove(u)
	return nil
}

// bindings are the calls of an executor that are bound to contexts, and not done. Those of one context are together, so that what
// waits is cancelled before the end of what runs makes room for it.
type bindings struct {
	mu     sync.Mutex
	groups map[context.Context]*boundCalls
}

// boundCalls are the calls that are bound to one context. The lock of the bindings guards them.
type boundCalls struct {
	of    *bindings
	ctx   context.Context
	known bool // it is in the map
	calls ring[*under]
	stop  func() bool // nil until the end of the context is waited for
}

// add has the end of a call's context reach it.
func (b *bindings) add(u *under) {
	key := reflect.ValueOf(u.ctx).Comparable() // else a map does not take it, and each call is alone
	b.mu.Lock()
	var g *boundCalls
	if key {
		g = b.groups[u.ctx]
	}
	fresh := g == nil
	if fresh {
		g = &boundCalls{of: b, ctx: u.ctx, known: key}
	}
	if fresh && key {
		if b.groups == nil {
			b.groups = map[context.Context]*boundCalls{}
		}
		b.groups[u.ctx] = g
	}
	u.group = g
	g.calls.add(&u.place)
	b.mu.Unlock()
	if !fresh {
		return
	}
	stop := context.AfterFunc(u.ctx, g.end) // without the lock: a context may be of the user's making
	b.mu.Lock()
	g.stop = stop
	empty := g.calls.first == nil
	b.mu.Unlock()
	if empty {
		stop()
	}
}

// remove takes out a call that is done, and with the last one leaves the context.
func (g *boundCalls) remove(u *under) {
	g.of.mu.Lock()
	g.calls.remove(&u.place)
	var stop func() bool
	if g.calls.first == nil {
		g.forget()
		stop = g.stop
	}
	g.of.mu.Unlock()
	if stop != nil {
		stop()
	}
}

// forget has the next call of the context begin another group. The lock is held.
func (g *boundCalls) forget() {
	if g.known {
		g.known = false
		delete(g.of.groups, g.ctx)
	}
}

// end takes the end of the context: what has not begun is cancelled, and then the contexts of what runs end.
func (g *boundCalls) end() {
	var calls []*under
	g.of.mu.Lock()
	g.forget()
	if first := g.calls.first; first != nil {
		for n := first; ; n = n.next {
			n.to.ended.Store(true)
			calls = append(calls, n.to)
			if n.next == first {
				break
			}
		}
	}
	g.of.mu.Unlock()
	run := calls[:0]
	for _, u := range calls {
		list, ok := u.c.withdraw(whyEnded(u))
		list.release().run()
		if !ok {
			run = append(run, u)
		}
	}
	for _, u := range run {
		u.c.interrupt(whyEnded(u))
	}
}

// helps implements assisted, if the call does.
func (u *under) helps() func(done func() bool) {
	if a, ok := u.call.(assisted); ok {
		return a.helps()
	}
	return nil
}

// awaits implements dependent, if the call does.
func (u *under) awaits() *core {
	if d, ok := u.call.(dependent); ok {
		return d.awaits()
	}
	return nil
}

// whyEnded is the error of a future that was cancelled because the context of its call ended; nil when it was not.
func whyEnded(owner canceller) error {
	if u, ok := owner.(*under); ok && u.ended.Load() {
		return &endedError{what: "futures: cancelled before it began", errs: append(ends(u.ctx), ErrCancelled)}
	}
	return nil
}

// explained adds to the error of a task that its context has ended because that of its call did.
func explained(owner canceller, err error) error {
	u, ok := owner.(*under)
	if err == nil || !ok || !u.ended.Load() {
		return err
	}
	return &endedError{what: err.Error(), errs: append(ends(u.ctx), err)}
}

// endedError is an error to which the end of a call's context has led.
type endedError struct {
	what string
	errs []error // the first is the cause
}

// Error says what happened and why.
func (e *endedError) Error() string {
	return fmt.Sprintf("%s (the context of the call has ended: %v)", e.what, e.errs[0])
}

// Unwrap returns the cause, what the context says, [ErrTimeout] after a deadline, and what it led to.
func (e *endedError) Unwrap() []error { return e.errs }

// ends are the errors that a context has ended with, the cause first.
func ends(ctx context.Context) []error {
	errs := []error{context.Cause(ctx), ctx.Err()}
	if timedOut(ctx) {
		errs = append(errs, ErrTimeout)
	}
	return errs
}
