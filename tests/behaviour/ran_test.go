package behaviour_test

import (
	"context"
	"errors"
	"os"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rankpool/rankpool/futures"
)

// clockedCall says where a call ran, and how long it took by its own clock.
type clockedCall struct {
	At   futures.WorkerInfo
	Took time.Duration
}

var (
	// clocked waits for a gate, and as long as it is told at least; below zero it fails then, at zero it panics.
	clocked = futures.RegisterContext("clocked", func(ctx context.Context, x struct {
		Gate gate
		For  time.Duration
	}) (clockedCall, error) {
		began := time.Now()
		if err := x.Gate.pass(ctx); err != nil {
			return clockedCall{}, err
		}
		time.Sleep(max(x.For, -x.For))
		at, err := futures.Worker(ctx)
		switch {
		case x.For < 0:
			err = errors.New("it was to fail")
		case x.For == 0:
			panic("it was to panic")
		}
		return clockedCall{at, time.Since(began)}, err
	})
	leaves = futures.Register("leaves", func(int) (int, error) { os.Exit(3); return 0, nil })

	// attempt returns which attempt it is. The first fails for a negative number.
	attempt = futures.RegisterContext("attempt", func(ctx context.Context, x int) (int, error) {
		w, err := futures.Worker(ctx)
		if x < 0 && w.Attempt == 1 {
			err = &InputError{Value: x, Why: "busy"}
		}
		return w.Attempt, err
	})
)

type clockedArg = struct {
	Gate gate
	For  time.Duration
}

// ranOn returns what a future tells of its run, and expects that it does.
func ranOn(t *testing.T, f futures.Awaitable) futures.RunInfo {
	t.Helper()
	ran, ok := f.Ran()
	if !ok {
		t.Fatalf("%v does not say who ran it", f)
	}
	return ran
}

func TestAFinishedFutureSaysWhichWorkerRanItAndHowLong(t *testing.T) {
	on(t, 2, func(t *testing.T, _ backend, ex futures.Executor) {
		g := newGate(t)
		var fs []*futures.Future[clockedCall]
		for range 4 {
			f := submit(t, ex, clocked, clockedArg{g, 3 * time.Millisecond})
			if ran, ok := f.Ran(); ok {
				t.Errorf("it is not done and ran: %+v", ran)
			}
			fs = append(fs, f)
		}
		g.open()
		workers := map[int]bool{}
		for _, f := range fs {
			got := result(t, f)
			ran := ranOn(t, f)
			if diff := cmp.Diff(got.At, ran.Worker); diff != "" {
				t.Errorf("-the task +its future:\n%s", diff)
			}
			if ran.Elapsed < got.Took || ran.Elapsed > got.Took+limit {
				t.Errorf("%v, and by the task's own clock %v", ran.Elapsed, got.Took)
			}
			workers[ran.Worker.Index] = true
		}
		if len(workers) != 2 {
			t.Errorf("they ran on the workers %v", workers)
		}
	})
}

// How many travel together depends on the machine. The test of package dispatch with the same name has a worker that is told.
func TestTasksThatTravelTogetherHaveASharedTime(t *testing.T) {
	on(t, 1, func(t *testing.T, _ backend, ex futures.Executor) {
		began := time.Now()
		var fs []*futures.Future[int]
		for i := range 3000 {
			fs = append(fs, submit(t, ex, square, i))
		}
		sum := time.Duration(0)
		for _, f := range fs {
			result(t, f)
			ran := ranOn(t, f)
			if diff := cmp.Diff(expected(ex, 0), ran.Worker, ignoreRank); diff != "" {
				t.Fatalf("-want +got:\n%s", diff)
			}
			sum += ran.Elapsed
		}
		if total := time.Since(began); sum <= 0 || sum > total {
			t.Errorf("together they took %v, and all was over after %v", sum, total)
		}
	})
}

var ignoreRank = cmp.FilterPath(func(p cmp.Path) bool { return p.Last().String() == ".Rank" }, cmp.Ignore())

func TestATaskThatFailedOrPanickedRanOnAWorker(t *testing.T) {
	on(t, 1, func(t *testing.T, _ backend, ex futures.Executor) {
		for _, d := range []time.Duration{-2 * time.Millisecond, 0} {
			f := submit(t, ex, clocked, clockedArg{"", d})
			if _, err := f.Result(within(t)); err == nil {
				t.Fatal("it did not fail")
			}
			ran := ranOn(t, f)
			if diff := cmp.Diff(expected(ex, 0), ran.Worker, ignoreRank); diff != "" || ran.Elapsed < -d || ran.Elapsed == 0 {
				t.Errorf("after %v (-want +got):\n%s", ran.Elapsed, diff)
			}
		}
	})
}

func TestATaskThatWasLostSaysWithWhichWorkerAndNoTime(t *testing.T) {
	each(t, func(t *testing.T, b backend) {
		ex := b.start(t, 1)
		workers := booted(t, ex)
		f := submit(t, ex, leaves, 0)
		if _, err := f.Result(within(t)); !errors.Is(err, futures.ErrBroken) {
			t.Fatal(err)
		}
		if ran := ranOn(t, f); ran.Worker.Index != 0 || ran.Worker.Pid != workers[0] || ran.Worker.Attempt != 1 || ran.Elapsed != 0 {
			t.Errorf("%+v, and the worker was process %d", ran, workers[0])
		}
	}, replaces)
}

func TestATaskThatRanAgainTellsOfItsLastRun(t *testing.T) {
	on(t, 1, func(t *testing.T, _ backend, ex futures.Executor) {
		f := submit(t, ex, try, trial{Dir: t.TempDir(), Fails: 2}, futures.WithRetries(5, futures.RetryIf(busy)))
		result(t, f)
		if ran := ranOn(t, f); ran.Worker.Attempt != 3 || ran.Elapsed <= 0 {
			t.Errorf("%+v", ran)
		}
		f = submit(t, ex, try, trial{Dir: t.TempDir(), Fails: 9}, futures.WithRetries(1, futures.RetryIf(busy)))
		if _, err := f.Result(within(t)); err == nil {
			t.Error("it did not fail")
		}
		if ran := ranOn(t, f); ran.Worker.Attempt != 2 || ran.Elapsed <= 0 {
			t.Errorf("%+v", ran)
		}
	})
}

// Calls that run again travel with others that run for the first time.
func TestEachOfManyTasksTellsOfItsOwnAttempt(t *testing.T) {
	on(t, 1, func(t *testing.T, _ backend, ex futures.Executor) {
		var fs []*futures.Future[int]
		for i := range 3000 {
			x := i
			if i%3 == 0 {
				x = -1
			}
			fs = append(fs, submit(t, ex, attempt, x, futures.WithRetries(1, futures.RetryIf(busy))))
		}
		again := 0
		for i, f := range fs {
			n := result(t, f)
			if ran := ranOn(t, f); ran.Worker.Attempt != n {
				t.Fatalf("call %d tells of attempt %d, and it was %d", i, ran.Worker.Attempt, n)
			}
			again += n - 1
		}
		if again != 1000 {
			t.Errorf("%d calls ran again", again)
		}
	})
}

func TestWhatNoWorkerRanSaysSo(t *testing.T) {
	on(t, 1, func(t *testing.T, _ backend, ex futures.Executor) {
		g := newGate(t)
		p := place{t.TempDir() + "/begun", g}
		blocks := submit(t, ex, announce, p)
		hasBegun(t, p)
		waits := submit(t, ex, clocked, clockedArg{g, time.Millisecond})
		bound, cancel := context.WithCancel(t.Context())
		ends := submit(t, ex, clocked, clockedArg{g, time.Millisecond}, futures.WithContext(bound))
		if !waits.Cancel() {
			t.Fatal("it could not be cancelled")
		}
		cancel()
		if _, err := ends.Result(within(t)); !errors.Is(err, futures.ErrCancelled) {
			t.Fatal(err)
		}
		g.open()
		result(t, blocks)
		all := futures.Collect(blocks)
		then := futures.Then(blocks, func(int) (int, error) { return 1, nil }, nil)
		result(t, all)
		result(t, then)
		for what, f := range map[string]futures.Awaitable{
			"cancelled": waits, "cancelled by its context": ends, "made of others": all, "of a handler": then,
		} {
			if ran, ok := f.Ran(); ok {
				t.Errorf("%s: %+v", what, ran)
			}
		}
		ranOn(t, blocks)
	})
}

func TestATaskThatIgnoredTheEndOfItsContextSaysWhoRanItAndNoTime(t *testing.T) {
	on(t, 1, func(t *testing.T, _ backend, ex futures.Executor) {
		f, g := ignores(t, ex, futures.WithInterruptGrace(short))
		f.Interrupt()
		if _, err := f.Result(within(t)); !errors.Is(err, futures.ErrBroken) {
			t.Fatal(err)
		}
		if ran := ranOn(t, f); ran.Worker.Index != 0 || ran.Elapsed != 0 {
			t.Errorf("%+v", ran)
		}
		g.open()
	})
}

func TestACallOnEveryWorkerTellsOfTheLongest(t *testing.T) {
	on(t, 3, func(t *testing.T, _ backend, ex futures.Executor) {
		f, err := futures.SubmitEach(ex, clocked, clockedArg{"", time.Millisecond})
		if err != nil {
			t.Fatal(err)
		}
		longest := time.Duration(0)
		for _, c := range result(t, f) {
			longest = max(longest, c.Took)
		}
		if ran := ranOn(t, f); ran.Elapsed < longest || ran.Worker.Count != 3 {
			t.Errorf("%+v, and the longest took %v", ran, longest)
		}
	})
}

func TestACallbackKnowsWhoRanTheTask(t *testing.T) {
	on(t, 1, func(t *testing.T, _ backend, ex futures.Executor) {
		f := submit(t, ex, square, 3)
		told := make(chan bool, 2)
		tell := func(f *futures.Future[int]) { _, ok := f.Ran(); told <- ok }
		f.AddDoneCallback(tell)
		result(t, f)
		f.AddDoneCallback(tell) // late
		for range 2 {
			if !<-told {
				t.Error("it does not know")
			}
		}
		if err := f.WaitCallbacks(within(t)); err != nil {
			t.Error(err)
		}
	})
}
