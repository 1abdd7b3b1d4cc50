package dispatch

import (
	"sync"
	"time"
)

// turn is one worker's hold on the lock it shares with the other workers of its process.
type turn struct {
	lock sync.Locker // nil: it shares with nobody

	mu   sync.Mutex
	held bool
	over bool // the worker has ended: a task it abandoned does not keep the others waiting
}

// take waits for the worker's turn before the first unit of a batch, which counts as begun: when the wait is long the
// others are given back. The time of the batch begins afterwards.
func (t *turn) take(w *work) {
	if t.lock == nil {
		return
	}
	t.lock.Lock()
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.over {
		t.lock.Unlock()
		return
	}
	t.held = true
	w.begun = time.Now()
}

// give ends the turn, if there is one.
func (t *turn) give() {
	if t.lock == nil {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.held {
		t.held = false
		t.lock.Unlock()
	}
}

// end gives the turn up for good.
func (t *turn) end() {
	t.mu.Lock()
	t.over = true
	t.mu.Unlock()
	t.give()
}
