// Package awake measures time in which this process can run. Time in which it is stopped, by ctrl-Z, a batch system or
// SIGSTOP, does not count: what it waits for is mostly stopped as well, and all limits would be over when it goes on.
//
// Nothing tells a process that it was stopped. So a time is measured in turns, and a turn that takes much longer than it should
// counts as one.
package awake

import (
	"context"
	"sync"
	"time"
)

// A time has this many turns, unless they would be too short.
const (
	turns     = 64
	leastTurn = 10 * time.Millisecond
)

// Timer calls a function once a time is over.
type Timer struct {
	f func()

	mu    sync.Mutex
	timer *time.Timer // of the turn; nil once it is over
	left  time.Duration
	turn  time.Duration
	begun time.Time // the turn; zero before the first
}

// AfterFunc calls f on a goroutine of its own when d is over. Up to two turns, which are a thirty-second part of d, are counted for
// each time that the process was stopped.
func AfterFunc(d time.Duration, f func()) *Timer {
	t := newTimer(d, f)
	t.begun = time.Now()
	return t.start(min(t.left, t.turn))
}

// Then calls f when another d is over after a time that is counted by the clock, whether the process can run or not: such as a
// deadline and a grace.
func Then(clock, d time.Duration, f func()) *Timer { return newTimer(d, f).start(clock) }

func newTimer(d time.Duration, f func()) *Timer {
	return &Timer{f: f, left: d, turn: max(d/turns, leastTurn)}
}

func (t *Timer) start(first time.Duration) *Timer {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.timer = time.AfterFunc(first, t.over)
	return t
}

// Stop keeps the function from being called, unless that has happened.
func (t *Timer) Stop() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.timer != nil {
		t.timer.Stop()
		t.timer = nil
	}
}

// over takes the end of a turn.
func (t *Timer) over() {
	t.mu.Lock()
	if t.timer == nil {
		t.mu.Unlock()
		return
	}
	now := time.Now()
	if !t.begun.IsZero() { // else it begins to count now
		t.left -= counted(now.Sub(t.begun), t.turn)
	}
	t.begun = now
	if t.left > 0 {
		t.timer.Reset(min(t.left, t.turn))
		t.mu.Unlock()
		return
	}
	t.timer = nil
	t.mu.Unlock()
	t.f()
}

// counted returns how much of the time that a turn has taken counts.
func counted(took, turn time.Duration) time.Duration {
	if took > 2*turn {
		return turn
	}
	return took
}

// WithTimeout returns a context that ends with context.DeadlineExceeded when d is over. It has no deadline to ask for.
func WithTimeout(parent context.Context, d time.Duration) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancelCause(parent)
	t := AfterFunc(d, func() { cancel(context.DeadlineExceeded) })
	return limited{ctx}, func() {
		t.Stop()
		cancel(nil)
	}
}

// limited is a context that WithTimeout has made.
type limited struct{ context.Context }

// Err tells the end of the time from a cancellation.
func (c limited) Err() error {
	err := c.Context.Err()
	if err != nil && context.Cause(c.Context) == context.DeadlineExceeded {
		return context.DeadlineExceeded
	}
	return err
}
