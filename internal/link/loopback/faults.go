package loopback

import (
	"fmt"
	"sync"

	"github.com/rankpool/rankpool/internal/link"
)

// Direction says which way a frame travels.
type Direction int

// The two directions.
const (
	ToWorker Direction = iota
	ToMaster
)

// faults is what a test asked for in one slot. A slot without any costs one atomic load per operation.
type faults struct {
	mu      sync.Mutex
	delayed [2]*delay
	cut     [2]*int
	held    <-chan struct{}
	closing <-chan struct{}
}

type delay struct {
	frames []delayedFrame

	// order is held while frames are handed on, so that a flush and a release keep their order.
	order sync.Mutex
}

type delayedFrame struct {
	wk *worker
	f  link.Frame
}

func (g *Group) faultsOf(w int) *faults {
	s := g.slot(w)
	s.faults.CompareAndSwap(nil, &faults{closing: g.closing})
	return s.faults.Load()
}

// Lose ends the worker in slot w now, with err as the Err of the Loss. With proof the frames it has sent are delivered
// and its journal is salvaged, as after the death of a process: the test must see to it that the worker is blocked
// outside of its endpoint or in Recv, because the journal is read. Without proof, delayed frames are dropped.
func (g *Group) Lose(w int, proof bool, err error) {
	s := g.slot(w)
	wk := s.current.Load()
	if wk == nil {
		return
	}
	if err == nil {
		err = fmt.Errorf("worker %d was lost", w)
	}
	if !proof {
		g.lose(wk, link.Loss{Err: err})
		return
	}
	l := wk.proof(err)
	ft := s.faults.Load()
	if ft == nil {
		g.lose(wk, l)
		return
	}
	g.background(func() { // flush calls the handler, which Lose must not
		ft.flush(ToMaster)
		g.lose(wk, l)
	})
}

// Delay keeps the frames that travel in slot w in direction d from now on, until the channel is closed; then they
// arrive in order. The end of the worker and Close release them as well, before Lost.
func (g *Group) Delay(w int, d Direction, until <-chan struct{}) {
	ft := g.faultsOf(w)
	held := new(delay)
	ft.mu.Lock()
	if ft.delayed[d] != nil {
		ft.mu.Unlock()
		panic("loopback: Delay: this direction is delayed already")
	}
	ft.delayed[d] = held
	ft.mu.Unlock()
	g.background(func() {
		select {
		case <-until:
		case <-g.closing:
		}
		ft.drain(d, held, true)
	})
}

// Cut shortens the Stream of the next frame in slot w in direction d to n bytes.
func (g *Group) Cut(w int, d Direction, n int) {
	ft := g.faultsOf(w)
	ft.mu.Lock()
	ft.cut[d] = &n
	ft.mu.Unlock()
}

// HoldRecv makes every Recv in slot w wait, for frames and for io.EOF, until the channel or the group is closed. A Recv
// that is parked already waits when it is woken.
func (g *Group) HoldRecv(w int, until <-chan struct{}) {
	ft := g.faultsOf(w)
	ft.mu.Lock()
	ft.held = until
	ft.mu.Unlock()
}

// hold waits for the end of HoldRecv.
func (ft *faults) hold() {
	ft.mu.Lock()
	held := ft.held
	ft.mu.Unlock()
	if held == nil {
		return
	}
	select {
	case <-held:
	case <-ft.closing:
	}
}

// pass applies the faults to a frame. It returns false when the frame was kept for later.
func (ft *faults) pass(d Direction, wk *worker, f *link.Frame) bool {
	ft.mu.Lock()
	defer ft.mu.Unlock()
	if n := ft.cut[d]; n != nil {
		ft.cut[d] = nil
		f.Stream = f.Stream[:min(*n, len(f.Stream))]
	}
	held := ft.delayed[d]
	if held == nil {
		return true
	}
	held.frames = append(held.frames, delayedFrame{wk, *f})
	return false
}

// flush hands on what is delayed, of all workers of the slot, and leaves the delay in place.
func (ft *faults) flush(d Direction) {
	ft.mu.Lock()
	held := ft.delayed[d]
	ft.mu.Unlock()
	if held != nil {
		ft.drain(d, held, false)
	}
}

// drain hands on frames until there are none; with end the delay is over then. The handler is called without mu, since
// it may send.
func (ft *faults) drain(d Direction, held *delay, end bool) {
	held.order.Lock()
	defer held.order.Unlock()
	for {
		ft.mu.Lock()
		frames := held.frames
		held.frames = nil
		if len(frames) == 0 && end {
			ft.delayed[d] = nil
		}
		ft.mu.Unlock()
		if len(frames) == 0 {
			return
		}
		for _, k := range frames {
			if d == ToWorker {
				k.wk.push(k.f)
			} else {
				_ = k.wk.deliver(k.f) // a worker that was cut off meanwhile loses its frames
			}
		}
	}
}
