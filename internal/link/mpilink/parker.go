package mpilink

import (
	"sync/atomic"
	"time"
)

// A parker blocks one goroutine at a time until another one unparks it. An unpark that comes while no goroutine is parked ends the
// next park at once. Several unparks before a park count as one.
//
// The kernel measures short waits, where it can: Go's timers have a resolution of milliseconds when nothing else runs in the process,
// so a wait of 20 µs would take 50 times as long. Go's timers measure long waits: during a system call the runtime's monitor
// wakes every 20 µs for the first milliseconds.
type parker struct {
	state atomic.Uint32 // idle, parked or notified
	wake  chan struct{} // holds one token; park waits for it, and parkFor where Go's timers measure
}

const (
	idle     = uint32(iota)
	parked   // a goroutine is in waitKernel
	notified // unpark has been called
)

// longPark is the shortest wait that Go's timers measure well enough.
const longPark = 900 * time.Microsecond

func newParker() parker { return parker{wake: make(chan struct{}, 1)} }

// unpark wakes the parked goroutine, or ends the next park at once.
func (p *parker) unpark() {
	if p.state.Swap(notified) == parked {
		p.wakeKernel()
	}
	select {
	case p.wake <- struct{}{}:
	default:
	}
}

// park blocks until unpark.
func (p *parker) park() {
	if p.state.Swap(idle) != notified {
		<-p.wake
		p.state.Store(idle)
	}
	p.drain()
}

// parkFor blocks until unpark or until d is over, and tells which.
func (p *parker) parkFor(d time.Duration) (woken bool) {
	switch {
	case d >= longPark:
		p.waitTimer(d)
	case p.state.CompareAndSwap(idle, parked):
		p.waitKernel(d)
	}
	woken = p.state.Swap(idle) == notified
	if woken {
		p.drain()
	}
	return woken
}

// drain takes the token of the unpark that has just ended a wait.
func (p *parker) drain() {
	select {
	case <-p.wake:
	default:
	}
}

// waitTimer blocks until unpark or until d is over.
func (p *parker) waitTimer(d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-p.wake:
	case <-t.C:
	}
}
