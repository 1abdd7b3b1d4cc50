//go:build unix

package faults_test

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"syscall"
	"testing"

	"github.com/rankpool/rankpool/futures"
)

func TestAWorkerKilledInABatchOfTinyTasksCostsTheOneItRan(t *testing.T) {
	ex := processes.open(t, futures.WithMaxWorkers(2))
	checkOneIsLost(t, ex, "kill")
}

// Whenever the kill comes, it costs the one task that ran then, or none when it comes between two batches.
func TestAWorkerKilledFromOutsideInABatchOfTinyTasksCostsOneTaskAtMost(t *testing.T) {
	ex := processes.open(t, futures.WithMaxWorkers(2))
	victim := booted(t, ex)[0]
	const n = 50000
	var fs []*futures.Future[int]
	for i := range n {
		fs = append(fs, submit(t, ex, inc, i))
		if i == n/10 {
			until(t, "the first results", func() bool { return ex.Stats().Done > 0 })
			signalTo(t, victim, syscall.SIGKILL)
		}
	}
	lost := 0
	for i, f := range fs {
		switch y, err := f.Result(limited(t)); {
		case errors.Is(err, futures.ErrBroken):
			lost++
		case err != nil || y != i+1:
			t.Fatalf("task %d = %d, %v", i, y, err)
		}
	}
	if lost > 1 {
		t.Errorf("%d tasks were lost", lost)
	}
	whole(t, ex, 2, victim)
	if s := ex.Stats(); int(s.Failed) != lost || int(s.Done) != n-lost || s.Lost != 1 || s.Restarts != 1 {
		t.Errorf("%d tasks were lost, counters: %+v", lost, s)
	}
	works(t, ex)
}

// atWork waits until n tasks hold in a directory and returns their processes.
func atWork(t *testing.T, dir string, n int) []int {
	t.Helper()
	var all []int
	until(t, "the tasks at work", func() bool {
		entries, err := os.ReadDir(dir)
		if err != nil {
			t.Fatal(err)
		}
		all = all[:0]
		for _, e := range entries {
			if pid, err := strconv.Atoi(e.Name()); err == nil {
				all = append(all, pid)
			}
		}
		return len(all) >= n
	})
	return all
}

// letGo ends the tasks that hold in a directory.
func letGo(t *testing.T, dir string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, "go"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestAWorkerKilledInALongTaskCostsThatTask(t *testing.T) {
	ex := processes.open(t, futures.WithMaxWorkers(3))
	workers, dir := booted(t, ex), t.TempDir()
	var held []*futures.Future[int]
	for range 3 {
		held = append(held, submit(t, ex, hold, dir))
	}
	var waiting []*futures.Future[int]
	for i := range 1000 {
		waiting = append(waiting, submit(t, ex, inc, i))
	}
	victim := atWork(t, dir, 3)[1]
	signalTo(t, victim, syscall.SIGKILL)
	whole(t, ex, 3, victim)
	for i, f := range waiting { // the worker in its place has nothing else to do
		if y, err := f.Result(limited(t)); err != nil || y != i+1 {
			t.Fatalf("task %d = %d, %v", i, y, err)
		}
	}
	letGo(t, dir)
	var survived []int
	for _, f := range held {
		pid, err := f.Result(limited(t))
		if err == nil {
			survived = append(survived, pid)
			continue
		}
		broken := new(futures.BrokenError)
		if !errors.As(err, &broken) || broken.Pid != victim || broken.Task != "hold" || broken.Worker != slices.Index(workers, victim) {
			t.Errorf("%+v, want the loss of hold with process %d of %v", err, victim, workers)
		}
		says(t, err, "hold was lost with worker", "process "+strconv.Itoa(victim)+" on", "signal: killed", "memory")
	}
	if len(survived) != 2 || slices.Contains(survived, victim) {
		t.Errorf("processes %v of %v delivered, want all but %d", survived, workers, victim)
	}
	if s := ex.Stats(); s.Failed != 1 || s.Lost != 1 || s.Restarts != 1 {
		t.Errorf("counters: %+v", s)
	}
}

func TestAllWorkersKilledAtOnceAreReplaced(t *testing.T) {
	ex := processes.open(t, futures.WithMaxWorkers(3))
	for round := range 3 {
		workers := booted(t, ex)
		for _, pid := range workers {
			signalTo(t, pid, syscall.SIGKILL)
		}
		whole(t, ex, 3, workers...)
		works(t, ex)
		if s := ex.Stats(); int(s.Lost) != 3*(round+1) || s.Failed > 0 {
			t.Errorf("round %d: %+v", round, s)
		}
	}
}

func TestATaskMarkedSafeToRepeatSurvivesItsWorker(t *testing.T) {
	ex := processes.open(t, futures.WithMaxWorkers(2))
	path := filepath.Join(t.TempDir(), "once")
	if y, err := submit(t, ex, once, path, futures.WithRetries(1)).Result(limited(t)); err != nil || y != 7 {
		t.Errorf("once = %d, %v", y, err)
	}
	if s := ex.Stats(); s.Retried != 1 || s.Lost != 1 || s.Failed != 0 {
		t.Errorf("counters: %+v", s)
	}
	if err := failure(t, submit(t, ex, act, "kill", futures.WithRetries(2))); !errors.Is(err, futures.ErrBroken) {
		t.Error(err)
	}
	if s := ex.Stats(); s.Retried != 3 || s.Lost != 4 || s.Failed != 1 {
		t.Errorf("counters after the one that never succeeds: %+v", s)
	}
	whole(t, ex, 2)
	works(t, ex)
}

func TestAMapGoesOnAfterTheElementThatWasLost(t *testing.T) {
	ex := processes.open(t, futures.WithMaxWorkers(2))
	xs := make([]futures.Pair[int, string], 500)
	xs[321].Second = "kill"
	n := 0
	for _, err := range futures.Map(limited(t), ex, actAt, xs) {
		if at := new(futures.ElementError); n == 321 {
			if !errors.As(err, &at) || at.Index != 321 || !errors.Is(err, futures.ErrBroken) {
				t.Errorf("the element that was lost: %v", err)
			}
		} else if err != nil {
			t.Errorf("element %d: %v", n, err)
		}
		n++
	}
	if n != len(xs) {
		t.Errorf("%d elements of %d", n, len(xs))
	}
	whole(t, ex, 2)
	works(t, ex)
}

func TestAProgramThatATaskLeavesRunningHoldsUpNobody(t *testing.T) {
	ex := processes.open(t, futures.WithMaxWorkers(1))
	left, err := submit(t, ex, orphan, 1).Result(limited(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = syscall.Kill(left, syscall.SIGKILL) })
	if err := failure(t, submit(t, ex, act, "kill")); !errors.Is(err, futures.ErrBroken) {
		t.Error(err)
	}
	works(t, ex)
	more, err := submit(t, ex, orphan, 1).Result(limited(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = syscall.Kill(more, syscall.SIGKILL) })
	closeWithin(t, ex)
	if gone(left) || gone(more) {
		t.Error("the programs have ended: the test shows nothing")
	}
}
