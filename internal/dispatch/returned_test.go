package dispatch_test

import (
	"context"
	"errors"
	"testing"

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

func TestTasksGivenBackAfterThePoolBrokeAreDropped(t *testing.T) {
	p, s := breakWhileBusy(t)
	p.handler.Receive(1, link.Frame{Stream: []byte{'b', 2}})
	p.handler.Lost(1, link.Loss{Err: errors.New("killed"), Proof: true, Picked: 5})
	s.wait(t)
}
