package dispatch_test

import (
	"encoding/binary"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rankpool/rankpool/internal/dispatch"
	"github.com/rankpool/rankpool/internal/link"
	"github.com/rankpool/rankpool/internal/link/simlink"
	"github.com/rankpool/rankpool/internal/testkit"
)

// simulation is a master over simulated workers, whose tasks return their argument and take as long as took says.
type simulation struct {
	*dispatch.Master
	group *simlink.Group
	trace []string
	t     *testing.T
}

func simulate(t *testing.T, link simlink.Config, took func(x uint64) time.Duration, change func(*dispatch.Config, *dispatch.VirtualConfig)) *simulation {
	t.Helper()
	s := &simulation{t: t}
	worker := dispatch.VirtualConfig{
		Hello: dispatch.Hello{Pid: 1, Procs: 1, Host: "nowhere"}, Proof: true,
		Call: func(_ uint32, args, out []byte) (time.Duration, []byte, []byte) {
			x, _ := binary.Uvarint(args)
			if x == bad {
				return took(x), nil, []byte("bad luck")
			}
			return took(x), append(out, args...), nil
		},
	}
	cfg := dispatch.Config{
		DecodeError: func(b []byte, _ uint32, _ int, _ dispatch.Hello) error { return errors.New(string(b)) },
		Aside:       func(f func()) { f() },
		Liveness:    time.Hour, Start: time.Hour, // by a clock that shows something else here
	}
	if change != nil {
		change(&cfg, &worker)
	}
	link.Worker = func(p *simlink.Port) simlink.Worker { return dispatch.NewVirtual(&worker, p) }
	link.Trace = func(e simlink.Event) {
		to := "worker"
		if e.ToMaster {
			to = "master"
		}
		s.trace = append(s.trace, fmt.Sprintf("%v %s %d %q %d", e.At, to, e.Slot, e.What, e.Size))
	}
	link.Flush = func() { s.Flush() }
	s.group = simlink.New(link)
	cfg.Group = s.group
	s.Master = dispatch.New(cfg)
	if err := s.Boot(); err != nil {
		t.Fatal(err)
	}
	s.run(s.Booted())
	t.Cleanup(func() {
		if running, err := s.Shutdown(testkit.Within(t), true, true); err != nil {
			t.Errorf("shutdown: %v, still running: %v", err, running)
		}
	})
	return s
}

// bad is the argument of a task that fails.
const bad = 1 << 40

// run makes virtual time go on until a channel is closed.
func (s *simulation) run(until <-chan struct{}) {
	s.t.Helper()
	err := s.group.Run(testkit.Within(s.t), func() bool {
		select {
		case <-until:
			return true
		default:
			return false
		}
	})
	if err != nil {
		s.t.Fatal(err)
	}
}

// sent returns what has reached workers, or the master, of one kind.
func (s *simulation) sent(kind byte) (n int) {
	for _, e := range s.trace {
		if strings.Contains(e, fmt.Sprintf(" %q ", kind)) {
			n++
		}
	}
	return n
}

// mapped submits arguments as one job and runs it to its end.
func (s *simulation) mapped(args ...uint64) *sink {
	s.t.Helper()
	j, k := job(0, args...)
	if err := s.Submit(j); err != nil {
		s.t.Fatal(err)
	}
	s.run(k.done)
	return k
}

func upTo(n int) (args []uint64) {
	for i := range n {
		args = append(args, uint64(i))
	}
	return args
}

func (s *sink) check(t *testing.T, args []uint64) {
	t.Helper()
	for i, x := range args {
		switch {
		case x == bad && (s.errs[i] == nil || s.errs[i].Error() != "bad luck"):
			t.Errorf("unit %d should have failed: %v", i, s.errs[i])
		case x != bad && (s.errs[i] != nil || len(s.got[i]) != 1 || s.got[i][0] != x):
			t.Errorf("unit %d: %v, %v", i, s.got[i], s.errs[i])
		}
	}
}

func TestVirtualWorkersDoWhatTheyAreSent(t *testing.T) {
	for name, took := range map[string]func(x uint64) time.Duration{
		"nothing":  func(uint64) time.Duration { return 0 },
		"short":    func(uint64) time.Duration { return 100 * time.Microsecond },
		"long":     func(uint64) time.Duration { return 10 * time.Millisecond },
		"a random": func(x uint64) time.Duration { return time.Duration(x*2654435761%4096) * time.Microsecond },
	} {
		t.Run(name, func(t *testing.T) {
			args := upTo(3000)
			args[1234], args[2999] = bad, bad
			s := simulate(t, simlink.Config{Slots: 7, Latency: 5 * time.Microsecond, Jitter: 5 * time.Microsecond, Seed: 3}, took, nil)
			s.mapped(args...).check(t, args)
			if st := s.Stats(); st.Done != 2998 || st.Failed != 2 || st.Lost != 0 {
				t.Errorf("%+v", st)
			}
		})
	}
}

// Else a figure of a simulation could not be repeated.
func TestASimulationIsTheSameEachTime(t *testing.T) {
	run := func(seed uint64) []string {
		s := simulate(t, simlink.Config{Slots: 16, Latency: 5 * time.Microsecond, Jitter: 20 * time.Microsecond, Seed: seed},
			func(x uint64) time.Duration { return time.Duration(x%97) * 40 * time.Microsecond }, nil)
		s.group.Lose(3, 20*time.Millisecond, errors.New("crash"))
		s.mapped(upTo(4000)...)
		return s.trace
	}
	first := run(1)
	if diff := cmp.Diff(first, run(1)); diff != "" {
		t.Error(diff)
	}
	if len(first) < 1000 || cmp.Equal(first, run(2)) {
		t.Errorf("%d messages, and another seed makes no difference", len(first))
	}
}

func TestTimeIsOnlyCounted(t *testing.T) {
	const day = 24 * time.Hour
	s := simulate(t, simlink.Config{Slots: 2, Latency: time.Millisecond}, func(uint64) time.Duration { return day }, nil)
	begin := s.group.Now()
	s.mapped(1, 2, 3)
	if took, want := s.group.Now()-begin, 2*(day+2*time.Millisecond); took < want || took > want+5*time.Millisecond {
		t.Errorf("two days' work took %v, want %v", took, want)
	}
}

func TestAVirtualWorkerGivesBackWhatWaitsBehindALongTask(t *testing.T) {
	slow := uint64(1 << 30)
	s := simulate(t, simlink.Config{Slots: 2, Latency: time.Microsecond}, func(x uint64) time.Duration {
		if x == slow {
			return time.Second
		}
		return time.Microsecond
	}, nil)
	s.mapped(upTo(1000)...) // now they travel together
	args := upTo(1000)
	args[10] = slow
	begin := s.group.Now()
	s.mapped(args...).check(t, args)
	if s.sent('b') == 0 {
		t.Error("nothing was given back")
	}
	if took := s.group.Now() - begin; took > 1100*time.Millisecond {
		t.Errorf("it took %v", took)
	}
}

func TestALostVirtualWorkerCostsTheTaskThatItRan(t *testing.T) {
	for _, proof := range []bool{true, false} {
		t.Run(fmt.Sprintf("journal %v", proof), func(t *testing.T) {
			s := simulate(t, simlink.Config{Slots: 2, Latency: time.Microsecond}, func(uint64) time.Duration { return time.Microsecond },
				func(_ *dispatch.Config, v *dispatch.VirtualConfig) { v.Proof = proof })
			s.mapped(upTo(2000)...)
			args := upTo(2000)
			j, k := job(0, args...)
			if err := s.Submit(j); err != nil {
				t.Fatal(err)
			}
			s.group.Lose(0, 20*time.Microsecond, errors.New("crash"))
			s.run(k.done)
			broken := 0
			for i := range args {
				if err := k.errs[i]; errors.Is(err, dispatch.ErrBroken) {
					broken++
				} else if err != nil || len(k.got[i]) != 1 || k.got[i][0] != args[i] {
					t.Errorf("unit %d: %v, %v", i, k.got[i], err)
				}
			}
			if proof && broken != 1 || !proof && broken < 2 {
				t.Errorf("%d units were lost", broken)
			}
			if st := s.Stats(); st.Lost != 1 || st.Restarts != 1 {
				t.Errorf("%+v", st)
			}
		})
	}
}

func TestACancelledVirtualTaskEndsAndWhatWaitedBehindItRunsElsewhere(t *testing.T) {
	s := simulate(t, simlink.Config{Slots: 1, Latency: time.Microsecond}, func(x uint64) time.Duration { return time.Duration(x) }, nil)
	j, k := job(0, uint64(time.Hour))
	if err := s.Submit(j); err != nil {
		t.Fatal(err)
	}
	deadline := s.group.Now() + time.Second
	if err := s.group.Run(testkit.Within(t), func() bool { return s.sent('t') > 0 }); err != nil {
		t.Fatal(err)
	}
	later, k2 := job(0, uint64(time.Millisecond))
	if err := s.Submit(later); err != nil {
		t.Fatal(err)
	}
	if !s.InterruptJob(j) {
		t.Fatal("it does not run")
	}
	s.run(k.done)
	s.run(k2.done)
	if err := k.errs[0]; err == nil || !strings.Contains(err.Error(), "canceled") {
		t.Error(err)
	}
	if now := s.group.Now(); now > deadline {
		t.Errorf("it went on until %v", now)
	}
}

func TestARecalledVirtualTaskHoldsNobodyUp(t *testing.T) {
	slow := uint64(1 << 30)
	s := simulate(t, simlink.Config{Slots: 1, Latency: time.Microsecond}, func(x uint64) time.Duration {
		if x == slow {
			return time.Hour
		}
		return time.Microsecond
	}, nil)
	s.mapped(upTo(1000)...)
	j, _ := job(0, 5000, 5001, 5002, slow, 6000, 6001)
	next, k := job(0, 7000)
	if err := errors.Join(s.Submit(j), s.Submit(next)); err != nil {
		t.Fatal(err)
	}
	s.Withdraw(j)
	s.run(k.done)
	k.check(t, []uint64{7000})
	if now := s.group.Now(); now > time.Second {
		t.Errorf("it was %v before the next task was done", now)
	}
	if st := s.Stats(); st.Lost > 0 {
		t.Errorf("%+v", st)
	}
}

func TestATaskThatIsOutOfTimeFails(t *testing.T) {
	s := simulate(t, simlink.Config{Slots: 1}, func(uint64) time.Duration { return time.Hour }, nil)
	j, k := job(0, 1)
	j.More = &dispatch.More{Timeout: time.Second}
	if err := s.Submit(j); err != nil {
		t.Fatal(err)
	}
	begin := s.group.Now()
	s.run(k.done)
	if took := s.group.Now() - begin; k.errs[0] == nil || took < time.Second || took > 2*time.Second {
		t.Errorf("%v after %v", k.errs[0], took)
	}
}

func TestASilentVirtualWorkerAnswersWhenItIsAsked(t *testing.T) {
	s := simulate(t, simlink.Config{Slots: 2}, func(uint64) time.Duration { return time.Hour }, nil)
	j, k := job(0, 1)
	if err := s.Submit(j); err != nil {
		t.Fatal(err)
	}
	if err := s.group.Run(testkit.Within(t), func() bool { return s.sent('t') > 0 }); err != nil {
		t.Fatal(err)
	}
	s.group.Send(0, link.Frame{Stream: []byte{'p'}})
	s.group.Send(1, link.Frame{Stream: []byte{'p'}})
	if err := s.group.Run(testkit.Within(t), func() bool { return s.sent('P') == 2 || s.sent('R') > 0 }); err != nil {
		t.Fatal(err)
	}
	if s.sent('P') != 2 || s.group.Now() > time.Second {
		t.Errorf("%d answers by %v", s.sent('P'), s.group.Now())
	}
	s.run(k.done)
}

func TestAGangRunsOnEveryVirtualWorker(t *testing.T) {
	s := simulate(t, simlink.Config{Slots: 5, Latency: time.Microsecond}, func(uint64) time.Duration { return time.Millisecond }, nil)
	before := upTo(50)
	j, k := job(0, before...)
	g, kg := job(0, 7)
	g.More = &dispatch.More{Gang: true}
	kg.left = 5
	if err := errors.Join(s.Submit(j), s.Submit(g)); err != nil {
		t.Fatal(err)
	}
	s.run(k.done)
	s.run(kg.done)
	k.check(t, before)
	if len(kg.got) != 5 {
		t.Errorf("%v", kg.got)
	}
}

// A machine has no place for as many goroutines.
func TestManySimulatedWorkersHaveNoGoroutines(t *testing.T) {
	const workers = 1 << 12
	before := runtime.NumGoroutine()
	s := simulate(t, simlink.Config{Slots: workers, Latency: 5 * time.Microsecond}, func(uint64) time.Duration { return time.Millisecond },
		nil)
	args := upTo(2 * workers)
	s.mapped(args...).check(t, args)
	if n := runtime.NumGoroutine() - before; n > 20 {
		t.Errorf("%d goroutines", n)
	}
	if n := s.Size(); n != workers {
		t.Errorf("%d workers", n)
	}
}

func TestAWorkerThatIsSentWhatItDoesNotKnowEnds(t *testing.T) {
	for _, text := range []string{"", "?", "t", "t\x01\x00\x00"} {
		s := simulate(t, simlink.Config{Slots: 2}, func(uint64) time.Duration { return 0 }, nil)
		s.group.Send(0, link.Frame{Stream: []byte(text)})
		if err := s.group.Run(testkit.Within(t), func() bool { return s.Stats().Lost > 0 }); err != nil {
			t.Errorf("%q: %v", text, err)
		}
	}
}
