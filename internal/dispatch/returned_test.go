package dispatch_test

import (
	"context"
	"encoding/binary"
	"errors"
	"testing"
	"time"

	"github.com/rankpool/rankpool/internal/dispatch"
	"github.com/rankpool/rankpool/internal/link"
)

// pair is a puppet of two workers.
type pair struct{ *puppet }

func (p pair) Open(ctx context.Context, h link.Handler) (int, error) {
	_, err := p.puppet.Open(ctx, h)
	return 2, err
}

// greet brings one worker up; what follows the r is the error of its set-up.
func (p *puppet) greet(slot int, failed string) {
	<-p.started
	p.handler.Receive(slot, link.Frame{Stream: []byte{'h', 1, 1, 0, 0}})
	<-p.sent
	p.handler.Receive(slot, link.Frame{Stream: append([]byte{'r'}, failed...)})
}

// breakWhileBusy breaks a pool whose worker 1 has a batch of five: a replacement of worker 0 fails to set itself up.
func breakWhileBusy(t *testing.T) (*puppet, *sink) {
	p := newPuppet()
	m := dispatch.New(dispatch.Config{
		Group:            pair{p},
		DecodeSetupError: func(b []byte, _ int, _ dispatch.Hello) error { return errors.New(string(b)) },
	})
	first, proven := job(0, 1)
	if err := m.Submit(first); err != nil {
		t.Fatal(err)
	}
	p.greet(0, "")
	p.greet(1, "")
	<-p.sent
	p.say([]byte{'R', 1, 1 << 2, 7, 10<<2 | 3}) // the function is tiny
	proven.wait(t)
	p.handler.Lost(0, link.Loss{Err: errors.New("gone"), Proof: true})
	j, s := job(0, 1, 2, 3, 4, 5)
	if err := m.Submit(j); err != nil {
		t.Fatal(err)
	}
	if f := <-p.sent; f.Stream[0] != 't' {
		t.Fatalf("the master sent %q in place of tasks", f.Stream)
	}
	p.greet(0, "no licence")
	await(t, m.Closed(), "end of the broken pool")
	return p, s
}

func TestTasksLeftBackAfterThePoolBrokeAreDropped(t *testing.T) {
	p, s := breakWhileBusy(t)
	p.handler.Lost(1, link.Loss{Err: errors.New("killed"), Proof: true, Picked: 5})
	s.wait(t)
	for unit, err := range s.errs {
		if !errors.Is(err, dispatch.ErrBroken) {
			t.Errorf("unit %d: %v", unit, err)
		}
	}
}

// What a worker gives back leaves a gap in its numbers. A worker that ends before it has picked up the batch behind the gap has begun
// nothing of that.
func TestABatchThatFollowsWhatWasGivenBackOutlivesAWorkerThatHasNotPickedItUp(t *testing.T) {
	for name, c := range map[string]struct {
		picked uint64
		failed int // units; -1 is all of the batch
	}{
		"it has not":          {14, 0}, // the second batch was dropped with what was given back
		"it has":              {40, 1},
		"its marks are wrong": {2, -1},
	} {
		t.Run(name, func(t *testing.T) {
			p := newPuppet()
			m := dispatch.New(dispatch.Config{Group: p})
			j, s := job(0, make([]uint64, 200)...)
			if err := m.Submit(j); err != nil {
				t.Fatal(err)
			}
			p.greet(0, "")
			p.hears(t, 't')
			p.say(binary.AppendUvarint([]byte{'R', 1, 1 << 2, 7}, uint64(80*time.Microsecond)<<2|3))
			p.hears(t, 't') // 2 to 14
			p.hears(t, 't') // 15 to 27
			p.say([]byte{'b', 4})
			p.say([]byte{'R', 2, 1 << 2, 7, 1 << 2, 7})
			p.hears(t, 't') // from 28 on, with the units that came back first
			flying := m.Stats().Running
			p.handler.Lost(0, link.Loss{Err: errors.New("killed"), Proof: true, Finished: 3, Picked: c.picked})
			want := c.failed
			if want < 0 {
				want = flying
			}
			if n := int(m.Stats().Failed); n != want {
				t.Errorf("%d units of %d were lost, want %d", n, flying, want)
			}
			p.greet(0, "")
			p.end(t, m, s)
		})
	}
}

func TestTasksGivenBackAfterThePoolBrokeAreDropped(t *testing.T) {
	p, s := breakWhileBusy(t)
	p.handler.Receive(1, link.Frame{Stream: []byte{'b', 2}})
	p.handler.Lost(1, link.Loss{Err: errors.New("killed"), Proof: true, Picked: 5})
	s.wait(t)
}
