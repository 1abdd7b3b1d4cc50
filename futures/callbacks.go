package futures

import (
	"fmt"
	"log/slog"
	"runtime/debug"

	"github.com/rankpool/rankpool/internal/lane"
)

// callbackList is the waiting goroutines and the callbacks of one future. It belongs to the future, under its lock, until that is done,
// and then to whoever completed it: release first, then run. The calls stay under the future's lock: while there are any, the
// future keeps the list, and a callback that is added late gets in line behind those that have not run.
//
// Releasing one future may complete others, and theirs follow as next. That keeps the depth of the stack the same,
// however long a chain of futures is.
type callbackList struct {
	of    *core
	lane  *lane.Lane    // where the calls run; nil: on the goroutine that completes the future
	done  chan struct{} // DoneChan; nil until somebody asks
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
		c.list = &callbackList{of: c, lane: c.laneLocked()}
	}
	return c.list
}

// follow adds a hook, and tells whether it will fire: not if the future is done already.
func (c *core) follow(n *node[hook]) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.isDone() {
		return false
	}
	c.followers().hooks.add(n)
	return true
}

// unfollow takes a hook back. After true it never fires.
func (c *core) unfollow(n *node[hook]) bool {
	if c.isDone() {
		return false
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return !c.isDone() && c.list != nil && c.list.hooks.remove(n) // what is done goes through its hooks without the lock
}

// laneLocked returns where the future's callbacks run, or nil. The lock is held.
func (c *core) laneLocked() *lane.Lane {
	if c.owner == nil {
		return nil
	}
	return c.owner.lane()
}

// callbackLane returns where the future's callbacks run, or nil.
func (c *core) callbackLane() *lane.Lane {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.laneLocked()
}

// addCallback adds a callback. If the future is done and all others have run, it is due at once.
func (c *core) addCallback(n *node[caller]) {
	c.mu.Lock()
	late := c.isDone() && c.list == nil
	l := c.followers()
	l.calls.add(n)
	c.mu.Unlock()
	if late {
		l.run()
	}
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
	return c.list != nil && !c.isDone()
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

// release wakes the goroutines that wait for the future and for those that it completes in turn. It returns what is left:
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
				// A hook's memory is its owner's and may be gone once it has fired; read on first.
				here, next := n, n.next
				here.prev, here.next = nil, nil // else a future that is kept keeps all that have followed the same one
				end.next = here.to.fire()
				end = end.last()
				if here == stop {
					break
				}
				n = next
			}
		}
		next := l.next
		if l.due() {
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

// run has the callbacks of a released list called, those of each future in order and exactly once, whatever they do: on their
// lanes, or without one on this goroutine.
func (l *callbackList) run() {
	var here, last *callbackList
	for l != nil {
		next := l.next
		l.next = nil
		switch {
		case l.lane != nil:
			l.lane.Add(l.runHere)
		case last == nil:
			here, last = l, l
		default:
			last.next, last = l, l
		}
		l = next
	}
	if here != nil {
		here.runHere()
	}
}

// runHere calls the callbacks of a released list on this goroutine. A callback that calls runtime.Goexit ends it, after the others
// have run.
func (l *callbackList) runHere() {
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
	if r.list != nil {
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
		default:
			if c := r.list.pop(); c != nil {
				return c
			}
			r.list = r.list.next
		}
	}
}

// due tells whether a list that is being released has callbacks to run. Otherwise the future forgets it.
func (l *callbackList) due() bool {
	c := l.of
	c.mu.Lock()
	defer c.mu.Unlock()
	if l.calls.first != nil {
		return true
	}
	if c.list == l {
		c.list = nil
	}
	return false
}

// pop returns the first callback of a released list, or nil: then the future has none left, and forgets the list.
func (l *callbackList) pop() caller {
	c := l.of
	c.mu.Lock()
	defer c.mu.Unlock()
	n := l.calls.first
	if n == nil {
		if c.list == l {
			c.list = nil
		}
		return nil
	}
	l.calls.remove(n)
	return n.to
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
		if !returned { // Goexit cannot be stopped, so this is the last place where the others can still run
			r.run()
		}
	}()
	survive(func() { c.call(r) })
	returned = true
}

// survive calls a function of the user's, and reports one that does not return.
func survive(f func()) {
	returned := false
	defer func() {
		if returned {
			return
		}
		if p := recover(); p != nil {
			log(slog.LevelError, "futures: a callback panicked", "panic", fmt.Sprint(p), "stack", string(debug.Stack()))
			return
		}
		log(slog.LevelError, "futures: a callback called runtime.Goexit, which ends the goroutine that ran it")
	}()
	f()
	returned = true
}
