// Package simlink is a group of simulated workers: any number of them, without a goroutine for each, in a time that is only counted.
//
// It is for tests and measurements of the scheduler at sizes that no machine at hand has. What is on the other side of the Group is
// the real master. Nothing happens by itself: virtual time goes on while a goroutine is in Run or Close. So a simulation in which
// one goroutine submits and runs is the same each time, message for message.
//
// Nothing here knows what a frame means: what a worker does is a Worker, such as dispatch.Virtual, which speaks the master's language.
package simlink

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rankpool/rankpool/internal/link"
)

// Worker is what is in a slot. The group calls it on the goroutine that is in Run or Close, one call at a time, in the order of
// virtual time. It may call its Port, and nothing else of the group.
type Worker interface {
	// Begin is the worker's start.
	Begin()

	// Receive takes the next frame, which is the worker's then.
	Receive(f link.Frame)

	// Wake is called when the time has come that the Port was told last.
	Wake()

	// Finish is called when the master is gone or has closed the group: no other frame comes. The worker calls Close of its Port, at
	// once or when it can.
	Finish()

	// Lose ends the worker at once, and says what it leaves behind. The group fills in the cause.
	Lose() link.Loss
}

// Config describes a group.
type Config struct {
	// Slots is how many workers there are, at least one.
	Slots int

	// Worker makes the worker of a slot, at each start.
	Worker func(p *Port) Worker

	// Latency is how long a frame is on its way, at least. Starts and kills take as long.
	Latency time.Duration

	// Jitter is by how much a frame's way may be longer, by chance. Frames of one worker stay in order.
	Jitter time.Duration

	// Bandwidth is how many bytes a second pass between the master and one worker in one direction; 0 is any number.
	Bandwidth float64

	// Attention is how much virtual time the master spends on each frame that it receives or sends, one after the other. 0: none.
	// SetAttention changes it.
	Attention time.Duration

	// Seed is that of the chances.
	Seed uint64

	// Traits replaces what the group says about itself; nil means a "simulated" group that replaces workers and kills them.
	Traits *link.Traits

	// Flush returns when the handler has handed over what it has decided to send so far: it may have other goroutines for that. Run calls
	// it before time goes on for the first time, and before it says that nothing is left. Nil: the handler has none.
	Flush func()

	// Clock measures the real time that the master spends in calls of its handler, for Spent. Nil: nothing is measured.
	Clock func() time.Duration

	// Trace is told of everything that reaches a worker or the master, in order. Nil: nobody is.
	Trace func(e Event)
}

// Event is something that has reached its receiver.
type Event struct {
	At       time.Duration // virtual
	Slot     int
	ToMaster bool
	What     byte // the first byte of a frame, or 0: a start, or a loss
	Size     int  // bytes of the frame
}

// ErrQuiet is the error of Run when nothing is left that could happen.
var ErrQuiet = errors.New("simlink: nothing is left to happen")

// Group is a link.Group of simulated workers. Its methods may be called together from any goroutine; Open, Close and Run must not be
// called by the handler.
type Group struct {
	cfg    Config
	traits link.Traits

	driving sync.Mutex    // held by the goroutine that makes time go on
	started chan struct{} // closed when every slot has been started once
	now     atomic.Int64  // of the master: nanoseconds of virtual time

	mu      sync.Mutex // guards what follows
	handler link.Handler
	slots   []Port
	chance  *rand.Rand
	last    uint64 // number of the last event
	parcels parcels
	workers timetable // what happens at the workers
	sent    []event   // likewise, and not yet among them: putting them in order is not the master's work
	master  timetable // what reaches the master
	time    time.Duration
	starts  int // of the first set, how many were
	live    int // slots with a worker
	opened  bool
	closed  bool

	attention time.Duration
	idle      time.Duration // when the master has done with what it has received and sent

	// What follows belongs to the goroutine that drives.
	window []arrival
	spent  Spent
}

// Spent is what the master has done since the last call of TakeSpent.
type Spent struct {
	Time     time.Duration // real, in calls of its handler
	Looks    int           // how many pairs of looks at the clock that took
	Received int           // frames that it was given
	Sent     int           // frames that it has sent
	Bytes    int           // of both
}

// New returns a group in which nothing has happened.
func New(cfg Config) *Group {
	g := &Group{cfg: cfg, attention: cfg.Attention, started: make(chan struct{}), chance: rand.New(rand.NewPCG(cfg.Seed, 0))}
	g.traits = link.Traits{Kind: "simulated", Replaces: true, Kills: true}
	if cfg.Traits != nil {
		g.traits = *cfg.Traits
	}
	return g
}

// Traits describes the group.
func (g *Group) Traits() link.Traits { return g.traits }

// Open makes the slots. It does not block.
func (g *Group) Open(ctx context.Context, h link.Handler) (int, error) {
	if err := ctx.Err(); err != nil {
		return 0, fmt.Errorf("simlink: Open: %w", err)
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	switch {
	case g.cfg.Slots < 1 || g.cfg.Worker == nil || h == nil:
		return 0, errors.New("simlink: Open: needs at least one slot, workers and a handler")
	case g.closed:
		return 0, fmt.Errorf("simlink: Open: %w", link.ErrClosed)
	case g.opened:
		return 0, errors.New("simlink: Open: the group is open already")
	}
	g.opened, g.handler = true, h
	g.slots = make([]Port, g.cfg.Slots)
	for i := range g.slots {
		g.slots[i].g, g.slots[i].slot = g, int32(i)
	}
	return len(g.slots), nil
}

// Start brings up a worker. It panics when the slot holds one already: that is a scheduler's mistake.
func (g *Group) Start(w int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if w >= len(g.slots) {
		panic("simlink: Start(" + strconv.Itoa(w) + "): there is no such slot")
	}
	p := &g.slots[w]
	if p.state != vacant {
		panic("simlink: Start(" + strconv.Itoa(w) + "): the slot holds a worker")
	}
	refused := error(nil)
	switch {
	case g.closed:
		refused = link.ErrClosed
	case p.life > 0 && !g.traits.Replaces:
		refused = fmt.Errorf("slot %d cannot be started again: a %s group does not replace workers", w, g.traits.Kind)
	}
	p.life++
	p.state = coming
	p.down, p.up = 0, 0
	g.live++
	at := g.moment() + g.cfg.Latency
	if refused != nil {
		p.state = lost
		g.report(p, at, link.Loss{Err: refused, Proof: true})
		return
	}
	g.workers.put(event{at: at, number: g.number(), slot: p.slot, life: p.life, what: begin})
	if g.starts++; g.starts == g.cfg.Slots {
		close(g.started)
	}
}

// Send puts a frame on its way.
func (g *Group) Send(w int, f link.Frame) {
	g.mu.Lock()
	defer g.mu.Unlock()
	p := &g.slots[w]
	if p.state == vacant || p.state == lost {
		link.PutBuffer(f.Stream)
		return
	}
	if f.Local != nil && !g.traits.SharesMem {
		link.PutBuffer(f.Stream)
		g.kill(p, link.ErrLocal)
		return
	}
	size := size(f)
	g.spent.Sent++
	g.spent.Bytes += size
	g.idle = max(g.idle, g.moment()) + g.attention
	p.down = g.way(g.idle, p.down, size)
	f = packed(f)
	g.sent = append(g.sent, event{at: p.down, number: g.number(), slot: p.slot, life: p.life, what: frame, parcel: g.parcels.put(parcel{frame: f})})
}

// Kill ends a worker as soon as word of it can be there.
func (g *Group) Kill(w int, cause error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if cause == nil {
		cause = fmt.Errorf("worker %d was killed", w)
	}
	g.kill(&g.slots[w], cause)
}

func (g *Group) kill(p *Port, cause error) {
	if p.state == vacant || p.state == lost {
		return
	}
	g.workers.put(event{
		at: g.moment() + g.cfg.Latency, number: g.number(), slot: p.slot, life: p.life, what: end,
		parcel: g.parcels.put(parcel{loss: &link.Loss{Err: cause}}),
	})
}

// Lose has the worker in a slot end by itself, after some virtual time, as a crash would. The cause is the Err of its Loss.
func (g *Group) Lose(w int, after time.Duration, cause error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	p := &g.slots[w]
	g.workers.put(event{
		at: g.time + max(after, g.cfg.Latency), number: g.number(), slot: p.slot, life: p.life, what: end,
		parcel: g.parcels.put(parcel{loss: &link.Loss{Err: cause}}),
	})
}

// Close has every worker leave, makes time go on until they have, and lets go of the handler. When ctx ends first, it ends those that
// are left, and its error names them.
func (g *Group) Close(ctx context.Context) error {
	g.driving.Lock()
	defer g.driving.Unlock()
	g.mu.Lock()
	if !g.closed {
		g.closed = true
		for i := range g.slots {
			if p := &g.slots[i]; p.state != vacant && p.state != lost {
				p.down = g.way(g.moment(), p.down, 0)
				g.workers.put(event{at: p.down, number: g.number(), slot: p.slot, life: p.life, what: finish})
			}
		}
	}
	left := 0
	for g.live > 0 && ctx.Err() == nil {
		g.mu.Unlock()
		quiet := !g.step()
		g.mu.Lock()
		if quiet {
			break
		}
	}
	var names []string
	for i := range g.slots {
		if p := &g.slots[i]; p.state != vacant && p.state != lost {
			if left++; left <= 10 {
				names = append(names, strconv.Itoa(i))
			}
			g.kill(p, fmt.Errorf("worker %d was still busy when the group was closed: %w", i, link.ErrClosed))
		}
	}
	for happened := true; g.live > 0 && happened; {
		g.mu.Unlock()
		happened = g.step()
		g.mu.Lock()
	}
	g.handler = nil
	g.mu.Unlock()
	if left == 0 {
		return nil
	}
	cause := context.Cause(ctx)
	if cause == nil {
		cause = ErrQuiet
	}
	return fmt.Errorf("simlink: Close: %d workers have not left and were ended (slots %s): %w", left, strings.Join(names, " "), cause)
}

// Run makes time go on until done returns true. It asks whenever the master has been given what has reached it, without a lock. It
// waits until the master has started the workers. Its error is ctx's, or ErrQuiet.
func (g *Group) Run(ctx context.Context, done func() bool) error {
	select {
	case <-g.started:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	g.flush()
	for ctx.Err() == nil {
		if done() {
			return nil
		}
		if g.stepAlone() {
			continue
		}
		if done() {
			return nil
		}
		if g.flush(); !g.stepAlone() {
			return ErrQuiet
		}
	}
	return context.Cause(ctx)
}

func (g *Group) flush() {
	if g.cfg.Flush != nil {
		g.cfg.Flush()
	}
}

func (g *Group) stepAlone() (happened bool) {
	g.driving.Lock()
	defer g.driving.Unlock()
	return g.step()
}

// SetAttention changes how much virtual time the master spends on each frame from now on.
func (g *Group) SetAttention(d time.Duration) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.attention = d
}

// Now is the virtual time since the group was made. In a call of the handler it is when that was reached.
func (g *Group) Now() time.Duration {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.moment()
}

// TakeSpent returns what the master has done since the last call.
func (g *Group) TakeSpent() Spent {
	g.driving.Lock()
	defer g.driving.Unlock()
	g.mu.Lock()
	defer g.mu.Unlock()
	s := g.spent
	g.spent = Spent{}
	return s
}

// moment is when what the master does happens. The lock is held.
func (g *Group) moment() time.Duration { return max(time.Duration(g.now.Load()), g.time) }

func (g *Group) number() uint64 {
	g.last++
	return g.last
}

// way returns when a frame is there that leaves now, behind one that is there at before.
func (g *Group) way(now, before time.Duration, size int) time.Duration {
	at := now + g.cfg.Latency
	if g.cfg.Jitter > 0 {
		at += time.Duration(g.chance.Int64N(int64(g.cfg.Jitter) + 1))
	}
	at = max(at, before)
	if g.cfg.Bandwidth > 0 {
		at += time.Duration(float64(size) / g.cfg.Bandwidth * float64(time.Second))
	}
	return at
}

// packed returns a frame as it is on its way: as with a real link the buffer that it was written into is free again.
func packed(f link.Frame) link.Frame {
	stream := f.Stream
	f.Stream = append(make([]byte, 0, len(stream)), stream...)
	link.PutBuffer(stream)
	return f
}

// unpacked returns a frame as a link delivers it.
func unpacked(f link.Frame) link.Frame {
	f.Stream = append(link.GetBuffer(), f.Stream...)
	return f
}

func size(f link.Frame) int {
	n := len(f.Stream)
	for _, s := range f.Segments {
		n += len(s)
	}
	return n
}

// report puts a loss on its way to the master, behind the worker's frames.
func (g *Group) report(p *Port, now time.Duration, l link.Loss) {
	p.up = g.way(now, p.up, 0)
	g.master.put(event{at: p.up, number: g.number(), slot: p.slot, life: p.life, what: end, parcel: g.parcels.put(parcel{loss: &l})})
}

// arrival is what has reached the master.
type arrival struct {
	at     time.Duration
	slot   int
	lost   bool
	parcel parcel
}

// step makes time go on by a frame's way. What the master sends in that time comes later, and so does what workers send: so both
// sides can be looked at one after the other. It returns false when there is nothing that could happen. Its caller drives.
func (g *Group) step() (happened bool) {
	g.mu.Lock()
	for _, e := range g.sent {
		g.workers.put(e)
	}
	g.sent = g.sent[:0]
	next, ok := g.workers.first()
	if m, also := g.master.first(); also && (!ok || m < next) {
		next, ok = m, true
	}
	if !ok {
		g.mu.Unlock()
		return false
	}
	g.time = max(g.time, next)
	until := g.time + max(g.cfg.Latency, 1)
	for at, ok := g.workers.first(); ok && at < until; at, ok = g.workers.first() {
		g.atWorker(g.workers.take())
	}
	g.window = g.window[:0]
	for at, ok := g.master.first(); ok && at < until; at, ok = g.master.first() {
		e := g.master.take()
		p := &g.slots[e.slot]
		a := arrival{at: at, slot: int(e.slot), lost: e.what == end, parcel: g.parcels.take(e.parcel)}
		if a.lost {
			p.state = vacant
			g.live--
		} else {
			g.spent.Received++
			g.spent.Bytes += size(a.parcel.frame)
		}
		g.window = append(g.window, a)
	}
	h := g.handler
	g.mu.Unlock()
	g.give(h)
	g.mu.Lock()
	g.time = max(g.time, until-1)
	g.now.Store(0)
	g.mu.Unlock()
	return true
}

// give gives the master what has reached it.
func (g *Group) give(h link.Handler) {
	if len(g.window) == 0 || h == nil {
		return
	}
	before := time.Duration(0)
	if g.cfg.Clock != nil {
		before = g.cfg.Clock()
	}
	for i := range g.window {
		a := &g.window[i]
		g.now.Store(int64(g.attend(a.at)))
		if g.cfg.Trace != nil {
			g.trace(time.Duration(g.now.Load()), a.slot, true, a.parcel.frame)
		}
		if a.lost {
			h.Lost(a.slot, *a.parcel.loss)
		} else {
			h.Receive(a.slot, unpacked(a.parcel.frame))
		}
	}
	if g.cfg.Clock != nil {
		g.spent.Time += g.cfg.Clock() - before
		g.spent.Looks++
	}
	clear(g.window)
}

// attend returns when the master turns to what has reached it at a time.
func (g *Group) attend(at time.Duration) time.Duration {
	g.mu.Lock()
	defer g.mu.Unlock()
	at = max(at, g.idle)
	g.idle = at + g.attention
	return at
}

func (g *Group) trace(at time.Duration, slot int, toMaster bool, f link.Frame) {
	if g.cfg.Trace == nil {
		return
	}
	e := Event{At: at, Slot: slot, ToMaster: toMaster, Size: size(f)}
	if len(f.Stream) > 0 {
		e.What = f.Stream[0]
	}
	g.cfg.Trace(e)
}
