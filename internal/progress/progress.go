// Package progress shows on a writer how much of something is done.
package progress

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/schollz/progressbar/v3"
	"golang.org/x/term"

	"github.com/rankpool/rankpool/internal/awake"
	"github.com/rankpool/rankpool/internal/saturate"
)

// How often progress is shown.
const (
	barEvery  = 100 * time.Millisecond // on a terminal
	lineEvery = 5 * time.Second        // elsewhere
	lastWrite = time.Second            // and how long Stop waits for the last one
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

	finish     sync.Once
	end, ended chan struct{}
}

// New returns the progress of total things that begin now, which is shown under a name from [Progress.Start] on. Without a writer it is nil.
func New(w io.Writer, name string, total int) *Progress {
	if w == nil {
		return nil
	}
	return &Progress{w: w, name: name, total: total, start: time.Now(), end: make(chan struct{}), ended: make(chan struct{})}
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
	over := make(chan struct{})
	limit := awake.AfterFunc(lastWrite, func() { close(over) }) // a process that was stopped has not waited for its writer
	defer limit.Stop()
	select {
	case <-p.ended:
	case <-over: // the writer hangs: it keeps its own progress and nothing else
	}
}

var errLeft = errors.New("the writer did not return")

func (p *Progress) show(survive func(func())) {
	defer close(p.ended)
	every, draw, last := lineEvery, p.line, p.line
	err := errLeft
	survive(func() {
		if f, ok := p.w.(interface{ Fd() uintptr }); ok && term.IsTerminal(int(f.Fd())) {
			every = barEvery
			draw, last = p.bar()
		}
		err = nil
	})
	write := func(f func() error) {
		if err != nil {
			return // one that has failed is not used again
		}
		err = errLeft
		survive(func() { err = f() })
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

// bar returns how to draw a bar, and how to draw it for the last time.
func (p *Progress) bar() (draw, last func() error) {
	b := progressbar.NewOptions64(int64(p.total),
		progressbar.OptionSetWriter(p.w),
		progressbar.OptionSetDescription(p.name),
		progressbar.OptionSetWidth(30),
		progressbar.OptionShowCount(),
		progressbar.OptionShowIts(),
		progressbar.OptionSetElapsedTime(true),
		progressbar.OptionSetPredictTime(p.total >= 0),
		progressbar.OptionShowElapsedTimeOnFinish(),
		progressbar.OptionSetSpinnerChangeInterval(0), // no goroutine of its own
	)
	b.StartWithoutRender()
	draw = func() error { return b.Set64(p.done.Load()) }
	return draw, func() error {
		if err := draw(); err != nil {
			return err
		}
		end := "\n"
		if failed := p.failed.Load(); failed > 0 {
			end = fmt.Sprintf(" %d failed\n", failed)
		}
		_, err := io.WriteString(p.w, end)
		return err
	}
}

// line writes the progress as a line.
func (p *Progress) line() error {
	n, failed, elapsed := p.done.Load(), p.failed.Load(), time.Since(p.start)
	var s strings.Builder
	fmt.Fprintf(&s, "%s: %d", p.name, n)
	if p.total >= 0 {
		percent := int64(100)
		if p.total > 0 {
			percent = 100 * n / int64(p.total)
		}
		fmt.Fprintf(&s, "/%d (%d%%)", p.total, percent)
	}
	if failed > 0 {
		fmt.Fprintf(&s, ", %d failed", failed)
	}
	rate := float64(n) / max(elapsed.Seconds(), 1e-9)
	fmt.Fprintf(&s, ", %s/s, %v elapsed", perSecond(rate), elapsed.Round(100*time.Millisecond))
	if left := int64(p.total) - n; left > 0 && n > 0 {
		fmt.Fprintf(&s, ", %v left", saturate.Seconds(float64(left)/rate).Round(time.Second))
	}
	s.WriteByte('\n')
	_, err := io.WriteString(p.w, s.String())
	return err
}

// perSecond writes a rate: with a digit behind the point where that matters.
func perSecond(rate float64) string {
	if rate < 10 {
		return fmt.Sprintf("%.1f", rate)
	}
	return fmt.Sprintf("%.0f", rate)
}
