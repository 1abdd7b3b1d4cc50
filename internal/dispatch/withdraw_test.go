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

func TestAJobThatWasRefusedIsNotCounted(t *testing.T) {
	p := newPool(t, 1, nil, double)
	p.close()
	j, _ := job(0, 1, 2, 3)
	if err := p.Submit(j); err == nil {
		t.Fatal("a closed pool took a job")
	}
	p.Withdraw(j) // as a map does that is refused
	if s := p.Stats(); s.Submitted != 0 || s.Cancelled != 0 {
		t.Errorf("%+v", s)
	}
}

func TestAJobThatIsWithdrawnBeforeItIsSubmittedIsCountedOnce(t *testing.T) {
	p := newPool(t, 1, nil, double)
	j, _ := job(0, 1, 2, 3)
	p.Withdraw(j)
	if err := p.Submit(j); err != nil {
		t.Fatal(err)
	}
	if s := p.Stats(); s.Submitted != 3 || s.Cancelled != 3 || s.Queued != 0 {
		t.Errorf("%+v", s)
	}
}
