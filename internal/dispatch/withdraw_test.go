package dispatch_test

import (
	"context"
	"errors"
	"testing"

	"github.com/rankpool/rankpool/internal/dispatch"
	"github.com/rankpool/rankpool/internal/link"
)

func TestWithdrawLetsGoOfTheArguments(t *testing.T) {
	release := make(chan struct{})
	p := newPool(t, 1, nil, func(_ context.Context, x uint64) (uint64, error) {
		<-release
		return x, nil
	})
	first := p.submit(0, 1)
	j, _ := job(0, 1, 2, 3)
	j.More = &dispatch.More{Segments: [][]byte{make([]byte, 1)}}
	if err := p.Submit(j); err != nil {
		t.Fatal(err)
	}
	if n := p.Withdraw(j); n != 3 {
		t.Errorf("took %d units back, want 3", n)
	}
	if j.Data != nil || j.More.Segments != nil {
		t.Error("a job that was withdrawn behind a long task keeps its arguments")
	}
	close(release)
	first.wait(t)
}

func TestUnitsOfAWithdrawnJobMayStillComeBack(t *testing.T) {
	p := newPuppet()
	m := dispatch.New(dispatch.Config{Group: p})
	first, proven := job(0, 1)
	if err := m.Submit(first); err != nil {
		t.Fatal(err)
	}
	p.greet(0, "")
	<-p.sent
	p.say([]byte{'R', 1, 1 << 2, 7, 10<<2 | 3})
	proven.wait(t)
	j, _ := job(0, 1, 2, 3, 4, 5)
	if err := m.Submit(j); err != nil {
		t.Fatal(err)
	}
	<-p.sent
	m.Withdraw(j)
	p.say([]byte{'R', 2, 1 << 2, 7})
	p.say([]byte{'b', 5})
	p.handler.Lost(0, link.Loss{Err: errors.New("gone"), Proof: true, Finished: 2, Picked: 6})
	if s := m.Stats(); s.Done != 2 || s.Failed != 1 || s.Cancelled != 3 || s.Running != 0 || s.Queued != 0 {
		t.Errorf("%+v", s)
	}
	if _, err := m.Shutdown(t.Context(), true, false); err != nil {
		t.Error(err)
	}
}
