package dispatch_test

import (
	"bytes"
	"context"
	"testing"

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
		Turn: atEnd(func() {
			w.say('t', 2, 0, 0, 0, 1, 0, 0, 0, 1, 8)
			first := <-w.up
			if first[0] != 'b' {
				w.hear(t, 'b')
			}
			heard <- first
		}),
		Function: func(uint32) dispatch.Body {
			return function{func(_ context.Context, x uint64) (uint64, error) {
				w.say('p')
				w.hear(t, 'P') // by another goroutine than this one
				return x, nil
			}, false}
		},
		Setup: func(ctx context.Context, _ []byte) (int, context.Context, error) { return -1, ctx, nil },
	}
	served := make(chan error, 1)
	go func() { served <- dispatch.Serve(w, svc) }()
	w.say('s', 0, 1, 0, 1)
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
