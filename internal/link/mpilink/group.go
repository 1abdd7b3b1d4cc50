package mpilink

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rankpool/rankpool/internal/link"
)

// Kind is what link.Traits says of a group of ranks.
const Kind = "mpi"

// Config describes a group.
type Config struct {
	// Slots is how many workers there are to be; 0 means one per rank, which is what a scheduler wants. More share the
	// ranks in turn.
	Slots int

	// PerRank is how many workers each rank has instead; those of a rank are of adjoining numbers. 0 means that Slots decides.
	PerRank int

	// Backoff bounds how long this side and the ranks sleep between looks; 0 means DefaultBackoff.
	Backoff time.Duration

	// Liveness is how long a worker may be silent, which a group does not look after itself: ranks on other hosts setLiveness the
	// master's silence for twice the longest of all groups. 0 means DefaultLiveness.
	Liveness time.Duration
}

// Group is a link.Group over ranks. A worker that is killed is cut off: its rank goes on and serves other groups. Its
// methods may be called together from any goroutine; Open and Close must not be called by the handler.
type Group struct {
	cfg     Config
	hub     *Hub
	own     opening // nil unless the hub is this group's own
	handler link.Handler
	slots   []atomic.Pointer[remote]
	peers   []int  // of the slots
	number  uint64 // of the group in its hub
	ordered bool   // each slot's rank follows from its number and from those that were missing
	missing []int  // the ranks that were lost when it was opened

	mu        sync.Mutex
	opened    bool
	closed    bool
	wanted    bool // Attend, as it was called last
	attending bool
	live      map[*remote]struct{}
	empty     chan struct{} // closed when live is empty after Close; nil while nobody waits
	released  chan struct{} // closed when what the group has opened is ended; nil before that begins
}

// Group returns a group over the ranks of the hub, which may have any number of groups.
func (h *Hub) Group(cfg Config) *Group { return newGroup(cfg, h, nil) }

// opening makes the hub of one group, and ends it.
type opening interface {
	start(ctx context.Context) (*Hub, error)
	end(ctx context.Context) error
}

func newGroup(cfg Config, h *Hub, o opening) *Group {
	if cfg.Backoff <= 0 {
		cfg.Backoff = DefaultBackoff
	}
	return &Group{cfg: cfg, hub: h, own: o, wanted: true, live: map[*remote]struct{}{}}
}

// Traits describes the group.
func (g *Group) Traits() link.Traits {
	return link.Traits{Kind: Kind, Spread: true, Slots: g.cfg.PerRank}
}

// Open counts the ranks that are not lost; a group that spawns blocks until its workers have started. It fails when none
// is left, and when the group was opened or closed before.
func (g *Group) Open(ctx context.Context, h link.Handler) (int, error) {
	if h == nil {
		return 0, errors.New("mpilink: Open: needs a handler")
	}
	if err := ctx.Err(); err != nil {
		return 0, fmt.Errorf("mpilink: Open: %w", err)
	}
	g.mu.Lock()
	switch {
	case g.closed:
		g.mu.Unlock()
		return 0, fmt.Errorf("mpilink: Open: %w", link.ErrClosed)
	case g.opened:
		g.mu.Unlock()
		return 0, errors.New("mpilink: Open: the group is open already")
	}
	g.opened = true
	g.mu.Unlock()
	hub := g.hub
	if g.own != nil {
		var err error
		if hub, err = g.own.start(ctx); err != nil {
			return 0, err
		}
	}
	peers := hub.alive()
	if len(peers) == 0 {
		return 0, errors.New("mpilink: Open: every rank of this job but this one is lost")
	}
	n := g.cfg.Slots
	switch {
	case g.cfg.PerRank > 0:
		n = g.cfg.PerRank * len(peers)
	case n < 1:
		n = len(peers)
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closed { // in the meantime
		return 0, fmt.Errorf("mpilink: Open: %w", link.ErrClosed)
	}
	for w := range n {
		peer := w % len(peers)
		if g.cfg.PerRank > 0 {
			peer = w / g.cfg.PerRank
		}
		g.peers = append(g.peers, peers[peer])
	}
	g.hub, g.handler, g.slots = hub, h, make([]atomic.Pointer[remote], n)
	hub.hubMu.Lock()
	defer hub.hubMu.Unlock()
	hub.naps[g] = g.cfg.Backoff
	hub.setLiveness(g.cfg.Liveness)
	for peer, err := range hub.gone {
		if err != nil {
			g.missing = append(g.missing, peer)
		}
	}
	hub.lastGroup++
	g.number = hub.lastGroup
	g.ordered = (n <= len(peers) || g.cfg.PerRank > 0) && len(peers) == hub.peers-len(g.missing) && len(g.missing) <= mostMissing
	if !g.ordered {
		g.missing = nil // nobody asks
	}
	return n, nil
}

// Start has a rank begin to serve. It panics when the slot holds a worker already: that is a scheduler's mistake.
func (g *Group) Start(w int) {
	h := g.hub
	r := &remote{group: g, slot: w, peer: g.peers[w]}
	if !g.slots[w].CompareAndSwap(nil, r) {
		panic("mpilink: Start(" + strconv.Itoa(w) + "): the slot holds a worker")
	}
	g.mu.Lock()
	refused := error(nil)
	if g.closed {
		refused = link.ErrClosed
	}
	g.live[r] = struct{}{}
	g.attendLocked()
	g.mu.Unlock()
	h.hubMu.Lock()
	h.lastID++
	r.id = h.lastID
	if refused == nil {
		refused = h.gone[r.peer]
	}
	if refused == nil {
		h.workers[r.id] = r
	}
	h.hubMu.Unlock()
	if refused == nil {
		refused = h.note(r.peer, r.id, kindStart, g.startArgs(w).append(nil)...)
		h.nudge()
	}
	if refused != nil {
		h.do(func() {
			h.forget(r)
			r.report(refused)
		})
	}
}

// startArgs is what the rank of a worker is told at its start.
func (g *Group) startArgs(w int) startArgs {
	return startArgs{slot: w, nap: g.cfg.Backoff, group: g.number, ordered: g.ordered, siblings: max(g.cfg.PerRank, 1), missing: g.missing}
}

// Send queues the frame's messages.
func (g *Group) Send(w int, f link.Frame) {
	r := g.current(w)
	if r == nil {
		link.PutBuffer(f.Stream)
		return
	}
	if f.Local != nil {
		link.PutBuffer(f.Stream)
		g.Kill(w, link.ErrLocal)
		return
	}
	h := g.hub
	if _, err := h.frame(r.peer, r.id, f, nil); err != nil {
		h.do(func() { h.lose(r.peer, err) })
		return
	}
	h.nudge()
}

func (g *Group) current(w int) *remote {
	if w >= len(g.slots) {
		return nil
	}
	return g.slots[w].Load()
}

// Moved implements link.Mover. It tells of all that moves between this process and the worker's rank.
func (g *Group) Moved(w int) uint64 {
	if r := g.current(w); r != nil {
		return g.hub.moves[r.peer].Load()
	}
	return 0
}

// Kill cuts the worker off: it is told to end, Lost follows with the cause as it is, and what it still sends is dropped.
func (g *Group) Kill(w int, cause error) {
	r := g.current(w)
	if r == nil {
		return
	}
	if cause == nil {
		cause = fmt.Errorf("the worker on rank %d was cut off", g.hub.name(r.peer))
	}
	g.cut(r, cause)
}

func (g *Group) cut(r *remote, cause error) {
	h := g.hub
	h.do(func() {
		if r.over {
			return
		}
		if err := h.note(r.peer, r.id, kindCut); err != nil {
			cause = errors.Join(cause, err)
		}
		r.report(cause)
	})
}

// lost reports a loss to the handler. The poller calls it, once per worker.
func (g *Group) lost(r *remote, err error) {
	g.slots[r.slot].CompareAndSwap(r, nil)
	g.handler.Lost(r.slot, link.Loss{Err: err})
	g.mu.Lock()
	defer g.mu.Unlock()
	delete(g.live, r)
	g.attendLocked()
	if len(g.live) == 0 && g.empty != nil {
		close(g.empty)
		g.empty = nil
	}
}

// Attend implements link.Attender.
func (g *Group) Attend(on bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.wanted = on
	g.attendLocked()
}

func (g *Group) attendLocked() {
	on := len(g.live) > 0 && (g.wanted || g.closed)
	if on == g.attending {
		return
	}
	g.attending = on
	if on {
		g.hub.attend(1)
	} else {
		g.hub.attend(-1)
	}
}

// Close lets every worker receive what was sent to it and then io.EOF, and waits until all have ended. Those that are
// left when ctx ends are cut off and named by the error. Ranks that were spawned for this group end too.
func (g *Group) Close(ctx context.Context) error {
	g.mu.Lock()
	first := !g.closed
	g.closed = true
	h := g.hub
	if h == nil || g.slots == nil {
		g.mu.Unlock()
		return g.release(ctx)
	}
	g.attendLocked()
	left := g.liveLocked()
	empty := g.waitLocked()
	g.mu.Unlock()
	if first {
		for _, r := range left {
			_ = h.note(r.peer, r.id, kindFinish) // a failure is noticed by the poller
		}
		h.nudge()
	}
	var err error
	select {
	case <-empty:
	case <-ctx.Done():
		err = g.cutAll(ctx, empty)
	}
	h.hubMu.Lock()
	delete(h.naps, g)
	h.hubMu.Unlock()
	return errors.Join(err, g.release(ctx))
}

func (g *Group) liveLocked() []*remote {
	var all []*remote
	for r := range g.live {
		all = append(all, r)
	}
	slices.SortFunc(all, func(a, b *remote) int { return a.slot - b.slot })
	return all
}

// waitLocked returns a channel that is closed when nobody is left.
func (g *Group) waitLocked() <-chan struct{} {
	if g.empty == nil {
		g.empty = make(chan struct{})
	}
	empty := g.empty
	if len(g.live) == 0 {
		close(g.empty)
		g.empty = nil
	}
	return empty
}

// cutAll cuts off who is left and says who that was.
func (g *Group) cutAll(ctx context.Context, empty <-chan struct{}) error {
	g.mu.Lock()
	left := g.liveLocked()
	g.mu.Unlock()
	if len(left) == 0 {
		return nil
	}
	names := make([]string, len(left))
	for i, r := range left {
		names[i] = strconv.Itoa(g.hub.name(r.peer))
		g.cut(r, fmt.Errorf("rank %d was still busy when the group was closed: %w", g.hub.name(r.peer), link.ErrClosed))
	}
	<-empty // the poller needs no answer for that
	return fmt.Errorf("mpilink: Close: the workers on ranks [%s] did not end and were cut off: %w",
		strings.Join(slices.Compact(names), " "), context.Cause(ctx))
}

// release ends what was opened for this group, once. Further calls wait for the first one.
func (g *Group) release(ctx context.Context) error {
	if g.own == nil {
		return nil
	}
	g.mu.Lock()
	over, first := g.released, g.released == nil
	if first {
		over = make(chan struct{})
		g.released = over
	}
	g.mu.Unlock()
	if first {
		defer close(over)
		return g.own.end(ctx)
	}
	select {
	case <-over:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
