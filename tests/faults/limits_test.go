//go:build unix

package faults_test

import (
	"context"
	"errors"
	"os"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/rankpool/rankpool/futures"
)

func TestAShutdownThatIsCutShortNamesWhatRuns(t *testing.T) {
	onEveryBackend(t, func(t *testing.T, b backend) {
		ex := b.open(t, futures.WithMaxWorkers(2))
		dir := t.TempDir()
		defer letGo(t, dir)
		one, other := submit(t, ex, hold, dir), submit(t, ex, hold, dir)
		queued := submit(t, ex, inc, 1)
		worker := atWork(t, dir, 1)[0]
		until(t, "both", func() bool { return one.Running() && other.Running() })
		before := time.Now()
		ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
		defer cancel()
		err := ex.Shutdown(ctx)
		cut := new(futures.ShutdownError)
		if !errors.As(err, &cut) || !errors.Is(err, context.DeadlineExceeded) || !errors.Is(err, futures.ErrTimeout) {
			t.Fatalf("Shutdown = %v, want a ShutdownError that is a time-out", err)
		}
		if len(cut.Running) != 2 {
			t.Fatalf("running: %v, want 2", cut.Running)
		}
		for i, r := range cut.Running {
			if r.Func != "hold" || r.Worker != i || r.Pid == 0 || r.Since.After(before) || r.Since.After(time.Now()) {
				t.Errorf("%+v", r)
			}
		}
		kind := "process " + strconv.Itoa(worker)
		if worker == os.Getpid() {
			kind = "a goroutine of this program"
		}
		says(t, err, "2 tasks running", "hold on worker 0", "hold on worker 1", kind)
		if _, err := futures.Submit(ex, inc, 1); !errors.Is(err, futures.ErrShutdown) {
			t.Errorf("Submit = %v, want ErrShutdown", err)
		}
		// It goes on, and a later call has the choice again.
		if err := ex.Shutdown(limited(t), futures.NoWait(), futures.InterruptTasks()); err != nil {
			t.Error(err)
		}
		for _, f := range []*futures.Future[int]{one, other} {
			if err := failure(t, f); !errors.Is(err, context.Canceled) {
				t.Errorf("an interrupted task: %v", err)
			}
		}
		if y, err := queued.Result(limited(t)); err != nil || y != 2 {
			t.Errorf("what was queued: %d, %v", y, err)
		}
	})
}

func TestAShutdownThatCancelsSparesWhatRuns(t *testing.T) {
	onEveryBackend(t, func(t *testing.T, b backend) {
		ex := b.open(t, futures.WithMaxWorkers(1))
		dir := t.TempDir()
		runs, queued := submit(t, ex, hold, dir), submit(t, ex, inc, 1)
		atWork(t, dir, 1)
		if err := ex.Shutdown(limited(t), futures.NoWait(), futures.CancelFutures()); err != nil {
			t.Error(err)
		}
		if _, err := queued.Result(limited(t)); !errors.Is(err, futures.ErrCancelled) {
			t.Errorf("what was queued: %v", err)
		}
		letGo(t, dir)
		if _, err := runs.Result(limited(t)); err != nil {
			t.Errorf("what ran: %v", err)
		}
	})
}

func TestATaskThatReturnsAtItsTimeoutCostsNoWorker(t *testing.T) {
	onEveryBackend(t, func(t *testing.T, b backend) {
		ex := b.open(t, futures.WithMaxWorkers(1))
		err := failure(t, submit(t, ex, untilDone, 0, futures.WithTaskTimeout(50*time.Millisecond)))
		if !errors.Is(err, context.DeadlineExceeded) || errors.Is(err, futures.ErrBroken) {
			t.Errorf("%v, want context.DeadlineExceeded alone", err)
		}
		if s := ex.Stats(); s.Lost > 0 {
			t.Errorf("counters: %+v", s)
		}
		works(t, ex)
	})
}

func TestATaskThatIgnoresItsTimeoutIsEndedAndNothingElseIs(t *testing.T) {
	ex := processes.open(t, futures.WithMaxWorkers(2))
	workers, dir := booted(t, ex), t.TempDir()
	held := submit(t, ex, hold, dir)
	late := submit(t, ex, act, "spin", futures.WithTaskTimeout(50*time.Millisecond))
	queued := submit(t, ex, inc, 1)
	err := failure(t, late)
	if !errors.Is(err, context.DeadlineExceeded) || !errors.Is(err, futures.ErrBroken) {
		t.Errorf("%v, want context.DeadlineExceeded and ErrBroken", err)
	}
	says(t, err, "act was lost with worker", "process", "beyond its time-out of 50ms", "ignored the end of its context")
	broken := new(futures.BrokenError)
	if !errors.As(err, &broken) {
		t.Fatal("no BrokenError")
	}
	whole(t, ex, 2, broken.Pid)
	letGo(t, dir)
	if _, err := held.Result(limited(t)); err != nil {
		t.Errorf("the other task: %v", err)
	}
	if _, err := queued.Result(limited(t)); err != nil {
		t.Errorf("the task behind it: %v", err)
	}
	if s := ex.Stats(); s.Failed != 1 || s.Lost != 1 || s.Restarts != 1 {
		t.Errorf("counters: %+v, workers were %v", s, workers)
	}
}

// A goroutine cannot be ended: its future fails, and the worker is free when the function returns.
func TestATaskThatIgnoresItsTimeoutOnAGoroutineFailsAllTheSame(t *testing.T) {
	for _, b := range backends[1:] {
		t.Run(b.name, func(t *testing.T) {
			ex := b.open(t, futures.WithMaxWorkers(1))
			dir := t.TempDir()
			err := failure(t, submit(t, ex, holdDeaf, dir, futures.WithTaskTimeout(10*time.Millisecond)))
			if !errors.Is(err, context.DeadlineExceeded) || !errors.Is(err, futures.ErrBroken) {
				t.Errorf("%v, want context.DeadlineExceeded and ErrBroken", err)
			}
			says(t, err, "holdDeaf", "beyond its time-out of 10ms")
			letGo(t, dir)
			works(t, ex)
		})
	}
}

// The same function, in time.
func TestATimeoutThatIsNotReachedChangesNothing(t *testing.T) {
	onEveryBackend(t, func(t *testing.T, b backend) {
		ex := b.open(t, futures.WithMaxWorkers(2))
		n := 0
		for y, err := range futures.Map(limited(t), ex, inc, make([]int, 300), futures.WithTaskTimeout(patience)) {
			if err != nil || y != 1 {
				t.Fatal(y, err)
			}
			n++
		}
		if n != 300 {
			t.Errorf("%d results", n)
		}
	})
}

// A task that never ends holds up a Close without end, and nothing else: with a deadline the caller decides.
func TestAPoolWithATaskThatNeverEndsCanBeGivenUp(t *testing.T) {
	ex := processes.open(t, futures.WithMaxWorkers(2))
	booted(t, ex)
	never := submit(t, ex, act, "never")
	works(t, ex)
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Millisecond)
	defer cancel()
	says(t, ex.Shutdown(ctx), "1 tasks running", "act on worker 0")
	for _, pid := range pids(ex) { // once the task is lost nothing is left to run, and the other worker leaves
		if err := syscall.Kill(pid, syscall.SIGKILL); err != nil && !errors.Is(err, syscall.ESRCH) {
			t.Error(err)
		}
	}
	if err := failure(t, never); !errors.Is(err, futures.ErrBroken) {
		t.Error(err)
	}
}
