package slots

import (
	"context"
	"errors"
	"sync"

	"github.com/rankpool/rankpool/internal/link"
)

// Group is a link.Group whose workers are the slots of another's.
type Group struct {
	inner   link.Group
	n       int
	handler link.Handler
	recall  link.SlotRecaller // nil: the inner group shares no memory
	moves   link.Mover        // nil: it cannot tell
	attends link.Attender     // nil: it need not be told

	mu      sync.Mutex
	members []member
	closed  bool
}

// member is a worker of the inner group. The lock of the group guards it.
type member struct {
	started []bool // its slots
	left    int    // of them, how many have not been started
	runs    bool   // it was started, and is not lost
}

// Share returns a group of n slots for each worker of inner, whose workers run Serve with the same n. Their endpoints are link.Journals
// with as many journals, or each journal is in the worker's own memory.
func Share(inner link.Group, n int) *Group {
	g := &Group{inner: inner, n: n}
	g.recall, _ = inner.(link.SlotRecaller)
	g.moves, _ = inner.(link.Mover)
	g.attends, _ = inner.(link.Attender)
	return g
}

// Traits are the inner group's, with the slots.
func (g *Group) Traits() link.Traits {
	t := g.inner.Traits()
	t.Slots = g.n
	return t
}

// Open implements link.Group.
func (g *Group) Open(ctx context.Context, h link.Handler) (int, error) {
	g.handler = h
	members, err := g.inner.Open(ctx, inward{g})
	if err != nil {
		return 0, err
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.members = make([]member, members)
	for i := range g.members {
		g.members[i] = member{started: make([]bool, g.n), left: g.n}
	}
	return members * g.n, nil
}

// Start implements link.Group. It panics when the slot was started already.
func (g *Group) Start(w int) {
	g.mu.Lock()
	m := &g.members[w/g.n]
	if m.started[w%g.n] {
		g.mu.Unlock()
		panic("slots: Start: the slot holds a worker")
	}
	m.started[w%g.n] = true
	m.left--
	run := m.left == 0
	if run {
		m.runs = true
		g.inner.Start(w / g.n) // under the lock, or a Kill could come before it
	}
	closed := g.closed && !run
	g.mu.Unlock()
	if closed {
		go g.unstarted(w, link.ErrClosed)
	}
}

// unstarted reports the loss of a slot whose member does not run, if that is so.
func (g *Group) unstarted(w int, cause error) {
	g.mu.Lock()
	m := &g.members[w/g.n]
	lost := m.started[w%g.n] && !m.runs
	if lost {
		m.started[w%g.n] = false
		m.left++
	}
	g.mu.Unlock()
	if lost {
		g.handler.Lost(w, link.Loss{Err: cause, Proof: true})
	}
}

// Send implements link.Group.
func (g *Group) Send(w int, f link.Frame) {
	address(&f, w%g.n)
	g.inner.Send(w/g.n, f)
}

// Kill ends the member, and so all its slots. One whose other slots were not started yet is lost alone.
func (g *Group) Kill(w int, cause error) {
	g.mu.Lock()
	runs := w/g.n < len(g.members) && g.members[w/g.n].runs
	g.mu.Unlock()
	if runs {
		g.inner.Kill(w/g.n, cause)
		return
	}
	if cause == nil {
		cause = errors.New("killed by its master")
	}
	go g.unstarted(w, cause)
}

// Close implements link.Group.
func (g *Group) Close(ctx context.Context) error {
	g.mu.Lock()
	g.closed = true
	var waiting []int
	for k := range g.members {
		for i, started := range g.members[k].started {
			if started && !g.members[k].runs {
				waiting = append(waiting, k*g.n+i)
			}
		}
	}
	g.mu.Unlock()
	for _, w := range waiting {
		g.unstarted(w, link.ErrClosed)
	}
	return g.inner.Close(ctx)
}

// Recall implements link.Recaller.
func (g *Group) Recall(w int, first, n uint64) {
	if g.recall != nil {
		g.recall.RecallSlot(w/g.n, w%g.n, first, n)
	}
}

// Moved implements link.Mover.
func (g *Group) Moved(w int) uint64 {
	if g.moves == nil {
		return 0
	}
	return g.moves.Moved(w / g.n)
}

// Attend implements link.Attender.
func (g *Group) Attend(on bool) {
	if g.attends != nil {
		g.attends.Attend(on)
	}
}

// inward is the Group as the inner one sees it.
type inward struct{ g *Group }

// Receive implements link.Handler.
func (h inward) Receive(k int, f link.Frame) {
	slot, ok := addressee(&f, h.g.n)
	if !ok {
		h.g.inner.Kill(k, errAddress)
		return
	}
	h.g.handler.Receive(k*h.g.n+slot, f)
}

var errAddress = errors.New("slots: a message for no slot")

// Lost implements link.Handler.
func (h inward) Lost(k int, l link.Loss) {
	g := h.g
	g.mu.Lock()
	m := &g.members[k]
	clear(m.started)
	m.left, m.runs = g.n, false
	g.mu.Unlock()
	each := l.Each
	l.Each = nil
	receives, mark := int(l.Receiving&(1<<markBits-1)), l.Receiving>>markBits
	for i := range g.n {
		own := l
		switch {
		case i > 0 && i <= len(each):
			own = each[i-1]
			own.Err = l.Err
		case i > 0: // there is nothing to prove it by
			own = link.Loss{Err: l.Err}
		}
		if own.Receiving = 0; receives == i {
			own.Receiving = mark
		}
		g.handler.Lost(k*g.n+i, own)
	}
}
