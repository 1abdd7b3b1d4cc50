package mpilink

import (
	"sync/atomic"
	"time"
)

// bed is where one goroutine at a time sleeps, until somebody wakes it. A wake that comes while nobody sleeps ends the next
// sleep at once; one that follows another does nothing more.
//
// A short nap is the kernel's business where that is possible: Go's timers count in milliseconds when nothing else runs in the
// process, so a nap of 20 µs would take 50 times as long. A long one is Go's: each nap that its scheduler knows only as a system
// call keeps the runtime's monitor awake, which then looks what goes on every 20 µs for the next milliseconds.
type bed struct {
	state atomic.Uint32 // made, taken or called
	wake  chan struct{} // one token, for a sleep without an end; on systems where naps are Go's, for those too
}

const (
	made   = uint32(iota)
	taken  // somebody naps
	called // and is woken, or nobody did
)

// longNap is what Go's timers can measure.
const longNap = 900 * time.Microsecond

func newBed() bed { return bed{wake: make(chan struct{}, 1)} }

// call ends the sleep of the goroutine that is in the bed, or the next one.
func (b *bed) call() {
	if b.state.Swap(called) == taken {
		b.rouse()
	}
	select {
	case b.wake <- struct{}{}:
	default:
	}
}

// sleep blocks until somebody calls.
func (b *bed) sleep() {
	if b.state.Swap(made) != called {
		<-b.wake
		b.state.Store(made)
	}
	b.empty()
}

// nap blocks until somebody calls, which it returns, or until d is over.
func (b *bed) nap(d time.Duration) (woken bool) {
	switch {
	case d >= longNap:
		b.slumber(d)
	case b.state.CompareAndSwap(made, taken):
		b.doze(d)
	}
	woken = b.state.Swap(made) == called
	if woken {
		b.empty()
	}
	return woken
}

// empty takes a token that belongs to the call that was just heard.
func (b *bed) empty() {
	select {
	case <-b.wake:
	default:
	}
}

// slumber blocks until somebody calls or d is over.
func (b *bed) slumber(d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-b.wake:
	case <-t.C:
	}
}
