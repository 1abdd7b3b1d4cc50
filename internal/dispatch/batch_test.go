package dispatch_test

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rankpool/rankpool/internal/dispatch"
	"github.com/rankpool/rankpool/internal/link"
	"github.com/rankpool/rankpool/internal/link/simlink"
)

// A frame wakes somebody on either side, which takes as long as a unit of this kind.
func TestUnitsTravelTogetherThatAreShorterThanTheWayIsWorth(t *testing.T) {
	const units = 1200
	near := &link.Traits{Kind: "near", SharesMem: true, Replaces: true, Kills: true}
	for name, c := range map[string]struct {
		took   time.Duration
		traits *link.Traits
		least  float64 // units in a frame
		most   float64
	}{
		"20 µs":                   {20 * time.Microsecond, nil, 30, 51},
		"100 µs":                  {100 * time.Microsecond, nil, 7, 11},
		"200 µs":                  {200 * time.Microsecond, nil, 4, 6},
		"500 µs":                  {500 * time.Microsecond, nil, 2, 3},
		"700 µs":                  {700 * time.Microsecond, nil, 1, 1},
		"20 µs, in this process":  {20 * time.Microsecond, near, 30, 51},
		"100 µs, in this process": {100 * time.Microsecond, near, 7, 11},
		"700 µs, in this process": {700 * time.Microsecond, near, 1, 1},
	} {
		t.Run(name, func(t *testing.T) {
			s := simulate(t, simlink.Config{Slots: 2, Latency: 5 * time.Microsecond, Traits: c.traits}, func(uint64) time.Duration { return c.took }, nil)
			args := upTo(units)
			s.mapped(args...).check(t, args)
			if each := units / float64(s.sent('t')); each < c.least || each > c.most {
				t.Errorf("%.2f units in a frame, want from %v to %v", each, c.least, c.most)
			}
		})
	}
}

// Of the last units no worker has a batch while another has none.
func TestTheLastUnitsOfAMapAreSharedOut(t *testing.T) {
	for _, took := range []time.Duration{20 * time.Microsecond, 100 * time.Microsecond, 250 * time.Microsecond, 550 * time.Microsecond} {
		for _, slots := range []int{2, 5} {
			s := simulate(t, simlink.Config{Slots: slots, Latency: 5 * time.Microsecond}, func(uint64) time.Duration { return took }, nil)
			s.mapped(upTo(40 * slots)...) // its time is known now
			begin := s.group.Now()
			const each = 50
			s.mapped(upTo(each * slots)...)
			if over := s.group.Now() - begin - each*took; over > 2*took+100*time.Microsecond {
				t.Errorf("%d workers, units of %v: %v more than the best schedule", slots, took, over)
			}
		}
	}
}

// programs is an Endpoint that counts how often what is started becomes another unit's.
type programs struct {
	link.Endpoint
	begun *atomic.Int64
}

func (p programs) Begin()  { p.begun.Add(1) }
func (programs) End()      {}
func (programs) Keep(bool) {}

// Else the end of one unit's context would end a program of the unit before it.
func TestUnitsOfABatchThatAreLongEnoughForAProgramHaveMarksOfTheirOwn(t *testing.T) {
	var begun, last atomic.Int64
	var shared atomic.Bool
	p := newPoolOf(t, 1, func(ep link.Endpoint, svc dispatch.Service) { _ = dispatch.Serve(programs{ep, &begun}, svc) }, nil,
		func(_ context.Context, x uint64) (uint64, error) {
			if x > 0 {
				if mark := begun.Load(); last.Swap(mark) == mark {
					shared.Store(true)
				}
				for begin := time.Now(); time.Since(begin) < 200*time.Microsecond; {
				}
			}
			return x, nil
		})
	j, s := job(0, make([]uint64, 5000)...) // its units are tiny
	if err := p.Submit(j); err != nil {
		t.Fatal(err)
	}
	s.wait(t)
	j, s = job(0, 1, 2, 3)
	if err := p.Submit(j); err != nil {
		t.Fatal(err)
	}
	s.wait(t)
	if shared.Load() {
		t.Error("two of them have the same")
	}
}
