package dispatch_test

import (
	"context"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rankpool/rankpool/internal/dispatch"
	"github.com/rankpool/rankpool/internal/link"
)

// spin works for as long as a task that is sent with others.
func spin() {
	for begin := time.Now(); time.Since(begin) < 20*time.Microsecond; {
		continue
	}
}

func ones(n int) []uint64 {
	all := make([]uint64, n)
	for i := range all {
		all[i] = 1
	}
	return all
}

// The job in front is withdrawn while a batch runs that has units of both.
func TestWithdrawnUnitsThatWereSentDoNotBeginAndThoseOfOtherJobsRunOnce(t *testing.T) {
	for name, needsContext := range map[string]bool{"units of one call": false, "units with contexts of their own": true} {
		t.Run(name, func(t *testing.T) {
			var front, back atomic.Int64
			p := newPool(t, 1, nil, func(_ context.Context, x uint64) (uint64, error) {
				switch x {
				case 1:
					front.Add(1)
					spin()
				case 2:
					back.Add(1)
				}
				return x, nil
			})
			p.funcs[0].context = needsContext
			for range 3 { // its units are tiny
				j, s := job(0, make([]uint64, 1000)...)
				if err := p.Submit(j); err != nil {
					t.Fatal(err)
				}
				s.wait(t)
			}
			for range 20 {
				front.Store(0)
				back.Store(0)
				gone, _ := job(0, ones(40)...)
				kept, s := job(0, 2, 2, 2, 2, 2)
				for _, j := range []*dispatch.Job{gone, kept} {
					if err := p.Submit(j); err != nil {
						t.Fatal(err)
					}
				}
				for end := time.Now().Add(limit); front.Load() < 2; spin() {
					if time.Now().After(end) {
						t.Fatal("nothing runs")
					}
				}
				p.Withdraw(gone)
				n := front.Load()
				s.wait(t)
				if got := front.Load(); got > n+1 {
					t.Fatalf("%d units have begun since the job was withdrawn, beside the one that ran", got-n-1)
				}
				if got := back.Load(); got != 5 || len(s.errs) > 0 {
					t.Fatalf("%d of 5 units of the other job have run: %v", got, s.errs)
				}
			}
		})
	}
}

// passedOver is the answer of a worker that has been told of a recall.
func passedOver(seq byte) []byte { return []byte{'R', seq, 2, 0, 0, 0, 4, 0} }

func TestARecalledUnitIsCancelledAndTheWorkerGoesOn(t *testing.T) {
	p := newPuppet()
	m := dispatch.New(dispatch.Config{Group: p})
	j, _ := job(0, 1, 2, 3)
	next, s := job(0, 4)
	for _, j := range []*dispatch.Job{j, next} {
		if err := m.Submit(j); err != nil {
			t.Fatal(err)
		}
	}
	p.greet(0, "")
	p.hears(t, 't')
	m.Withdraw(j)
	if f := <-p.sent; string(f.Stream) != "c\x01\x01\x01" {
		t.Fatalf("the master sent %q in place of a recall", f.Stream)
	}
	p.say(passedOver(1))
	p.hears(t, 't')
	p.say([]byte{'R', 2, 1 << 2, 5})
	s.wait(t)
	if got := m.Stats(); got.Cancelled != 3 || got.Done != 1 || got.Running != 0 {
		t.Errorf("%+v", got)
	}
	if _, err := m.Shutdown(t.Context(), false, false); err != nil {
		t.Fatal(err)
	}
	p.handler.Lost(0, link.Loss{})
	await(t, m.Closed(), "end of the master")
}

func TestAWorkerThatPassesOverAUnitWhichNobodyHasRecalledIsEnded(t *testing.T) {
	p := newPuppet()
	m, s := p.begin(t)
	p.say(passedOver(1))
	select {
	case cause := <-p.killed:
		if cause == nil || !strings.Contains(cause.Error(), "nobody had recalled it") {
			t.Errorf("the worker was ended because of %v", cause)
		}
	case <-time.After(limit):
		t.Error("the worker was not ended")
	}
	p.end(t, m, s)
}
