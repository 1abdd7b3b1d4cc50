// Package progress shows on a writer how much of something is done.
package progress

import (
	"errors"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rankpool/rankpool/internal/awake"
	"github.com/rankpool/rankpool/internal/screen"
)

// How often progress is shown.
const (
	barEvery  = 100 * time.Millisecond // on a terminal
	lineEvery = 5 * time.Second        // elsewhere
	lastWrite = time.Second            // and how long Stop waits for a writer that does not return
)

// Unknown is the total of what nobody knows the number of.
const Unknown = -1

// Progress is how much of something is done. Its methods may be called by any goroutine; those of nil do nothing.
type Progress struct {
	w      io.Writer
	name   string
	total  int
	start  time.Time
	done   atomic.Int64
	failed atomic.Int64 // of them
	known  atomic.Int64 // of them, those that took no time

	calls      atomic.Int64 // of the writer: odd while it is in one
	finish     sync.Once
	end, ended chan struct{}
	give       sync.Once
	gaveUp     chan struct{} // closed when the writer does not return
}

// New returns the progress of total things that begin now, which is shown under a name from [Progress.Start] on. Without a writer it is nil.
func New(w io.Writer, name string, total int) *Progress {
	if w == nil {
		return nil
	}
	return &Progress{w: w, name: printable(name), total: total, start: time.Now(), end: make(chan struct{}), ended: make(chan struct{}),
		gaveUp: make(chan struct{})}
}

// Add counts n more that are done, of which some have failed. It calls nothing.
func (p *Progress) Add(n, failed int) {
	if p == nil {
		return
	}
	p.done.Add(int64(n))
	if failed > 0 {
		p.failed.Add(int64(failed))
	}
}

// Known says of n that are counted with Add that they were done before: they tell nothing of how long the others take.
func (p *Progress) Known(n int) {
	if p != nil {
		p.known.Add(int64(n))
	}
}

// Start begins to show it, once. All that the writer does runs on a goroutine of its own, by survive, which is left when the writer panics.
func (p *Progress) Start(survive func(func())) {
	if p != nil {
		go p.show(survive)
	}
}

// Finish has the last state shown, and nothing after it.
func (p *Progress) Finish() {
	if p != nil {
		p.finish.Do(func() { close(p.end) })
	}
}

// Stop is Finish that waits until the last state is written, but not long for a writer that hangs.
func (p *Progress) Stop() {
	if p == nil {
		return
	}
	p.Finish()
	if call := p.calls.Load(); call%2 == 1 {
		defer p.limit(call).Stop()
	}
	select {
	case <-p.ended:
	case <-p.gaveUp: // the writer hangs: it keeps its own progress and nothing else
	}
}

// limit gives the writer up that does not return from a call in time. A process that was stopped has not waited for it, nor has one that did
// not come to call it.
func (p *Progress) limit(call int64) *awake.Timer {
	return awake.AfterFunc(lastWrite, func() {
		if p.calls.Load() == call {
			p.give.Do(func() { close(p.gaveUp) })
		}
	})
}

// finished tells whether the end has come.
func (p *Progress) finished() bool {
	select {
	case <-p.end:
		return true
	default:
		return false
	}
}

// call runs what calls the writer, and tells whether it has not panicked. Where Stop may wait for it that has a limit, which
// is Stop's if the call had begun before.
func (p *Progress) call(survive func(func()), f func() error) error {
	err := errLeft
	call := p.calls.Add(1)
	if p.finished() {
		defer p.limit(call).Stop()
	}
	survive(func() { err = f() })
	p.calls.Add(1)
	return err
}

var errLeft = errors.New("the writer did not return")

func (p *Progress) show(survive func(func())) {
	defer close(p.ended)
	var on *screen.Screen
	defer func() { // also when the writer ends the goroutine
		if on != nil {
			on.Remove(p)
			on.Leave()
		}
	}()
	err := p.call(survive, func() error { on = screen.Of(p.w); return nil })
	every, draw := lineEvery, func() error { return on.Print(p.line()) }
	last := draw
	if on != nil && on.Terminal() {
		every = barEvery
		draw = func() error { return on.Draw(p) }
		last = func() error { return on.Finish(p, p.line()) }
	}
	write := func(f func() error) {
		if err == nil { // one that has failed is not used again
			err = p.call(survive, f)
		}
	}
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			write(draw)
		case <-p.end:
			write(last)
			return
		}
	}
}
