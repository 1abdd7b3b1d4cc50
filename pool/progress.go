package pool

import (
	"fmt"
	"io"
	"iter"
	"strings"
	"sync/atomic"
	"time"

	"github.com/schollz/progressbar/v3"
	"golang.org/x/term"

	"github.com/rankpool/rankpool/futures"
	"github.com/rankpool/rankpool/internal/saturate"
)

// How often progress is shown.
const (
	barEvery  = 100 * time.Millisecond // on a terminal
	lineEvery = 5 * time.Second        // elsewhere
	lastWrite = time.Second            // and how long the last one may delay the end of the verb
)

// WithProgress shows on w how many elements have come back, how many a second, for how long, and how long the rest will
// take: as a bar if w is a terminal, otherwise as a line every 5 seconds and one at the end.
//
// It is shown from when the results are first read to when they end. Elements count when they arrive, a chunk at a
// time, in whatever order. All writing is done by one goroutine at a time; a writer that fails is not used again, and
// one that blocks delays the end of the verb by a second at most. Nil shows nothing.
func WithProgress(w io.Writer) futures.AnyMapOption {
	return progressOption{futures.WithArrivals(nil), w}
}

// progressOption is WithProgress. For an executor's own Map it is an option without effect.
type progressOption struct {
	futures.AnyMapOption
	w io.Writer
}

// progress is one verb's progress; nil shows nothing.
type progress struct {
	w     io.Writer
	verb  string
	total int // -1: unknown
	start time.Time
	count atomic.Int64
}

func (c *mapConfig) newProgress(total int) *progress {
	if c.progress == nil {
		return nil
	}
	return &progress{w: c.progress, verb: c.verb, total: total, start: time.Now()}
}

// counting returns opts with one more, which counts what arrives.
func (p *progress) counting(opts []futures.MapOption) []futures.MapOption {
	if p == nil {
		return opts
	}
	return append(opts, futures.WithArrivalCount(&p.count))
}

// shown returns results with their progress shown while they are read.
func shown[R any](p *progress, results iter.Seq2[R, error]) iter.Seq2[R, error] {
	if p == nil {
		return results
	}
	return func(yield func(R, error) bool) {
		stop := p.show()
		defer stop()
		results(yield)
	}
}

// show begins to show the progress. The function it returns shows the last state and ends it.
func (p *progress) show() (stop func()) {
	every, draw, last := lineEvery, p.line, p.line
	if f, ok := p.w.(interface{ Fd() uintptr }); ok && term.IsTerminal(int(f.Fd())) {
		every = barEvery
		draw, last = p.bar()
	}
	end, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		ticker := time.NewTicker(every)
		defer ticker.Stop()
		var err error
		for {
			select {
			case <-ticker.C:
				if err == nil {
					err = draw()
				}
			case <-end:
				if err == nil {
					_ = last()
				}
				return
			}
		}
	}()
	return func() {
		close(end)
		limit := time.NewTimer(lastWrite)
		defer limit.Stop()
		select {
		case <-ended:
		case <-limit.C: // the writer hangs: it keeps its own progress and nothing else
		}
	}
}

// bar returns how to draw a bar, and how to draw it for the last time.
func (p *progress) bar() (draw, last func() error) {
	b := progressbar.NewOptions64(int64(p.total),
		progressbar.OptionSetWriter(p.w),
		progressbar.OptionSetDescription(p.verb),
		progressbar.OptionSetWidth(30),
		progressbar.OptionShowCount(),
		progressbar.OptionShowIts(),
		progressbar.OptionSetElapsedTime(true),
		progressbar.OptionSetPredictTime(p.total >= 0),
		progressbar.OptionShowElapsedTimeOnFinish(),
		progressbar.OptionSetSpinnerChangeInterval(0), // no goroutine of its own
	)
	b.StartWithoutRender()
	draw = func() error { return b.Set64(p.count.Load()) }
	return draw, func() error {
		if err := draw(); err != nil {
			return err
		}
		_, err := io.WriteString(p.w, "\n")
		return err
	}
}

// line writes the progress as a line.
func (p *progress) line() error {
	n, elapsed := p.count.Load(), time.Since(p.start)
	var s strings.Builder
	fmt.Fprintf(&s, "%s: %d", p.verb, n)
	if p.total >= 0 {
		percent := int64(100)
		if p.total > 0 {
			percent = 100 * n / int64(p.total)
		}
		fmt.Fprintf(&s, "/%d (%d%%)", p.total, percent)
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
