package dispatch_test

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rankpool/rankpool/internal/dispatch"
)

// spin works for as long as a task that is sent with others.
func spin() {
	for begin := time.Now(); time.Since(begin) < 20*time.Microsecond; {
		continue
	}
}

// ahead returns a pool of one worker whose function is known to be tiny, so that many units are sent to it at once, and how many of
// them have begun that are not 0.
func ahead(t *testing.T, needsContext bool) (*pool, *atomic.Int64) {
	t.Helper()
	begun := new(atomic.Int64)
	p := newPool(t, 1, nil, func(_ context.Context, x uint64) (uint64, error) {
		if x > 0 {
			begun.Add(1)
			spin()
		}
		return x, nil
	})
	p.funcs[0].context = needsContext
	for range 3 {
		j, s := job(0, make([]uint64, 1000)...)
		if err := p.Submit(j); err != nil {
			t.Fatal(err)
		}
		s.wait(t)
	}
	return p, begun
}

func ones(n int) []uint64 {
	all := make([]uint64, n)
	for i := range all {
		all[i] = 1
	}
	return all
}

func reached(t *testing.T, begun *atomic.Int64, n int64) {
	t.Helper()
	for end := time.Now().Add(limit); begun.Load() < n; spin() {
		if time.Now().After(end) {
			t.Fatalf("%d of %d units have begun", begun.Load(), n)
		}
	}
}

func TestNoUnitThatWasSentBeginsAfterItsJobWasWithdrawn(t *testing.T) {
	for name, needsContext := range map[string]bool{"units of one call": false, "units with contexts of their own": true} {
		t.Run(name, func(t *testing.T) {
			p, begun := ahead(t, needsContext)
			for range 20 {
				before := begun.Load()
				j, _ := job(0, ones(1000)...)
				if err := p.Submit(j); err != nil {
					t.Fatal(err)
				}
				reached(t, begun, before+5)
				p.Withdraw(j)
				n := begun.Load()
				p.submit(0, 0).wait(t) // behind what the worker still had
				if got := begun.Load(); got > n+1 {
					t.Fatalf("%d units have begun since the job was withdrawn, beside the one that ran", got-n-1)
				}
			}
		})
	}
}

func TestUnitsOfOtherJobsThatWereSentWithAWithdrawnOneRunOnce(t *testing.T) {
	p, begun := ahead(t, false)
	for range 20 {
		before := begun.Load()
		front, _ := job(0, ones(50)...)
		back, s := job(0, ones(50)...)
		for _, j := range []*dispatch.Job{front, back} {
			if err := p.Submit(j); err != nil {
				t.Fatal(err)
			}
		}
		reached(t, begun, before+5)
		p.Withdraw(front)
		s.wait(t)
		for unit := range 50 {
			if got := s.got[unit]; len(got) != 1 || s.errs[unit] != nil {
				t.Fatalf("unit %d of the other job: %v, %v", unit, got, s.errs[unit])
			}
		}
		if n := begun.Load() - before; n > 100 {
			t.Fatalf("%d of 100 units have begun", n)
		}
	}
}
