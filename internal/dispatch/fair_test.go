package dispatch_test

import (
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rankpool/rankpool/internal/dispatch"
	"github.com/rankpool/rankpool/internal/link/simlink"
	"github.com/rankpool/rankpool/internal/testkit"
)

// of returns a job of so many units of one flow, which all have the same argument.
func of(fn uint32, f *dispatch.Flow, arg uint64, n int) (*dispatch.Job, *sink) {
	j, s := job(fn, slices.Repeat([]uint64{arg}, n)...)
	j.More = &dispatch.More{Flow: f}
	return j, s
}

// shares runs simulated workers whose unit with argument x takes x microseconds.
func shares(t *testing.T, slots int, ran func(fn uint32, x uint64)) *simulation {
	t.Helper()
	s := simulate(t, simlink.Config{Slots: slots, Latency: 10 * time.Microsecond}, func(x uint64) time.Duration {
		return time.Duration(x%(1<<20)) * time.Microsecond
	}, func(_ *dispatch.Config, w *dispatch.VirtualConfig) {
		call := w.Call
		w.Call = func(fn uint32, args, out []byte) (time.Duration, []byte, []byte) {
			if ran != nil {
				x, _ := binary.Uvarint(args)
				ran(fn, x)
			}
			return call(fn, args, out)
		}
	})
	t.Cleanup(func() { // before the end of the master, which does not make time go on
		if _, err := s.Shutdown(testkit.Within(t), false, true); err != nil {
			t.Error(err)
		}
		if err := s.group.Run(testkit.Within(t), func() bool { return s.Stats().Running == 0 }); err != nil {
			t.Error(err)
		}
	})
	return s
}

// results counts the units of a sink that have come, and their time.
func (s *sink) results(each time.Duration) time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	return time.Duration(len(s.got)) * each
}

func (s *simulation) submit(jobs ...*dispatch.Job) {
	s.t.Helper()
	for _, j := range jobs {
		if err := s.Submit(j); err != nil {
			s.t.Fatal(err)
		}
	}
}

// until runs the simulation for so long.
func (s *simulation) until(d time.Duration) {
	s.t.Helper()
	end := s.group.Now() + d
	if err := s.group.Run(testkit.Within(s.t), func() bool { return s.group.Now() >= end }); err != nil {
		s.t.Fatal(err)
	}
}

func TestMapsHaveEqualPartsOfTheTimeHoweverLongTheirUnitsAre(t *testing.T) {
	for _, slots := range []int{1, 2, 16} {
		for _, same := range []bool{false, true} { // function
			t.Run(fmt.Sprint(slots, " workers, one function ", same), func(t *testing.T) {
				s := shares(t, slots, nil)
				took := []uint64{50, 300, 2_000, 10_000} // µs
				sinks := make([]*sink, len(took))
				for i, us := range took {
					fn := uint32(i)
					if same {
						fn = 0
					}
					var j *dispatch.Job
					j, sinks[i] = of(fn, new(dispatch.Flow), us, 2_000_000/int(us)*slots)
					s.submit(j)
				}
				s.until(2 * time.Second)
				for i, k := range sinks {
					got := k.results(time.Duration(took[i]) * time.Microsecond)
					if want := 2 * time.Second * time.Duration(slots) / 4; got < want*3/4 || got > want*5/4 {
						t.Errorf("units of %d µs had %v, want about %v", took[i], got, want)
					}
				}
			})
		}
	}
}

func TestAShortCallDoesNotWaitForAMapThatWasThereBefore(t *testing.T) {
	s := shares(t, 2, nil)
	j, _ := of(0, new(dispatch.Flow), 50, 100_000)
	s.submit(j)
	s.until(100 * time.Millisecond)
	for range 100 {
		begin, done := s.group.Now(), s.Stats().Done
		c, k := job(1, 10)
		s.submit(c)
		s.run(k.done)
		if n := s.Stats().Done - done; n > 120 || s.group.Now()-begin > 4*time.Millisecond {
			t.Fatalf("a call waited %v, and %d elements of the map", s.group.Now()-begin, n)
		}
	}
}

// One that joins has not had less than its part before, and those that were there have not had more.
func TestAMapThatJoinsCatchesUpNothingAndNeitherDoTheOthers(t *testing.T) {
	s := shares(t, 4, nil)
	a, ka := of(0, new(dispatch.Flow), 1000, 100_000)
	s.submit(a)
	s.until(5 * time.Second)
	b, kb := of(1, new(dispatch.Flow), 3000, 100_000)
	s.submit(b)
	for range 3 {
		a0, b0 := ka.results(time.Millisecond), kb.results(3*time.Millisecond)
		s.until(time.Second)
		a1, b1 := ka.results(time.Millisecond)-a0, kb.results(3*time.Millisecond)-b0
		if a1 < 1700*time.Millisecond || b1 < 1700*time.Millisecond {
			t.Errorf("the first had %v of four seconds, the second %v", a1, b1)
		}
	}
}

// A caller that has one call at a time in the queue had its part when it comes back.
func TestACallAtATimeHasNoMoreThanItsPart(t *testing.T) {
	s := shares(t, 1, nil)
	a, ka := of(0, new(dispatch.Flow), 1000, 100_000)
	s.submit(a)
	s.until(100 * time.Millisecond)
	before := ka.results(time.Millisecond)
	calls := time.Duration(0)
	for begin := s.group.Now(); s.group.Now()-begin < 10*time.Second; calls += 100 * time.Millisecond {
		c, k := job(1, 100_000)
		s.submit(c)
		s.run(k.done)
	}
	if part := ka.results(time.Millisecond) - before; part < 4*time.Second || part > 6*time.Second {
		t.Errorf("the map had %v, the calls %v", part, calls)
	}
}

func TestCallsStayInTheirOrderBesideMaps(t *testing.T) {
	var order []uint64
	seen := map[uint64]bool{}
	s := shares(t, 1, func(fn uint32, x uint64) {
		if fn == 1 && !seen[x] {
			seen[x] = true
			order = append(order, x)
		}
	})
	a, _ := of(0, new(dispatch.Flow), 400, 100_000)
	s.submit(a)
	var last *sink
	for i := range uint64(500) {
		var c *dispatch.Job
		c, last = job(1, i<<20|100)
		s.submit(c)
	}
	s.run(last.done)
	if !slices.IsSorted(order) || len(order) != 500 {
		t.Errorf("%d calls, in the order %v", len(order), order)
	}
}

func TestHigherPrioritiesComeFirstAndLowerOnesDoNotStarve(t *testing.T) {
	for _, c := range []struct {
		priority int
		part     float64 // of the time
	}{{-1, 1. / 17}, {-2, 1. / 33}, {-10, 1. / 161}, {-100, 1. / 1601}} {
		for _, us := range []uint64{40, 2_000} {
			t.Run(fmt.Sprint(c.priority, " ", us, " µs"), func(t *testing.T) {
				s := shares(t, 2, nil)
				low, kl := of(0, &dispatch.Flow{Priority: c.priority}, us, 1_000_000/int(us)*4)
				s.submit(low)
				s.until(50 * time.Millisecond) // alone
				high, kh := of(1, new(dispatch.Flow), 500, 30_000)
				s.submit(high)
				before := kl.results(time.Duration(us) * time.Microsecond)
				const long = 6 * time.Second
				s.until(long)
				got := kl.results(time.Duration(us)*time.Microsecond) - before
				if want := time.Duration(float64(2*long) * c.part); got < want*8/10 || got > want*12/10+8*time.Millisecond {
					t.Errorf("it had %v, want about %v", got, want)
				}
				if kh.results(500*time.Microsecond) < 10*time.Second {
					t.Errorf("the higher one had %v", kh.results(500*time.Microsecond))
				}
			})
		}
	}
}

func TestACallOfAHigherPriorityPassesWhatWaits(t *testing.T) {
	s := shares(t, 2, nil)
	var all []*sink
	for range 1000 {
		c, k := job(0, 2000)
		s.submit(c)
		all = append(all, k)
	}
	s.until(20 * time.Millisecond)
	begin := s.group.Now()
	var urgent []*sink
	for range 10 {
		c, k := job(1, 1000)
		c.More = &dispatch.More{Priority: 1}
		s.submit(c)
		urgent = append(urgent, k)
	}
	for _, k := range urgent {
		s.run(k.done)
	}
	if d := s.group.Now() - begin; d > 12*time.Millisecond {
		t.Errorf("ten calls of a millisecond took %v", d)
	}
	for _, k := range all {
		s.run(k.done)
	}
}

// A gang begins when what was submitted before it has been handed out, and what comes later does not pass it.
func TestAGangKeepsItsPlaceBesideMaps(t *testing.T) {
	s := shares(t, 3, nil)
	a, ka := of(0, new(dispatch.Flow), 1000, 300)
	b, kb := of(1, new(dispatch.Flow), 1000, 30)
	low, kl := of(2, &dispatch.Flow{Priority: -1}, 1000, 300)
	g, kg := job(3, 1000)
	g.More = &dispatch.More{Gang: true}
	kg.left = 3
	c, kc := job(4, 1000)
	s.submit(a, b, low, g, c)
	s.run(kg.done)
	if len(ka.got) != 300 || len(kb.got) != 30 {
		t.Errorf("it began with %d and %d elements done of those before it", len(ka.got), len(kb.got))
	}
	if len(kl.got) > 100 {
		t.Errorf("and with %d elements of the lower priority", len(kl.got))
	}
	s.run(kc.done)
	s.run(kl.done)
}

// Each of thousands of maps is next in its turn.
func TestThousandsOfMapsTakeTurns(t *testing.T) {
	const maps = 4096
	s := shares(t, 8, nil)
	warm, k := of(0, new(dispatch.Flow), 700, 100)
	s.submit(warm)
	s.run(k.done)
	var sinks []*sink
	for range maps {
		j, k := of(0, new(dispatch.Flow), 700, 10)
		s.submit(j)
		sinks = append(sinks, k)
	}
	s.until(maps * 10 * 700 * time.Microsecond / 8 / 2)
	for i, k := range sinks {
		if n := len(k.got); i > 0 && (n < 4 || n > 6) { // the first was alone

			t.Fatalf("map %d has had %d of its 10 elements when the half of all were done", i, n)
		}
	}
	for _, k := range sinks {
		s.run(k.done)
	}
}

func TestAMapThatIsWithdrawnTakesNoPart(t *testing.T) {
	s := shares(t, 1, nil)
	f := new(dispatch.Flow)
	var jobs []*dispatch.Job
	for range 10 {
		j, _ := of(0, f, 1000, 100)
		jobs = append(jobs, j)
	}
	s.submit(jobs...)
	s.until(10 * time.Millisecond)
	slices.Reverse(jobs)
	s.Withdraw(jobs...)
	if st := s.Stats(); st.Queued != 0 {
		t.Errorf("%+v", st)
	}
	j, k := of(0, new(dispatch.Flow), 1000, 100)
	begin := s.group.Now()
	s.submit(j)
	s.run(k.done)
	if d := s.group.Now() - begin; d > 110*time.Millisecond {
		t.Errorf("100 ms of work took %v", d)
	}
}

func TestTheSameJobsAreSharedOutTheSameWayEachTime(t *testing.T) {
	run := func() string {
		s := shares(t, 5, nil)
		var last *sink
		for i := range 20 {
			var j *dispatch.Job
			j, last = of(uint32(i%3), &dispatch.Flow{Priority: i % 2}, uint64(10+i*i*7), 200)
			s.submit(j)
		}
		s.run(last.done)
		return strings.Join(s.trace, "\n")
	}
	if first, second := run(), run(); first != second {
		t.Error("two runs differ")
	}
}
