//go:build unix

package proc

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rankpool/rankpool/internal/fresh"
	"github.com/rankpool/rankpool/internal/link"
)

// afterKill is how long Close waits for the kernel to end what it killed.
const afterKill = 10 * time.Second

// Group is a link.Group over child processes. Its methods may be called together from any goroutine; Open and Close must
// not be called by the handler.
type Group struct {
	cfg      Config
	handler  link.Handler
	path     string // what to start
	name     string // and what it is called, its number apart
	env      []string
	host     string
	copies   bool   // nothing is shown: segments go by the socket
	unsteady func() // ends what fresh.Steady began
	thread   *thread
	slots    []slot

	slotted atomic.Bool // there are slots
	helping atomic.Bool
	gaveUp  atomic.Pointer[time.Time] // since when the last Help had looked in vain; nil once something has come
	early   atomic.Bool               // that was soon: the next one looks longer
	spin    time.Duration             // of the next Help, which has it
	helped  time.Time                 // when the last one had something, likewise

	mu       sync.Mutex
	opened   bool
	closed   bool
	released bool
	running  map[*process]struct{}
	calls    int           // goroutines that report the loss of what never ran
	empty    chan struct{} // closed when nothing is left after Close; nil while nobody waits
}

// slot is a place for one process at a time.
type slot struct {
	current atomic.Pointer[process]

	// deliver is held while the handler is called about this slot, so that the calls come one at a time across
	// processes. Send, Start and Kill never take it.
	deliver sync.Mutex

	memory sync.Mutex
	closed bool    // no process comes any more
	spare  *memory // of the last process, for the next one
}

// takeMemory returns zeroed memory for a process, with so many journals.
func (s *slot) takeMemory(journals int) (*memory, error) {
	s.memory.Lock()
	defer s.memory.Unlock()
	m := s.spare
	if s.spare = nil; m == nil {
		return newMemory(journals)
	}
	m.reset()
	return m, nil
}

// giveMemory keeps memory that a process had for the next one, and tells whether it did.
func (s *slot) giveMemory(m *memory) bool {
	s.memory.Lock()
	defer s.memory.Unlock()
	if s.closed || s.spare != nil {
		return false
	}
	s.spare = m
	return true
}

// close releases the memory.
func (s *slot) close() error {
	s.memory.Lock()
	defer s.memory.Unlock()
	m := s.spare
	if s.closed, s.spare = true, nil; m == nil {
		return nil
	}
	return m.close()
}

func newGroup(cfg Config) *Group { return &Group{cfg: cfg, running: make(map[*process]struct{})} }

// Open takes a snapshot of the environment and of the limits that the children share. It starts nothing and does not
// block.
func (g *Group) Open(ctx context.Context, h link.Handler) (int, error) {
	if err := ctx.Err(); err != nil {
		return 0, fmt.Errorf("proc: Open: %w", err)
	}
	if g.cfg.Slots < 1 || h == nil {
		return 0, errors.New("proc: Open: needs at least one slot and a handler")
	}
	path, name, err := g.cfg.executable()
	if err != nil {
		return 0, fmt.Errorf("proc: Open: cannot tell which program this is, set Config.Executable: %w", err)
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	switch {
	case g.closed:
		return 0, fmt.Errorf("proc: Open: %w", link.ErrClosed)
	case g.opened:
		return 0, errors.New("proc: Open: the group is open already")
	}
	g.opened = true
	g.handler, g.path, g.name = h, path, name
	env := g.cfg.Environ
	if env == nil {
		env = os.Environ()
	}
	env = append(share(env, runtime.GOMAXPROCS(0), g.cfg.Slots), g.cfg.Env...)
	g.env = settle(slices.DeleteFunc(env, func(s string) bool {
		name, _, _ := strings.Cut(s, "=")
		return name == variable || slices.Contains(NumberVariables[:], name)
	}))
	value, _ := lookup(g.env, socketVariable)
	switch strings.ToLower(value) {
	case "", "0", "false", "no", "off", "n":
	default:
		g.copies = true
	}
	if !g.copies {
		admitChildren()
	}
	if g.host, err = os.Hostname(); err != nil {
		g.host = "this machine"
	}
	g.slots = make([]slot, g.cfg.Slots)
	g.slotted.Store(true)
	g.thread = newThread()
	needGuardian()
	g.unsteady = fresh.Steady()
	return len(g.slots), nil
}

// dir is where a process is to start, or nothing where this one is there: it may be gone, and is then inherited all the same.
func (g *Group) dir() string {
	if now, err := os.Getwd(); err != nil || now == g.cfg.Dir {
		return ""
	}
	return g.cfg.Dir
}

// Start has a process started. It panics when the slot holds one already: that is a scheduler's mistake.
func (g *Group) Start(w int) {
	s := &g.slots[w]
	p := &process{group: g, slot: s, index: w, mark: newMark(), out: newOutbox()}
	if !s.current.CompareAndSwap(nil, p) {
		panic("proc: Start(" + strconv.Itoa(w) + "): the slot holds a worker")
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closed {
		g.calls++
		go func() {
			p.report(link.Loss{Err: link.ErrClosed, Proof: true}) // nothing ran
			g.mu.Lock()
			defer g.mu.Unlock()
			g.calls--
			g.settle()
		}()
		return
	}
	g.running[p] = struct{}{}
	go p.launch()
}

// Send writes what the socket takes at once and queues the rest.
func (g *Group) Send(w int, f link.Frame) {
	p := g.slots[w].current.Load()
	if p == nil {
		link.PutBuffer(f.Stream)
		return
	}
	if f.Local != nil {
		link.PutBuffer(f.Stream)
		p.kill(link.ErrLocal)
		return
	}
	p.out.send(f)
}

// Moved implements link.Mover.
func (g *Group) Moved(w int) uint64 {
	if p := g.slots[w].current.Load(); p != nil {
		return p.moved()
	}
	return 0
}

// Kill sends SIGKILL, which ends a stopped process too. One whose start hangs is lost at once.
func (g *Group) Kill(w int, cause error) {
	if p := g.slots[w].current.Load(); p != nil {
		if cause == nil {
			cause = errors.New("killed by its master")
		}
		p.kill(cause)
	}
}

// EndPrograms kills what the workers that are left have started, directly or not, but not the workers. It returns when that has
// ended, and does nothing where the system cannot tell what that is.
func (g *Group) EndPrograms() {
	g.mu.Lock()
	all := slices.Collect(maps.Keys(g.running))
	g.mu.Unlock()
	for _, p := range all {
		p.mu.Lock()
		child := p.child
		p.mu.Unlock()
		if child != nil {
			p.endMarked(child.Pid, false)
		}
	}
}

// gone takes a process off the books.
func (g *Group) gone(p *process) {
	g.mu.Lock()
	defer g.mu.Unlock()
	delete(g.running, p)
	g.settle()
}

// settle wakes Close when nothing is left. The caller holds g.mu.
func (g *Group) settle() {
	if len(g.running) == 0 && g.calls == 0 && g.empty != nil {
		close(g.empty)
		g.empty = nil
	}
}

// Close ends the sockets behind what is queued, and waits until every process has ended and is reaped. Processes that
// are left when ctx ends are killed, reaped and named by the error.
func (g *Group) Close(ctx context.Context) error {
	g.mu.Lock()
	g.closed = true
	for p := range g.running {
		p.out.finish()
	}
	empty := g.wait()
	g.mu.Unlock()

	var err error
	select {
	case <-empty:
	case <-ctx.Done():
		err = g.killAll(ctx, empty)
	}
	return errors.Join(err, g.release())
}

// wait returns a channel that is closed when nothing is left. The caller holds g.mu.
func (g *Group) wait() <-chan struct{} {
	if g.empty != nil {
		return g.empty
	}
	empty := make(chan struct{})
	g.empty = empty
	g.settle()
	return empty
}

// killAll ends what is left and says what that was.
func (g *Group) killAll(ctx context.Context, empty <-chan struct{}) error {
	g.mu.Lock()
	var names []string
	for p := range g.running {
		names = append(names, p.String())
		p.kill(fmt.Errorf("it was still busy when the group was closed: %w", link.ErrClosed))
	}
	g.mu.Unlock()
	slices.Sort(names)
	limit := time.NewTimer(afterKill)
	defer limit.Stop()
	select {
	case <-empty:
		if len(names) == 0 {
			return nil
		}
		return fmt.Errorf("proc: Close: had to kill %s: %w", strings.Join(names, ", "), context.Cause(ctx))
	case <-limit.C:
		return fmt.Errorf("proc: Close: %s did not end %v after being killed; look for a file system or device that hangs: %w",
			strings.Join(names, ", "), afterKill, context.Cause(ctx))
	}
}

// release gives back the memory and the thread, once and when nothing is left.
func (g *Group) release() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if !g.opened || g.released || len(g.running) > 0 || g.calls > 0 {
		return nil
	}
	g.released = true
	var errs []error
	for i := range g.slots {
		errs = append(errs, g.slots[i].close())
	}
	if g.cfg.Inherit != nil {
		errs = append(errs, g.cfg.Inherit.Close())
	}
	g.thread.end()
	dropGuardian()
	g.unsteady()
	return errors.Join(errs...)
}
