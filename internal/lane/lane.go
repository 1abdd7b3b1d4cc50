// Package lane runs functions that may take any time, such as a user's callbacks, where nobody waits for them.
//
// It may be imported from everywhere.
package lane

import (
	"context"
	"sync"
	"sync/atomic"

	"github.com/rankpool/rankpool/internal/goid"
)

// Lane runs functions one after another, in the order in which they were added, on a goroutine that exists only while there are
// some. A function that does not return holds up those behind it and nothing else. The zero value is ready.
type Lane struct {
	// Panicked is told of a panic in a function. Nil: panics are not recovered.
	Panicked func(v any)

	mu      sync.Mutex
	queue   []func()
	running bool
	waiters []waiter

	added, done uint64 // functions so far

	runner atomic.Uint64 // the number of the goroutine that runs them; 0 while none does
}

// waiter waits until so many functions are done.
type waiter struct {
	until uint64
	over  chan struct{}
}

// Add has f run after everything that was added before. It does not block.
func (l *Lane) Add(f func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.queue = append(l.queue, f)
	l.added++
	if !l.running {
		l.running = true
		go l.run()
	}
}

// Len returns how many functions have been added and have not returned.
func (l *Lane) Len() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return int(l.added - l.done)
}

// run runs what is there. When a function ends the goroutine by runtime.Goexit another one goes on.
func (l *Lane) run() {
	normal := false
	l.runner.Store(goid.Get())
	defer func() {
		if !normal {
			l.runner.Store(0)
			l.finished()
			go l.run()
		}
	}()
	for f := l.next(); f != nil; f = l.next() {
		l.call(f)
		l.finished()
	}
	normal = true
}

func (l *Lane) call(f func()) {
	if l.Panicked != nil {
		defer func() {
			if v := recover(); v != nil {
				l.Panicked(v)
			}
		}()
	}
	f()
}

// next returns the next function, or nil when there is none: then the goroutine is at its end.
func (l *Lane) next() func() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.queue) == 0 {
		l.queue, l.running = nil, false
		l.runner.Store(0)
		return nil
	}
	f := l.queue[0]
	l.queue[0] = nil
	l.queue = l.queue[1:]
	return f
}

// finished counts a function that has returned, and wakes those who waited for it.
func (l *Lane) finished() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.done++
	kept := l.waiters[:0]
	for _, w := range l.waiters {
		if w.until <= l.done {
			close(w.over)
		} else {
			kept = append(kept, w)
		}
	}
	clear(l.waiters[len(kept):])
	l.waiters = kept
}

// Drain waits until every function that was added before has returned, or until ctx ends; then it returns ctx's cause. Called by a
// function of this lane it does not wait, nor by one of a lane that a function of this one drains: that would be for itself.
func (l *Lane) Drain(ctx context.Context) error {
	l.mu.Lock()
	if l.done == l.added {
		l.mu.Unlock()
		return nil
	}
	w := waiter{until: l.added, over: make(chan struct{})}
	l.waiters = append(l.waiters, w)
	l.mu.Unlock()
	me := goid.Get()
	if !drain(me, l) {
		return nil
	}
	defer drained(me)
	select {
	case <-w.over:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// Current tells whether it is called by a function of the lane.
func (l *Lane) Current() bool { return l.runner.Load() == goid.Get() }

// drains are the lanes that are drained, by the numbers of the goroutines that do.
var drains struct {
	sync.Mutex
	lanes map[uint64]*Lane
}

// drain notes that a goroutine drains a lane. It returns false, and notes nothing, when the lane would wait for that goroutine.
func drain(goroutine uint64, l *Lane) (may bool) {
	drains.Lock()
	defer drains.Unlock()
	for o := l; o != nil; {
		runner := o.runner.Load()
		if runner == goroutine {
			return false
		}
		o = drains.lanes[runner]
	}
	if drains.lanes == nil {
		drains.lanes = map[uint64]*Lane{}
	}
	drains.lanes[goroutine] = l
	return true
}

func drained(goroutine uint64) {
	drains.Lock()
	defer drains.Unlock()
	delete(drains.lanes, goroutine)
}
