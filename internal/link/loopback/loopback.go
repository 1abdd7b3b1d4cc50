// Package loopback is a group whose workers are goroutines of this process.
//
// It is the thread backend, and what the scheduler is tested on: faults.go loses workers and holds frames on demand.
// A worker's Send calls the master's handler on the worker's own goroutine, so a worker whose next frame is queued by
// that call receives it without parking and without another goroutine being woken.
package loopback

import (
	"context"
	"errors"
	"fmt"
	"sort"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/rankpool/rankpool/internal/link"
)

// usualJournal is the size of a worker's journal when the Config does not say. It is only where results are collected, for nobody needs
// it after a loss in the same process: a batch of tiny ones takes a few kilobytes, and what takes more leaves in several messages.
const usualJournal = 8 << 10

// Config describes a group.
type Config struct {
	// Slots is how many workers the group begins with, at least one. Start makes more where there is need.
	Slots int

	// Serve is what a worker does. It is called on a goroutine of its own for every Start, and the worker ends when it
	// returns. Ending without ep.Close, with a panic or with runtime.Goexit is a loss.
	Serve func(ep link.Endpoint)

	// Traits replaces what the group says about itself; nil means a "loopback" group that replaces workers, cannot kill
	// them and shares its memory with them. Without SharesMem a frame with a Local value is refused; without Replaces a
	// second Start of a slot is a loss.
	Traits *link.Traits

	// JournalSize is the size of each worker's journal in bytes; 0 means 8 KiB.
	JournalSize int
}

// Group is a link.Group over goroutines. Its methods may be called together from any goroutine; Open and Close must
// not be called by the handler.
type Group struct {
	cfg     Config
	traits  link.Traits
	handler link.Handler
	slots   atomic.Pointer[[]*slot] // replaced under mu when it grows
	closing chan struct{}           // closed by the first Close

	mu      sync.Mutex
	opened  bool
	closed  bool
	running map[*worker]struct{} // goroutines that have not ended, abandoned ones too
	calls   int                  // goroutines that are delivering a Lost or keep a fault
	empty   chan struct{}        // closed when running and calls reach zero after Close; nil while nobody waits
}

// slot is a place for one worker at a time. Its fields outlive the workers.
type slot struct {
	current atomic.Pointer[worker]
	faults  atomic.Pointer[faults] // nil unless a test asked for faults

	// deliver is held while the handler is called about this slot, so that the calls come one at a time across
	// workers. Send, Start and Kill never take it.
	deliver sync.Mutex
	started bool // guarded by Group.mu
}

// New returns a group that has no goroutine yet.
func New(cfg Config) *Group {
	g := &Group{cfg: cfg, closing: make(chan struct{}), running: make(map[*worker]struct{})}
	g.traits = link.Traits{Kind: "loopback", Replaces: true, SharesMem: true}
	if cfg.Traits != nil {
		g.traits = *cfg.Traits
	}
	if g.cfg.JournalSize <= link.JournalHeader {
		g.cfg.JournalSize = usualJournal
	}
	return g
}

// Traits describes the group.
func (g *Group) Traits() link.Traits { return g.traits }

// Open makes the slots. It does not block. It fails when there would be no slot or nothing to serve, and when the
// group was opened or closed before.
func (g *Group) Open(ctx context.Context, h link.Handler) (int, error) {
	if err := ctx.Err(); err != nil {
		return 0, fmt.Errorf("loopback: Open: %w", err)
	}
	if g.cfg.Slots < 1 || g.cfg.Serve == nil || h == nil {
		return 0, errors.New("loopback: Open: needs at least one slot, a Serve function and a handler")
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	switch {
	case g.closed:
		return 0, fmt.Errorf("loopback: Open: %w", link.ErrClosed)
	case g.opened:
		return 0, errors.New("loopback: Open: the group is open already")
	}
	g.opened = true
	g.handler = h
	g.grow(g.cfg.Slots)
	return g.cfg.Slots, nil
}

// grow makes sure that there are at least so many slots. The caller holds g.mu.
func (g *Group) grow(n int) {
	var slots []*slot
	if p := g.slots.Load(); p != nil {
		slots = *p
	}
	for len(slots) < n {
		slots = append(slots, new(slot)) // beyond the length of what others see
	}
	g.slots.Store(&slots)
}

// slot returns a slot that there is.
func (g *Group) slot(w int) *slot { return (*g.slots.Load())[w] }

// Start runs Serve on a new goroutine. It panics when the slot holds a worker already: that is a scheduler's mistake.
func (g *Group) Start(w int) {
	if w >= len(*g.slots.Load()) {
		g.mu.Lock()
		g.grow(w + 1)
		g.mu.Unlock()
	}
	s := g.slot(w)
	wk := newWorker(g, s, w)
	if !s.current.CompareAndSwap(nil, wk) {
		panic("loopback: Start(" + strconv.Itoa(w) + "): the slot holds a worker")
	}
	g.mu.Lock()
	var refused error
	switch {
	case g.closed:
		refused = link.ErrClosed
	case s.started && !g.traits.Replaces:
		refused = fmt.Errorf("slot %d cannot be started again: a %s group does not replace workers", w, g.traits.Kind)
	}
	s.started = true
	if refused == nil {
		g.running[wk] = struct{}{}
	}
	g.mu.Unlock()
	if refused != nil {
		g.lose(wk, link.Loss{Err: refused, Proof: true}) // nothing ran
		return
	}
	go wk.run()
}

// Send queues a frame. It never blocks and never calls the handler.
func (g *Group) Send(w int, f link.Frame) {
	s := g.slot(w)
	wk := s.current.Load()
	if wk == nil {
		link.PutBuffer(f.Stream)
		return
	}
	if f.Local != nil && !g.traits.SharesMem {
		g.Kill(w, link.ErrLocal)
		return
	}
	if ft := s.faults.Load(); ft != nil && !ft.pass(ToWorker, wk, &f) {
		return
	}
	wk.push(f)
}

// Recall implements link.Recaller.
func (g *Group) Recall(w int, first, n uint64) {
	if wk := g.slot(w).current.Load(); wk != nil {
		wk.journal.Recall(first, n)
	}
}

// Kill cuts the worker off: its Recv returns io.EOF, what it sends is discarded and Lost follows at once with the cause
// as it is. The goroutine goes on until it notices. Its journal proves nothing, since it may still be written.
func (g *Group) Kill(w int, cause error) {
	wk := g.slot(w).current.Load()
	if wk == nil {
		return
	}
	if cause == nil {
		cause = fmt.Errorf("worker %d was killed", w)
	}
	g.lose(wk, link.Loss{Err: cause})
}

// lose cuts a worker off, and reports it on another goroutine: the caller may hold the scheduler's lock.
func (g *Group) lose(wk *worker, l link.Loss) {
	if !wk.cutOff() {
		return
	}
	g.background(func() { wk.report(l) })
}

// background runs f on a goroutine that Close waits for.
func (g *Group) background(f func()) {
	g.mu.Lock()
	g.calls++
	g.mu.Unlock()
	go func() {
		f()
		g.mu.Lock()
		g.calls--
		g.settle()
		g.mu.Unlock()
	}()
}

// settle wakes Close when nothing is left. The caller holds g.mu.
func (g *Group) settle() {
	if len(g.running) == 0 && g.calls == 0 && g.empty != nil {
		close(g.empty)
		g.empty = nil
	}
}

// Close lets every worker receive what was sent to it and then io.EOF, and waits until all goroutines have returned,
// those abandoned by Kill too. Frames sent meanwhile are still delivered. When ctx ends first, the rest is cut off and
// named by the error; a later Close waits for them again.
func (g *Group) Close(ctx context.Context) error {
	g.mu.Lock()
	if !g.closed {
		g.closed = true
		close(g.closing)
	}
	for wk := range g.running {
		wk.finish()
	}
	if len(g.running) == 0 && g.calls == 0 {
		g.mu.Unlock()
		return nil
	}
	if g.empty == nil {
		g.empty = make(chan struct{})
	}
	empty := g.empty
	g.mu.Unlock()

	select {
	case <-empty:
		return nil
	case <-ctx.Done():
	}
	select {
	case <-empty: // a finished group beats an expired context
		return nil
	default:
	}
	g.mu.Lock()
	left := make([]*worker, 0, len(g.running))
	for wk := range g.running {
		left = append(left, wk)
	}
	g.mu.Unlock()
	sort.Slice(left, func(i, j int) bool { return left[i].index < left[j].index })
	names := make([]string, len(left))
	for i, wk := range left {
		names[i] = strconv.Itoa(wk.index)
		g.lose(wk, link.Loss{Err: fmt.Errorf("worker %d was still busy when the group was closed: %w", wk.index, link.ErrClosed)})
	}
	return fmt.Errorf("loopback: Close: goroutines of slots [%s] have not returned and were abandoned: %w",
		strings.Join(names, " "), context.Cause(ctx))
}
