package behaviour_test

import (
	"context"
	"errors"
	"runtime"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/rankpool/rankpool/futures"
	"github.com/rankpool/rankpool/internal/testkit"
)

func TestShutdownOfAnExecutorThatNeverStartedOnlyForbidsCalls(t *testing.T) {
	on(t, 1, func(t *testing.T, _ backend, ex futures.Executor) {
		for _, opts := range [][]futures.ShutdownOption{
			nil, {futures.NoWait()}, {futures.CancelFutures()}, {futures.NoWait(), futures.CancelFutures()}, nil, {futures.NoWait()},
		} {
			if err := ex.Shutdown(within(t), opts...); err != nil {
				t.Error(err)
			}
		}
		if _, err := futures.Submit(ex, square, 1); !errors.Is(err, futures.ErrShutdown) {
			t.Error(err)
		}
	})
}

func TestAWaitingShutdownLetsAllQueuedTasksFinish(t *testing.T) {
	on(t, 2, func(t *testing.T, _ backend, ex futures.Executor) {
		g := newGate(t)
		var fs []*futures.Future[bool]
		for range 50 {
			fs = append(fs, submit(t, ex, wait, g))
		}
		closed := closeInBackground(ex)
		eventually(t, "the shutdown has begun", func() bool { return errors.Is(ex.Start(), futures.ErrShutdown) })
		if got := ex.Stats().Done; got != 0 {
			t.Fatalf("%d tasks are done behind a gate", got)
		}
		g.open()
		if err := <-closed; err != nil {
			t.Fatal(err)
		}
		for _, f := range fs {
			if ok, err := f.ResultWithin(0); !ok || err != nil {
				t.Fatal(ok, err)
			}
		}
	})
}

func TestASecondWaitingShutdownReallyWaits(t *testing.T) {
	on(t, 1, func(t *testing.T, _ backend, ex futures.Executor) {
		g := newGate(t)
		f := submit(t, ex, wait, g)
		eventually(t, "the task runs", f.Running)
		first := closeInBackground(ex)
		eventually(t, "the first has begun", func() bool { return errors.Is(ex.Start(), futures.ErrShutdown) })
		if err := ex.Shutdown(expired(t)); !errors.Is(err, futures.ErrTimeout) {
			t.Errorf("a second one did not wait: %v", err)
		}
		second := closeInBackground(ex)
		g.open()
		for _, closed := range []<-chan error{first, second} {
			if err := <-closed; err != nil || !f.Done() {
				t.Errorf("%v, task %v", err, f)
			}
		}
	})
}

func closeInBackground(ex futures.Executor) <-chan error {
	closed := make(chan error, 1)
	go func() { closed <- ex.Close() }()
	return closed
}

func TestANonWaitingShutdownReturnsAtOnceAndALaterOneJoins(t *testing.T) {
	on(t, 1, func(t *testing.T, _ backend, ex futures.Executor) {
		g := newGate(t)
		running, queued := submit(t, ex, wait, g), submit(t, ex, square, 3)
		if err := ex.Shutdown(within(t), futures.NoWait()); err != nil {
			t.Fatal(err)
		}
		if running.Done() {
			t.Error("the shutdown waited")
		}
		g.open()
		if err := ex.Close(); err != nil {
			t.Fatal(err)
		}
		if v, err := queued.ResultWithin(0); v != 9 || err != nil {
			t.Error(v, err)
		}
	})
}

func TestCancelFuturesSparesWhatRunsOrIsDone(t *testing.T) {
	on(t, 1, func(t *testing.T, _ backend, ex futures.Executor) {
		done := submit(t, ex, square, 2)
		result(t, done)
		g := newGate(t)
		running := submit(t, ex, wait, g)
		var tail []*futures.Future[int]
		for i := range 10 {
			tail = append(tail, submit(t, ex, square, i))
		}
		eventually(t, "the first runs", running.Running)
		for range 2 {
			if err := ex.Shutdown(within(t), futures.NoWait(), futures.CancelFutures()); err != nil {
				t.Fatal(err)
			}
		}
		for _, f := range tail {
			if !f.Cancelled() {
				t.Errorf("a queued task is %v", f)
			}
		}
		g.open()
		mustClose(t, ex)
		if !result(t, running) || result(t, done) != 4 {
			t.Error("a task that ran was touched")
		}
		mustClose(t, ex, futures.CancelFutures())
	})
}

func TestCancelFuturesIsHarmlessOnPoolsWithNothingQueued(t *testing.T) {
	on(t, 2, func(t *testing.T, b backend, idle futures.Executor) {
		if got := result(t, submit(t, idle, square, 2)); got != 4 {
			t.Error(got)
		}
		starting := b.start(t, 2)
		if err := starting.Start(); err != nil {
			t.Error(err)
		}
		for _, ex := range []futures.Executor{idle, starting, b.start(t, 1)} {
			mustClose(t, ex, futures.CancelFutures())
			mustClose(t, ex, futures.CancelFutures(), futures.NoWait())
			mustClose(t, ex)
		}
	})
}

func TestAShutdownThatIsCutShortSaysWhatRuns(t *testing.T) {
	on(t, 1, func(t *testing.T, _ backend, ex futures.Executor) {
		g := newGate(t)
		f := submit(t, ex, wait, g)
		eventually(t, "the task runs", f.Running)
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
		defer cancel()
		err := ex.Shutdown(ctx)
		cut := new(futures.ShutdownError)
		if !errors.As(err, &cut) || len(cut.Running) != 1 || cut.Running[0].Func != "wait" && !strings.Contains(err.Error(), "wait") {
			t.Errorf("%v", err)
		}
		if !errors.Is(err, futures.ErrTimeout) {
			t.Errorf("%v does not match ErrTimeout", err)
		}
		g.open()
		result(t, f)
	})
}

func TestAfterAWaitingShutdownNoWorkerIsLeft(t *testing.T) {
	each(t, func(t *testing.T, b backend) {
		before := runtime.NumGoroutine()
		ex := b.start(t, 3)
		workers := booted(t, ex)
		if len(workers) != 3 {
			t.Fatalf("the workers are %v", workers)
		}
		for _, w := range workers {
			if b.apart && !alive(w) {
				t.Errorf("process %d is not there", w)
			}
		}
		mustClose(t, ex)
		for _, w := range workers {
			if b.apart && alive(w) {
				t.Errorf("process %d is still there", w)
			}
		}
		released(t, b, workers, before)
	})
}

func TestInterruptTasksEndsTheContextsOfWhatRuns(t *testing.T) {
	on(t, 2, func(t *testing.T, _ backend, ex futures.Executor) {
		g := newGate(t)
		f := submit(t, ex, wait, g)
		eventually(t, "it runs", f.Running)
		if err := ex.Shutdown(within(t), futures.InterruptTasks()); err != nil {
			t.Fatal(err)
		}
		if _, err := f.ResultWithin(0); !errors.Is(err, context.Canceled) {
			t.Errorf("%v", err)
		}
	})
}

// The names are those that futures.TestMain documents.
func TestNoGoroutineIsLeftToATestThatClosesItsExecutor(t *testing.T) {
	each(t, func(t *testing.T, b backend) {
		options := []goleak.Option{goleak.IgnoreCurrent()} // of tests before
		for _, name := range []string{"mpi.holdThread", "link/mpilink.(*Hub).run", "link/mpilink.(*Hub).beat", "link/mpilink.process.awaitEnd", "link/mpilink.process.awaitEnd.func1"} {
			options = append(options, goleak.IgnoreAnyFunction("github.com/rankpool/rankpool/internal/"+name))
		}
		ex, err := b.make()
		if err != nil {
			t.Fatal(err)
		}
		if err := ex.Bootup(within(t)); err != nil {
			t.Fatal(err)
		}
		mustClose(t, ex)
		if err := testkit.Leaks(options...); err != nil { // as goleak.VerifyNone, with more time
			t.Error(err)
		}
	})
}
