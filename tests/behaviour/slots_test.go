package behaviour_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"
	"unsafe"

	"github.com/rankpool/rankpool/futures"
)

// Post is where a task says that it runs, and what it waits for.
type Post struct {
	Dir  string
	Name string
	Gate gate
}

// holdHere is a task that says that it runs, and returns when the gate is open, whatever becomes of its context.
var holdHere = futures.Register("slots.hold", func(p Post) (string, error) {
	if err := os.WriteFile(filepath.Join(p.Dir, p.Name), nil, 0o600); err != nil {
		return "", err
	}
	return p.Name, p.Gate.pass(context.Background())
})

var exitsThere = futures.Register("slots.exits", func(p Post) (string, error) {
	if err := os.WriteFile(filepath.Join(p.Dir, p.Name), nil, 0o600); err != nil {
		return "", err
	}
	if err := p.Gate.pass(context.Background()); err != nil {
		return "", err
	}
	os.Exit(3)
	return "", nil
})

// slotBackend is one whose processes have up to n slots.
func slotBackend(t *testing.T, n int) backend {
	t.Helper()
	for _, b := range backends {
		if b.slots > 0 && b.replaces {
			b.slots = n
			t.Setenv("RANKPOOL_BACKEND", b.env)
			ran.Note(t, b.column())
			return b
		}
	}
	t.Skip("the suite runs on ranks here, and this is about processes that are replaced: tests/modes loses ranks with slots")
	return backend{}
}

// oneProcess returns an executor of one process with so many slots.
func oneProcess(t *testing.T, n int, opts ...futures.Option) futures.Executor {
	t.Helper()
	return slotBackend(t, n).start(t, n, opts...)
}

// running waits until so many tasks say that they run.
func running(t *testing.T, dir string, n int) {
	t.Helper()
	eventually(t, fmt.Sprint(n, " tasks run"), func() bool { return files(t, dir) == n })
}

func TestTheSlotsOfAProcessRunAtTheSameTime(t *testing.T) {
	each(t, func(t *testing.T, b backend) {
		b.slots = 4
		ex := b.start(t, 8) // of ranks there have to be two, or they are spawned
		if n, err := ex.NumWorkers(within(t)); n != 8 || err != nil {
			t.Fatal(n, err)
		}
		processes := map[int]int{}
		for _, w := range ex.Stats().Workers {
			processes[w.Pid]++
		}
		if want := 2; b.apart && len(processes) != want || !b.apart && len(processes) != 1 {
			t.Errorf("%v are the workers of each process", processes)
		}
		g, dir := newGate(t), t.TempDir()
		var all []*futures.Future[string]
		for i := range 8 {
			all = append(all, submit(t, ex, holdHere, Post{dir, fmt.Sprint(i), g}))
		}
		running(t, dir, 8)
		g.open()
		for i, f := range all {
			if v := result(t, f); v != fmt.Sprint(i) {
				t.Errorf("task %d returned %s", i, v)
			}
		}
	})
}

func TestAProcessThatDiesCostsWhatItsSlotsRan(t *testing.T) {
	for _, how := range []string{"exit", "killed"} {
		t.Run(how, func(t *testing.T) {
			ex := oneProcess(t, 4)
			g, dir := newGate(t), t.TempDir()
			var lost []*futures.Future[string]
			for i := range 3 {
				lost = append(lost, submit(t, ex, holdHere, Post{dir, fmt.Sprint(i), g}))
			}
			running(t, dir, 3)
			var done []*futures.Future[int]
			for i := range 2000 {
				done = append(done, submit(t, ex, square, i))
			}
			for _, f := range done { // by the fourth slot
				result(t, f)
			}
			end := newGate(t)
			last := submit(t, ex, exitsThere, Post{dir, "last", end})
			for i := range 100 {
				done = append(done, submit(t, ex, square, i))
			}
			running(t, dir, 4)
			pid := pids(ex)[0]
			if how == "exit" {
				end.open()
			} else if p, err := os.FindProcess(pid); err != nil || p.Kill() != nil {
				t.Fatal(err)
			}
			for _, f := range append(lost, last) {
				broken := (*futures.BrokenError)(nil)
				if _, err := f.Result(within(t)); !errors.As(err, &broken) || broken.Pid != pid {
					t.Errorf("a task that ran there: %v", err)
				}
			}
			for i, f := range done {
				if v := result(t, f); v != i%2000*(i%2000) {
					t.Errorf("call %d returned %d", i, v)
				}
			}
			if s := ex.Stats(); s.Failed != 4 || s.Done != 2100 || s.Lost != 4 || s.Restarts != 4 {
				t.Errorf("%+v", s)
			}
		})
	}
}

// Tiny tasks travel in batches. Those of a batch that had finished are in the journal of their slot.
func TestAProcessThatDiesLosesNoResultOfItsSlots(t *testing.T) {
	ex := oneProcess(t, 4)
	const n = 40_000
	deaths := uint64(0)
	dir := t.TempDir()
	var args []TellArg
	for i := range n {
		args = append(args, TellArg{X: i})
		if i%10_000 == 5000 {
			args[i].Mark = filepath.Join(dir, fmt.Sprint(i))
			deaths++
		}
	}
	failed, done := 0, 0
	for v, err := range futures.Map(within(t), ex, tellThenDie, args, futures.WithRetries(3)) {
		if err != nil {
			failed++
		} else if v != done+failed {
			t.Fatalf("element %d is %d", done+failed, v)
		} else {
			done++
		}
	}
	if failed > 0 || done != n {
		t.Errorf("%d results and %d failures", done, failed)
	}
	if s := ex.Stats(); s.Retried < deaths || s.Retried > 4*deaths {
		t.Errorf("%d deaths of 4 slots had %d tasks run again", deaths, s.Retried)
	}
}

// TellArg is a number, and a mark that says that the process has ended for it already.
type TellArg struct {
	X    int
	Mark string
}

var tellThenDie = futures.Register("slots.tellThenDie", func(a TellArg) (int, error) {
	if a.Mark != "" {
		if f, err := os.OpenFile(a.Mark, os.O_CREATE|os.O_EXCL, 0o600); err == nil {
			f.Close()
			os.Exit(4)
		}
	}
	return a.X, nil
})

func TestATaskThatIgnoresItsTimeEndsItsProcessWhenTheOtherSlotsHaveFinished(t *testing.T) {
	ex := oneProcess(t, 3, futures.WithStopTimeout(limit))
	g, never, dir := newGate(t), newGate(t), t.TempDir()
	kept := submit(t, ex, holdHere, Post{dir, "kept", g})
	late := submit(t, ex, holdHere, Post{dir, "late", never}, futures.WithTaskTimeout(10*time.Millisecond))
	running(t, dir, 2)
	pid := pids(ex)[0]
	var after []*futures.Future[int]
	eventually(t, "nothing more is handed out", func() bool { // the third slot is sent away
		f := submit(t, ex, square, 3)
		after = append(after, f)
		time.Sleep(20 * time.Millisecond) // that many calls at most, not a wait
		return !f.Done()
	})
	if late.Done() {
		t.Error("the process was ended before its other slots had finished")
	}
	g.open()
	if v := result(t, kept); v != "kept" {
		t.Error(v)
	}
	if _, err := late.Result(within(t)); !errors.Is(err, context.DeadlineExceeded) || !errors.Is(err, futures.ErrBroken) {
		t.Errorf("the late task: %v", err)
	}
	for _, f := range after {
		if v := result(t, f); v != 9 {
			t.Error(v)
		}
	}
	eventually(t, "another process has its place", func() bool { all := pids(ex); return len(all) == 3 && all[0] != pid })
	if s := ex.Stats(); s.Failed != 1 {
		t.Errorf("process %d: %+v", pid, s)
	}
}

func TestWhatOtherSlotsStillRunThenIsLostWithTheReason(t *testing.T) {
	ex := oneProcess(t, 2, futures.WithStopTimeout(50*time.Millisecond))
	never, dir := newGate(t), t.TempDir()
	other := submit(t, ex, holdHere, Post{dir, "other", never})
	running(t, dir, 1)
	late := submit(t, ex, holdHere, Post{dir, "late", never}, futures.WithTaskTimeout(10*time.Millisecond))
	if _, err := late.Result(within(t)); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("the late task: %v", err)
	}
	_, err := other.Result(within(t))
	if !errors.Is(err, futures.ErrBroken) || errors.Is(err, context.DeadlineExceeded) ||
		!contains(err, "another slot") || !contains(err, "ignored the end of its context") {
		t.Errorf("the other task: %v", err)
	}
	if v := result(t, submit(t, ex, square, 4)); v != 16 {
		t.Error(v)
	}
}

// shared counts the initializers and holds what the slots of a process have in common.
var shared struct {
	set  atomic.Int64
	runs atomic.Int64
}

var setShared = futures.Register("slots.setShared", func(n int64) (struct{}, error) {
	shared.set.Store(n)
	shared.runs.Add(1)
	return struct{}{}, nil
})

// SharedReport is what a task finds.
type SharedReport struct {
	Set, Runs int64
	Global    uintptr
	Worker    futures.WorkerInfo
}

var sharedGlobal = futures.RegisterGlobal[[]int]("slots.global")

var seeShared = futures.RegisterContext("slots.seeShared", func(ctx context.Context, _ int) (SharedReport, error) {
	w, err := futures.Worker(ctx)
	if err != nil {
		return SharedReport{}, err
	}
	g, err := sharedGlobal.Get(ctx)
	return SharedReport{shared.set.Load(), shared.runs.Load(), uintptr(unsafe.Pointer(unsafe.SliceData(g))), w}, err
})

func TestTheSlotsOfAProcessShareItsInitializerAndGlobals(t *testing.T) {
	each(t, func(t *testing.T, b backend) {
		b.slots = 4
		ex := b.start(t, 8, futures.WithInitializer(setShared, 7), futures.WithGlobal(sharedGlobal, []int{1, 2, 3}))
		f, err := futures.SubmitEach(ex, seeShared, 0)
		if err != nil {
			t.Fatal(err)
		}
		at, runs := map[int]uintptr{}, map[int]int64{}
		for i, r := range result(t, f) {
			if r.Set != 7 || r.Worker.Index != i || r.Worker.Slot != i%4 || r.Worker.Slots != 4 {
				t.Errorf("worker %d: %+v", i, r)
			}
			if old, is := at[r.Worker.Pid]; is && (old != r.Global || runs[r.Worker.Pid] != r.Runs) {
				t.Errorf("worker %d has a copy of the global, or was set up apart: %+v", i, r)
			}
			if b.replaces && r.Runs != 1 { // a rank may have had another executor's
				t.Errorf("the initializer ran %d times", r.Runs)
			}
			at[r.Worker.Pid], runs[r.Worker.Pid] = r.Global, r.Runs
		}
		if len(at) != 2 {
			t.Errorf("%d processes", len(at))
		}
	}, apart)
}

func TestSlotsThatCannotBeAreRefused(t *testing.T) {
	each(t, func(t *testing.T, b backend) {
		for _, n := range []int{0, -1, 4097, math.MaxInt} {
			if _, err := b.make(futures.WithSlots(n)); err == nil || !strings.Contains(err.Error(), fmt.Sprintf("WithSlots(%d)", n)) {
				t.Errorf("%d: %v", n, err)
			}
		}
		if b.shares { // no variable is respected
			return
		}
		for _, v := range []string{"0", "-3", "4097", "many", "99999999999999999999"} {
			t.Setenv("RANKPOOL_SLOTS", v)
			ex, err := b.make()
			if err != nil {
				t.Fatal(err)
			}
			if err := ex.Bootup(within(t)); b.env != "" && (err == nil || !contains(err, `RANKPOOL_SLOTS="`+v+`"`)) {
				t.Errorf("%s: %v", v, err)
			}
			mayBeBroken(t, ex)
		}
	})
}

var askHandle = futures.RegisterContext("slots.askHandle", func(ctx context.Context, _ int) (string, error) {
	c, err := futures.CommWorkers(ctx)
	if err != nil {
		return "", err
	}
	_, err = c.Handle(ctx)
	return fmt.Sprint(err), nil
})

func TestSlotsOfOneRankAreRefusedACommunicatorOfMPI(t *testing.T) {
	each(t, func(t *testing.T, b backend) {
		ranks := 2
		if b.workers > 0 {
			ranks = b.workers / max(b.slots, 1)
		}
		ex, err := b.make(futures.WithMaxWorkers(ranks), futures.WithSlots(2))
		if err != nil {
			t.Fatal(err)
		}
		defer mustClose(t, ex)
		f, err := futures.SubmitEach(ex, askHandle, 0)
		if err != nil {
			t.Fatal(err)
		}
		all := result(t, f)
		if len(all) != 2*ranks {
			t.Errorf("%d workers on %d ranks", len(all), ranks)
		}
		for i, answer := range all {
			if !strings.Contains(answer, "WithSlots") {
				t.Errorf("worker %d: %s", i, answer)
			}
		}
	}, func(b backend) bool { return b.reports == "mpi" })
}

func TestTheVariableSetsTheSlots(t *testing.T) {
	b := slotBackend(t, 0)
	for v, want := range map[string]int{"3": 6, "auto": 2 * max(1, min(runtime.NumCPU(), runtime.GOMAXPROCS(0))/2), "": 2} {
		t.Setenv("RANKPOOL_SLOTS", v)
		ex := b.start(t, 2)
		if n, err := ex.NumWorkers(within(t)); n != want || err != nil {
			t.Errorf("RANKPOOL_SLOTS=%s: %d workers, want %d, %v", v, n, want, err)
		}
	}
	t.Setenv("RANKPOOL_SLOTS", "auto")
	ex, err := b.make()
	if err != nil {
		t.Fatal(err)
	}
	defer mustClose(t, ex)
	if n, err := ex.NumWorkers(within(t)); n != min(runtime.NumCPU(), runtime.GOMAXPROCS(0)) || err != nil || len(unique(pids(ex))) != 1 {
		t.Errorf("%d workers in processes %v, %v", n, pids(ex), err)
	}
}

func unique(all []int) map[int]bool {
	set := map[int]bool{}
	for _, x := range all {
		set[x] = true
	}
	return set
}
