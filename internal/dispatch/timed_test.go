package dispatch_test

import (
	"bytes"
	"context"
	"sync"
	"testing"
	"time"

	"github.com/rankpool/rankpool/internal/dispatch"
	"github.com/rankpool/rankpool/internal/link"
)

// atEnd is a turn that does something when a batch gives it back: the last unit has finished then, and its result has not left.
type atEnd func()

func (atEnd) Lock()     {}
func (f atEnd) Unlock() { f() }

// While a long unit runs, another goroutine sends what has finished, for instance because more tasks come. When the long one ends in
// that moment, its result must not go without its time.
func TestAResultThatAnotherGoroutineMightSendComesWithItsTime(t *testing.T) {
	w := &wire{down: make(chan link.Frame, 8), up: make(chan []byte, 64), journal: link.NewJournal(make([]byte, 1<<12))}
	heard := make(chan []byte, 1)
	svc := dispatch.Service{
		Turn: func() sync.Locker {
			return atEnd(func() {
				w.say('t', 2, 0, 0, 0, 1, 0, 0, 0, 1, 8)
				first := <-w.up
				if first[0] != 'b' {
					w.hear(t, 'b')
				}
				heard <- first
			})
		},
		Function: func(uint32) dispatch.Body {
			return function{func(_ context.Context, x uint64) (uint64, error) {
				w.say('p')
				w.hear(t, 'P') // by another goroutine than this one
				return x, nil
			}, false}
		},
		Setup: func(ctx context.Context, _ []byte, _ [][]byte) (int, context.Context, error) { return -1, ctx, nil },
	}
	served := make(chan error, 1)
	go func() { served <- dispatch.Serve(w, svc) }()
	w.say('s', 0, 1, 0, 1, 1, 0)
	w.hear(t, 'r')
	w.say('t', 1, 0 /* number, epoch */, 0, 0, 1, 0, 0, 0 /* flags, function, units */, 1, 7 /* a unit */)
	if first := <-heard; first[0] != 'b' {
		t.Errorf("another goroutine has sent % x", first)
	}
	r := w.hear(t, 'R')
	if head := []byte{'R', 1, 1 << 2, 7}; !bytes.HasPrefix(r, head) || len(r) == len(head) || r[len(head)]&3 != 3 {
		t.Errorf("% x is not the result of unit 1 and its time", r)
	}
	w.say('q')
	if err := <-served; err != nil {
		t.Error(err)
	}
}

// recorded is a sink that keeps what it is told of the runs of its units.
type recorded struct {
	*sink
	by []*dispatch.Record
}

func (r *recorded) Results(first, n int, data []byte, segments [][]byte, by *dispatch.Record) bool {
	for i := range n {
		r.by[first+i] = by
	}
	return r.sink.Results(first, n, data, segments, by)
}

func TestTasksThatTravelTogetherHaveASharedTime(t *testing.T) {
	p := newPuppet()
	m := dispatch.New(dispatch.Config{Group: p})
	j, s := job(0, 1, 2, 3, 4)
	r := &recorded{s, make([]*dispatch.Record, 4)}
	j.Sink = r
	if err := m.Submit(j); err != nil {
		t.Fatal(err)
	}
	p.greet(0, "")
	p.hears(t, 't')
	p.say([]byte{'R', 1, 1 << 2, 7, 7<<2 | 3}) // the function is tiny: the next three come together
	p.hears(t, 't')
	p.say([]byte{'R', 2, 1 << 2, 7, 1 << 2, 7, 1 << 2, 7, 30<<2 | 3})
	s.wait(t)
	for unit, want := range []time.Duration{7, 10, 10, 10} {
		if got := r.by[unit].Took; got != want {
			t.Errorf("unit %d took %v, want %v", unit, got, want)
		}
	}
	p.end(t, m, s)
}
