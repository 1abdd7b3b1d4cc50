package futures

import (
	"context"
	"fmt"
	"log/slog"
	"runtime/debug"
	"sync/atomic"
)

// callbackList is everybody who waits for one future. It belongs to the future, under its lock, until that is done,
// and then to whoever completed it: release first, then run.
//
// Releasing one future may complete others, and theirs follow as next. That keeps the depth of the stack the same,
// however long a chain of futures is.
type callbackList struct {
	done  chan struct{} // Finished; nil until somebody asks
	hooks ring[hook]    // ours: Wait, AsCompleted, Collect. They are cheap and never run a user's code
	calls ring[caller]  // those that do
	next  *callbackList
}

// hook learns that a future is done. It may complete other futures by finish or withdraw; it returns what those gave.
type hook interface{ fire() *callbackList }

// caller is a callback: it runs a user's code. What that completes on the way it pushes on r.
type caller interface{ call(r *runner) }

// node is a place in a ring. Its owner allocates it, so that leaving costs nothing either.
type node[L any] struct {
	prev, next *node[L]
	to         L
}

// ring is a doubly linked list, in the order of adding.
type ring[L any] struct{ first *node[L] }

func (r *ring[L]) add(n *node[L]) {
	if r.first == nil {
		n.prev, n.next = n, n
		r.first = n
		return
	}
	n.prev, n.next = r.first.prev, r.first
	n.prev.next, n.next.prev = n, n
}

// remove takes n out, and tells whether it was in.
func (r *ring[L]) remove(n *node[L]) bool {
	if n.next == nil {
		return false
	}
	switch {
	case n.next == n:
		r.first = nil
	case r.first == n:
		r.first = n.next
		fallthrough
	default:
		n.prev.next, n.next.prev = n.next, n.prev
	}
	n.prev, n.next = nil, nil
	return true
}

// followers returns the list of a future that is not done. The lock is held.
func (c *core) followers() *callbackList {
	if c.list == nil {
		c.list = new(callbackList)
	}
	return c.list
}

// follow adds a hook, and tells whether it will fire: not if the future is done already.
func (c *core) follow(n *node[hook]) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.Done() {
		return false
	}
	c.followers().hooks.add(n)
	return true
}

// unfollow takes a hook back. After true it never fires.
func (c *core) unfollow(n *node[hook]) bool {
	if c.Done() {
		return false
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.list != nil && c.list.hooks.remove(n)
}

// addCallback adds a callback, or runs it at once if the future is done.
func (c *core) addCallback(n *node[caller]) {
	c.mu.Lock()
	if !c.Done() {
		c.followers().calls.add(n)
		c.mu.Unlock()
		return
	}
	c.mu.Unlock()
	l := new(callbackList)
	l.calls.add(n)
	l.run()
}

// removeCallback takes a callback back.
func (c *core) removeCallback(n *node[caller]) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.list != nil {
		c.list.calls.remove(n)
	}
}

// followed tells whether anybody waits for the future.
func (c *core) followed() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.list != nil
}

// last returns the end of the chain that starts with l.
func (l *callbackList) last() *callbackList {
	for l != nil && l.next != nil {
		l = l.next
	}
	return l
}

// join appends one chain to another. Either may be nil.
func join(l, more *callbackList) *callbackList {
	if l == nil {
		return more
	}
	l.last().next = more
	return l
}

// release wakes everybody who waits, for the future and for those that it completes in turn, and returns what is left:
// the callbacks, nil if there are none. No user code runs in here.
func (l *callbackList) release() *callbackList {
	var first, kept *callbackList
	end := l.last()
	for l != nil {
		if l.done != nil {
			close(l.done)
		}
		if n := l.hooks.first; n != nil {
			l.hooks.first = nil
			for stop := n.prev; ; {
				// A hook's memory is its owner's, who may be gone once it has fired; read on first.
				here, next := n, n.next
				end.next = here.to.fire()
				end = end.last()
				if here == stop {
					break
				}
				n = next
			}
		}
		next := l.next
		if l.calls.first != nil {
			if kept == nil {
				first = l
			} else {
				kept.next = l
			}
			kept = l
		}
		l = next
	}
	if kept != nil {
		kept.next = nil
	}
	return first
}

// run calls the callbacks of a released list in order, each exactly once, whatever they do. A callback that calls
// runtime.Goexit ends this goroutine, after the others have run.
func (l *callbackList) run() {
	if l == nil {
		return
	}
	r := &runner{list: l}
	r.run()
}

// runner calls callbacks. Those of a future that a callback completes run next, before the rest of the present ones,
// as if they had been called from within it, but without the depth.
type runner struct {
	list *callbackList
	rest []*callbackList
}

// push puts a released list first.
func (r *runner) push(l *callbackList) {
	if l == nil {
		return
	}
	if r.list != nil && (r.list.calls.first != nil || r.list.next != nil) {
		r.rest = append(r.rest, r.list)
	}
	r.list = l
}

// pop returns the next callback, or nil.
func (r *runner) pop() caller {
	for {
		switch {
		case r.list == nil && len(r.rest) == 0:
			return nil
		case r.list == nil:
			top := len(r.rest) - 1
			r.list, r.rest[top] = r.rest[top], nil
			r.rest = r.rest[:top]
		case r.list.calls.first == nil:
			r.list = r.list.next
		default:
			n := r.list.calls.first
			r.list.calls.remove(n)
			return n.to
		}
	}
}

func (r *runner) run() {
	for c := r.pop(); c != nil; c = r.pop() {
		r.step(c)
	}
}

// step calls one callback and survives it.
func (r *runner) step(c caller) {
	returned := false
	defer func() {
		if returned {
			return
		}
		if p := recover(); p != nil {
			log(slog.LevelError, "futures: a callback panicked", "panic", fmt.Sprint(p), "stack", string(debug.Stack()))
			return
		}
		// Goexit cannot be stopped, so this deferred call is the last place where the others can still run.
		log(slog.LevelError, "futures: a callback called runtime.Goexit, which ends the goroutine that ran it")
		r.run()
	}()
	c.call(r)
	returned = true
}

// logger is where complaints without a caller go; nil means slog's default.
var logger atomic.Pointer[slog.Logger]

// SetLogger sets where this package reports what it can return to nobody: a callback that panicked (at level error), a
// future that was claimed twice (above it) (A34). Nil, which is the start, means slog.Default.
func SetLogger(l *slog.Logger) { logger.Store(l) }

// log reports to the logger, and survives it: callbacks must not be stranded by a handler that panics.
func log(level slog.Level, msg string, args ...any) {
	defer func() { _ = recover() }()
	l := logger.Load()
	if l == nil {
		l = slog.Default()
	}
	l.Log(context.Background(), level, msg, args...)
}
