package trace

import (
	"context"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"
)

// How often a recording is written, how much it may take, and how much of it waits in memory.
const (
	writePause   = 250 * time.Millisecond
	DefaultLimit = 256 << 20
	LeastLimit   = 1 << 20
	mostPending  = 1 << 14 // events of one pool
	mostUnsaid   = 1 << 12 // further ones that are no units
	mostUnsaved  = 4 << 20 // bytes that the disk has not taken
)

// Recording is a file that the pools of this program write together, each on a goroutine of its own. It has no channel and no
// goroutine: they would belong to whoever uses it first, and that may be a bubble of testing/synctest.
type Recording struct {
	path string
	run  Run

	mu   sync.Mutex
	open int // pools whose last events are not written
	made int // pools so far

	broken atomic.Bool // the file cannot be opened: nothing is kept
	writer writer
}

// leave notes that the last event of a pool is written, and tells whether there is no other pool.
func (r *Recording) leave() (last bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.open--
	return r.open == 0
}

// recordings are those of this program, by their paths: executors that come one after the other go on with the same.
var recordings struct {
	sync.Mutex
	of map[string]*Recording
}

// Config is what a Pool is made of.
type Config struct {
	Path  string // of the file; "": there is none
	Limit int64  // of the file in bytes; 0: DefaultLimit
	Run   Run    // without ID, Began and Limit. That of the first pool of this program with that file holds
	Kind  string

	// Warn is told what is wrong with the file, on the goroutine that writes. It must not block. Nil: nobody is.
	Warn func(text string, err error)

	// Now is the clock of the pool's events; nil: the time since Began.
	Now func() time.Duration

	// Hooks returns what is told of the events beside the file; began is when their clock began.
	Hooks func(began time.Time) []Hook
}

// Pool is what the events of one pool of workers go through: to a recording, of which they are a part, and to hooks. Its methods may be called
// together from any goroutine.
type Pool struct {
	rec    *Recording // nil: there is no file
	number int
	now    func() time.Duration
	warn   func(string, error)

	file  *queue // nil: there is no file
	hooks []*hooked

	mu      sync.Mutex
	sampler func()
	running func()
	once    sync.Once
}

// Open returns a new pool of the recording with this path, which this program begins, or goes on with. It does not touch the file: the
// goroutine of the recording does, and tells Warn if that fails. It does not block.
func Open(cfg Config) (*Pool, error) {
	p := &Pool{now: cfg.Now, warn: cfg.Warn}
	began := time.Now()
	if cfg.Path != "" {
		path, err := filepath.Abs(cfg.Path)
		if err != nil {
			return nil, err
		}
		p.rec, p.file = recordingOf(path, cfg), newQueue()
		began = p.rec.run.Began
		p.number = p.rec.enter()
	}
	if p.now == nil {
		p.now = func() time.Duration { return time.Since(began) }
	}
	if p.warn == nil {
		p.warn = func(string, error) {}
	}
	if cfg.Hooks != nil {
		for _, tell := range cfg.Hooks(began) {
			p.hooks = append(p.hooks, &hooked{newQueue(), p, tell})
		}
	}
	p.Add(Event{Kind: PoolBegins, At: p.now(), Text: cfg.Kind})
	if p.file != nil {
		go p.file.serve(p.round)
	}
	for _, h := range p.hooks {
		go h.serve(h.round)
	}
	return p, nil
}

// recordingOf returns the recording with this path.
func recordingOf(path string, cfg Config) *Recording {
	if cfg.Limit == 0 {
		cfg.Limit = DefaultLimit
	}
	recordings.Lock()
	defer recordings.Unlock()
	r := recordings.of[path]
	if r == nil || r.broken.Load() {
		r = &Recording{path: path, run: cfg.Run}
		r.writer.rec = r
		r.run.ID, r.run.Began, r.run.Limit = rand.Uint64(), time.Now(), max(cfg.Limit, LeastLimit)
		if recordings.of == nil {
			recordings.of = map[string]*Recording{}
		}
		recordings.of[path] = r
	}
	return r
}

// enter notes one pool more, and returns its number.
func (r *Recording) enter() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.open++
	r.made++
	return r.made
}

// Now is the time since the beginning of the run.
func (p *Pool) Now() time.Duration { return p.now() }

// Sample has f called, by the goroutines that read the events and without a lock, before they take them: it may add some.
func (p *Pool) Sample(f func()) {
	p.mu.Lock()
	p.sampler = f
	p.mu.Unlock()
}

// Running has f called likewise if there are hooks: it adds UnitsBegun.
func (p *Pool) Running(f func()) {
	p.mu.Lock()
	p.running = f
	p.mu.Unlock()
}

func (p *Pool) sample(hook bool) {
	p.mu.Lock()
	sampler, running := p.sampler, p.running
	p.mu.Unlock()
	if sampler != nil {
		sampler()
	}
	if hook && running != nil {
		running()
	}
}

// Add takes an event. It copies it and does nothing else, so it may be called with locks held.
func (p *Pool) Add(e Event) {
	e.Pool = p.number
	if p.file != nil && e.Kind != UnitsBegun && !p.rec.broken.Load() {
		p.file.add(&e)
	}
	switch e.Kind {
	case Counted, ClockKnown, PoolBegins: // no hook is told of them
		return
	}
	for _, h := range p.hooks {
		h.add(&e)
	}
}

// Close adds the end of the pool, with why it broke or nil, and waits until everything is written, or the disk has refused it and Warn was told, or ctx ends:
// the disk may hang. Further calls wait likewise. It does not wait for hooks.
func (p *Pool) Close(ctx context.Context, why error) error {
	p.once.Do(func() {
		p.Add(Event{Kind: PoolEnds, At: p.now(), Err: why})
		p.Sample(nil)
		p.Running(nil)
		if p.file != nil {
			p.file.end()
		}
		for _, h := range p.hooks {
			h.end()
		}
	})
	if p.file == nil {
		return nil
	}
	begin := time.Now()
	select {
	case <-p.file.read:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("the recording %s is not written after %v; what is missing is lost", p.rec.path, time.Since(begin).Round(time.Millisecond))
	}
}
