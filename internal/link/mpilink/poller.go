package mpilink

import (
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rankpool/rankpool/internal/fresh"
	"github.com/rankpool/rankpool/internal/mpi"
)

// poller polls MPI in the master. That is done by a goroutine of its own, unless a goroutine that waits for a result does so in
// its place. That saves two changes of thread for each result, which cost more than all the rest.
type poller struct {
	turn   sync.Mutex  // held while polling, delivering and running commands
	events []mpi.Event // guarded by turn

	parker parker        // of the goroutine
	rests  atomic.Int32  // what the goroutine does: awake, asleep or napping
	hurry  atomic.Bool   // something was queued since the last poll began
	done   chan struct{} // the goroutine has ended

	helping atomic.Bool   // somebody helps, or is about to
	helped  atomic.Uint64 // how often somebody has
	relaxed atomic.Bool   // somebody helped, so more of the same is expected: the goroutine keeps out of the way
	unseen  atomic.Int32  // messages queued since anybody polled
}

// What the poller's goroutine does.
const (
	awake   = int32(iota)
	asleep  // wake it when something is queued
	napping // it is relaxed, and to be woken by the second message that nobody has looked after
)

// While it is relaxed the poller's goroutine sleeps this long between looks, or as long as the back-off, up to a bound, when one
// helps after the other, and so often with nobody helping before it is as usual again.
const (
	relaxedNap   = 200 * time.Microsecond
	relaxedMost  = 10 * time.Millisecond // the last of those who help does not wake it
	relaxedTurns = 10
)

func newPoller() poller {
	return poller{events: make([]mpi.Event, pollRoom), parker: newParker(), done: make(chan struct{})}
}

// run is the goroutine.
func (h *Hub) run() {
	defer close(h.done)
	defer fresh.Steady()()
	p := patience{brief: true} // a goroutine that waits for a result polls by itself, and longer
	e := ease{nap: relaxedNap}
	for {
		if h.relaxed.Load() {
			if !h.relax(&e) {
				continue
			}
			p.tire() // those who help have spun enough
		}
		h.turn.Lock()
		moved, stop, err := h.look(p.spin())
		if err != nil {
			h.fail(err)
		}
		h.turn.Unlock()
		if stop || err != nil {
			h.late()
			return
		}
		if moved {
			p.reset()
			runtime.Gosched() // whoever waited for this runs here and now, not once another thread has woken
			continue
		}
		parts := h.parts()
		nap := p.pause(parts, h.backoff())
		if nap == 0 {
			continue
		}
		h.rests.Store(asleep)
		// What was queued before this point is seen here, what is queued later sees that it sleeps.
		if h.hurry.Load() {
			h.rests.Store(awake)
			p.reset()
			continue
		}
		if h.attention.Load() == 0 && !parts && h.port.Idle() && !h.hasCommands() {
			h.parker.park()
			p.reset()
		} else if nap <= NoBackoff {
			runtime.Gosched()
		} else if h.parker.parkFor(nap) {
			p.reset()
		}
		h.rests.Store(awake)
	}
}

// ease is what the poller's goroutine goes by while it is relaxed.
type ease struct {
	seen uint64        // helped, at the last look
	idle int           // naps in which nobody helped
	nap  time.Duration // the next one
}

// relax takes a nap. It tells whether the goroutine is to look now; as long as others do, it need not.
func (h *Hub) relax(e *ease) (look bool) {
	h.rests.Store(napping)
	woken := h.parker.parkFor(e.nap)
	h.rests.Store(awake)
	e.nap = relaxedNap
	n := h.helped.Load()
	again := n != e.seen
	e.seen = n
	switch {
	case h.helping.Load():
		e.idle = 0
		if again {
			e.nap = min(max(relaxedNap, h.backoff()), relaxedMost)
		}
		return false
	case again && !woken:
		e.idle = 0
	case woken || e.idle >= relaxedTurns:
		e.idle = 0
		h.relaxed.Store(false)
	default:
		e.idle++
	}
	return true
}

// look polls, takes what came and runs the commands; what that queued, most often the next task of the worker that has sent a result,
// leaves before it returns. The turn is held.
func (h *Hub) look(spin time.Duration) (moved, stop bool, err error) {
	moved, stop, err = h.pass(spin)
	if moved && !stop && err == nil && h.hurry.Load() {
		_, stop, err = h.pass(0)
	}
	return moved, stop, err
}

// pass polls once, takes what came and runs the commands.
func (h *Hub) pass(spin time.Duration) (moved, stop bool, err error) {
	h.hurry.Store(false)
	h.unseen.Store(0)
	n, err := h.port.Poll(spin, h.events)
	if n > 0 {
		h.now = time.Now()
	}
	for i := range h.events[:n] {
		h.event(&h.events[i])
	}
	if err != nil {
		return n > 0, false, err
	}
	ran, stop := h.runCommands()
	return ran || n > 0, stop, nil
}

// Help polls in the caller's goroutine until done returns true, until nothing has come for a while, or not at all if
// somebody else helps already. It is for a goroutine that would wait otherwise. What comes meanwhile is delivered from here,
// whatever it is for. done is called often.
func (g *Group) Help(done func() bool) {
	g.mu.Lock()
	h := g.hub
	on := g.attending
	g.mu.Unlock()
	if h != nil && on {
		h.help(done)
	}
}

func (h *Hub) help(done func() bool) {
	if done() || !h.helping.CompareAndSwap(false, true) {
		return
	}
	h.relaxed.Store(true)
	h.helped.Add(1)
	idle := !h.takeTurn() || h.drive(done)
	h.helping.Store(false)
	if idle {
		h.relaxed.Store(false)
		h.unpark()
	}
}

// drive polls until done, and gives up when nothing comes. The turn is held, and given up at the end.
func (h *Hub) drive(done func() bool) (idle bool) {
	defer h.late()
	defer h.turn.Unlock()
	var p patience
	for !done() {
		moved, stop, err := h.look(p.spin())
		if err != nil || stop {
			return true // the goroutine meets the same
		}
		if moved {
			p.reset()
		} else if p.pause(h.parts(), time.Hour) > 0 {
			return true
		}
	}
	return false
}

// takeTurn waits until the goroutine gives way, but not for long: it may have no core. It looks itself then, once more at
// least.
func (h *Hub) takeTurn() bool {
	for range 100 {
		if h.turn.TryLock() {
			return true
		}
		h.port.Wake()
		runtime.Gosched()
	}
	return false
}

// nudge says that something was queued.
func (h *Hub) nudge() {
	h.hurry.Store(true)
	if h.rests.Load() == napping && h.unseen.Add(1) < 2 {
		return
	}
	h.unpark()
}

// unpark ends the rest of the poller's goroutine.
func (h *Hub) unpark() {
	if h.rests.Load() != awake {
		h.parker.unpark()
	}
}
