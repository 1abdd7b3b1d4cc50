package dispatch_test

import (
	"context"
	"errors"
	"io"
	"sync"
	"testing"
	"time"

	"github.com/rankpool/rankpool/internal/dispatch"
	"github.com/rankpool/rankpool/internal/link"
)

// wire is a worker's end of a link whose master is the test.
type wire struct {
	down    chan link.Frame
	up      chan []byte
	journal *link.Journal
}

func (w *wire) Recv() (link.Frame, error) {
	f, ok := <-w.down
	if !ok {
		return f, io.EOF
	}
	return f, nil
}

func (w *wire) Send(f link.Frame) error {
	w.up <- append([]byte(nil), f.Stream...)
	return nil
}

func (w *wire) Journal() *link.Journal { return w.journal }
func (w *wire) Close() error           { return nil }

// say sends the worker a message.
func (w *wire) say(b ...byte) { w.down <- link.Frame{Stream: b} }

// hear waits for a message of one kind, returns it, and passes over others.
func (w *wire) hear(t *testing.T, kind byte) []byte {
	t.Helper()
	for {
		select {
		case b := <-w.up:
			if b[0] == kind {
				return b
			}
		case <-time.After(limit):
			t.Fatalf("no message %q within %v", kind, limit)
		}
	}
}

// A unit counts as begun before it has a context: while its worker waits for its turn, and for a moment between two
// units. A cancel that comes then must reach it all the same.
func TestACancelThatComesBeforeTheUnitHasItsContextEndsIt(t *testing.T) {
	var turn sync.Mutex
	ended := make(chan error, 1)
	svc := dispatch.Service{
		Turn: func() sync.Locker { return &turn },
		Function: func(uint32) dispatch.Body {
			return function{func(ctx context.Context, x uint64) (uint64, error) {
				select {
				case <-ctx.Done():
					ended <- ctx.Err()
				case <-time.After(limit):
					ended <- errors.New("its context did not end")
				}
				return x, nil
			}, true}
		},
		Setup:       func(ctx context.Context, _ []byte, _ [][]byte) (int, context.Context, error) { return -1, ctx, nil },
		AppendError: func(b []byte, err error) []byte { return append(b, err.Error()...) },
	}
	w := &wire{down: make(chan link.Frame, 8), up: make(chan []byte, 64), journal: link.NewJournal(make([]byte, 1<<12))}
	served := make(chan error, 1)
	go func() { served <- dispatch.Serve(w, svc) }()
	w.say('s', 0, 1, 0, 1, 1, 0)
	w.hear(t, 'r')

	turn.Lock() // another worker of the process runs
	w.say('t', 1, 0 /* number, epoch */, 0, 0, 1, 0, 0, 0 /* flags, function, units */, 1, 7 /* a unit */)
	w.say('c', 1, 1, 0)
	w.say('p')
	w.hear(t, 'P') // so the cancel has been read
	turn.Unlock()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	w.hear(t, 'R')
	w.say('q')
	if err := <-served; err != nil {
		t.Error(err)
	}
}
