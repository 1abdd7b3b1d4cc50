package linktest

import (
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/rankpool/rankpool/internal/link"
)

// event is one call of the handler.
type event struct {
	frame link.Frame
	loss  *link.Loss
}

// recorder is a Handler that keeps what it hears, slot by slot.
type recorder struct {
	t  *testing.T
	mu sync.Mutex

	news   chan struct{} // closed and replaced with every event
	events [][]event
	inside []bool // a call about the slot is under way
	starts []int  // what the group was asked for
	losses []int  // and what it reported
}

func newRecorder(t *testing.T, slots int) *recorder {
	return &recorder{t: t, news: make(chan struct{}), events: make([][]event, slots),
		inside: make([]bool, slots), starts: make([]int, slots), losses: make([]int, slots)}
}

func (r *recorder) Receive(w int, f link.Frame) { r.add(w, event{frame: f}) }

func (r *recorder) Lost(w int, l link.Loss) { r.add(w, event{loss: &l}) }

func (r *recorder) add(w int, e event) {
	r.mu.Lock()
	if r.inside[w] {
		r.t.Errorf("slot %d: two calls of the handler at once", w)
	}
	r.inside[w] = true
	r.mu.Unlock()
	runtime.Gosched() // so that a second call has its chance to be seen
	r.mu.Lock()
	defer r.mu.Unlock()
	r.inside[w] = false
	if e.loss != nil {
		r.losses[w]++
	}
	r.events[w] = append(r.events[w], e)
	close(r.news)
	r.news = make(chan struct{})
}

// next waits for the next event of a slot.
func (r *recorder) next(w int) event {
	r.t.Helper()
	limit := time.NewTimer(patience)
	defer limit.Stop()
	for {
		r.mu.Lock()
		if len(r.events[w]) > 0 {
			e := r.events[w][0]
			r.events[w] = r.events[w][1:]
			r.mu.Unlock()
			return e
		}
		news := r.news
		r.mu.Unlock()
		select {
		case <-news:
		case <-limit.C:
			r.t.Fatalf("slot %d: nothing happened within %v", w, patience)
		}
	}
}

// frame waits for a frame.
func (r *recorder) frame(w int) link.Frame {
	r.t.Helper()
	e := r.next(w)
	if e.loss != nil {
		r.t.Fatalf("slot %d was lost, want a frame: %v", w, e.loss.Err)
	}
	return e.frame
}

// loss waits for a loss, which must be the next event.
func (r *recorder) loss(w int) link.Loss {
	r.t.Helper()
	e := r.next(w)
	if e.loss == nil {
		r.t.Fatalf("slot %d: a frame of %d bytes, want a loss", w, len(e.frame.Stream))
	}
	return *e.loss
}

// checkCounts complains when a slot was not lost as often as it was started. It is meant for a closed group.
func (r *recorder) checkCounts() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for w := range r.starts {
		if r.losses[w] != r.starts[w] {
			r.t.Errorf("slot %d was started %d times and lost %d times", w, r.starts[w], r.losses[w])
		}
	}
}
