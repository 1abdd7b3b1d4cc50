package trace

import (
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
	Path  string
	Limit int64 // of the file in bytes; 0: DefaultLimit
	Run   Run   // without ID, Began and Limit. That of the first pool of this program with that file holds
	Kind  string

	// Warn is told what is wrong with the file, on the goroutine that writes. It must not block. Nil: nobody is.
	Warn func(text string, err error)

	// Now is the clock of the pool's events; nil: the time since the recording's beginning.
	Now func() time.Duration
}

// Pool is the part of a recording that one pool of workers writes. Its methods may be called together from any goroutine.
type Pool struct {
	rec    *Recording
	number int
	now    func() time.Duration
	warn   func(string, error)

	mu      sync.Mutex
	events  []Event
	spare   []Event
	over    thinner // units beyond mostPending
	missed  int     // other events that are lost
	sampler func()
	ended   bool
	wake    chan struct{}
	written chan struct{} // closed when the last event is written, or cannot be
	once    sync.Once
}

// Open returns a new pool of the recording with this path, which this program begins, or goes on with. It does not touch the file: the
// goroutine of the recording does, and tells Warn if that fails. It does not block.
func Open(cfg Config) (*Pool, error) {
	path, err := filepath.Abs(cfg.Path)
	if err != nil {
		return nil, err
	}
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
	p := &Pool{rec: r, now: cfg.Now, warn: cfg.Warn, wake: make(chan struct{}, 1), written: make(chan struct{})}
	if p.now == nil {
		p.now = func() time.Duration { return time.Since(r.run.Began) }
	}
	if p.warn == nil {
		p.warn = func(string, error) {}
	}
	r.mu.Lock()
	r.open++
	r.made++
	p.number = r.made
	r.mu.Unlock()
	p.Add(Event{Kind: PoolBegins, At: p.now(), Text: cfg.Kind})
	go p.write()
	return p, nil
}

// Now is the time since the beginning of the run.
func (p *Pool) Now() time.Duration { return p.now() }

// Sample has f called, by the goroutine that writes and without a lock, before it takes the events: it may add some.
func (p *Pool) Sample(f func()) {
	p.mu.Lock()
	p.sampler = f
	p.mu.Unlock()
}

// Add takes an event. It copies it and does nothing else, so it may be called with locks held.
func (p *Pool) Add(e Event) {
	if p.rec.broken.Load() {
		return
	}
	e.Pool = p.number
	p.mu.Lock()
	n := len(p.events)
	switch {
	case p.ended:
	case n < mostPending, e.Kind != UnitsRan && n < mostPending+mostUnsaid:
		p.events = append(p.events, e)
	case e.Kind == UnitsRan:
		p.over.add(&e, int(^uint(0)>>1))
	default:
		p.missed++
	}
	p.mu.Unlock()
	if n == mostPending/2 {
		p.rouse()
	}
}

func (p *Pool) rouse() {
	select {
	case p.wake <- struct{}{}:
	default:
	}
}

// Close adds the end of the pool and waits until everything is written, or the disk has refused it and Warn was told, for so long at
// most: the disk may hang. Further calls wait likewise.
func (p *Pool) Close(why string, limit time.Duration) error {
	p.once.Do(func() {
		p.Add(Event{Kind: PoolEnds, At: p.now(), Text: why})
		p.mu.Lock()
		p.ended, p.sampler = true, nil
		p.mu.Unlock()
		p.rouse()
	})
	t := time.NewTimer(limit)
	defer t.Stop()
	select {
	case <-p.written:
		return nil
	case <-t.C:
		return fmt.Errorf("the recording %s is not written after %v; what is missing is lost", p.rec.path, limit)
	}
}

// Path is where the recording is.
func (p *Pool) Path() string { return p.rec.path }

// take returns what is to be written, and whether that is the end. The lists are the caller's until it gives the first back.
func (p *Pool) take() (events []Event, over thinner, missed int, ended bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	events, p.events, p.spare = p.events, p.spare, nil
	over, missed, ended = p.over, p.missed, p.ended
	p.over, p.missed = thinner{}, 0
	return events, over, missed, ended
}

func (p *Pool) giveBack(events []Event) {
	clear(events)
	p.mu.Lock()
	p.spare = events[:0]
	p.mu.Unlock()
}
