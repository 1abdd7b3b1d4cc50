package behaviour_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/rankpool/rankpool/futures"
)

// ignore says that it has begun and waits for a gate, whatever becomes of its context.
var ignore = futures.RegisterContext("ignore", func(_ context.Context, p place) (int, error) {
	return announceAndWait(context.Background(), p)
})

// stays says that it has begun, if it is told where, and waits for a gate. Without either it is tiny.
var stays = futures.Register("stays", func(p place) (bool, error) {
	if p.Begun != "" {
		if err := os.WriteFile(p.Begun, nil, 0o600); err != nil {
			return false, err
		}
	}
	return true, p.Gate.pass(context.Background())
})

const short = 20 * time.Millisecond

// ignores submits a task that ignores the end of its context, and waits until it has begun.
func ignores(t *testing.T, ex futures.Executor, opts ...futures.TaskOption) (*futures.Future[int], gate) {
	t.Helper()
	p := place{filepath.Join(t.TempDir(), "begun"), newGate(t)}
	f := submit(t, ex, ignore, p, opts...)
	hasBegun(t, p)
	return f, p.Gate
}

func TestATaskThatIgnoresTheEndOfItsContextIsEndedAfterItsGrace(t *testing.T) {
	on(t, 1, func(t *testing.T, b backend, ex futures.Executor) {
		for name, end := range map[string]func(*futures.Future[int], context.CancelCauseFunc){
			"Interrupt":   func(f *futures.Future[int], _ context.CancelCauseFunc) { f.Interrupt() },
			"WithContext": func(_ *futures.Future[int], cancel context.CancelCauseFunc) { cancel(errEnough) },
		} {
			workers := booted(t, ex)
			ctx, cancel := context.WithCancelCause(t.Context())
			f, g := ignores(t, ex, futures.WithInterruptGrace(short), futures.WithContext(ctx))
			end(f, cancel)
			_, err := f.Result(within(t))
			broken := new(futures.BrokenError)
			matches(t, name, err, futures.ErrBroken, context.Canceled)
			if !errors.As(err, &broken) || broken.Task != "ignore" || !contains(err, "after the end of its context") {
				t.Errorf("%s: %v", name, err)
			}
			if name == "WithContext" {
				matches(t, name, err, errEnough)
			}
			if errors.Is(err, context.DeadlineExceeded) || f.Cancelled() {
				t.Errorf("%s: %v", name, err)
			}
			if b.replaces {
				eventually(t, "the process of the task is gone", func() bool { return !alive(workers[0]) })
			}
			next := submit(t, ex, square, 5)
			if !b.replaces {
				if _, err := next.ResultWithin(2 * short); !errors.Is(err, futures.ErrTimeout) {
					t.Errorf("%s: beside what was left behind on the only worker another task ended: %v", name, err)
				}
				g.open() // until it returns what is left behind has its slot
			}
			if got := result(t, next); got != 25 {
				t.Error(got)
			}
			g.open()
			cancel(nil)
		}
	})
}

func TestATaskThatIgnoresItsTimeOutFailsWithThatBeforeItReturns(t *testing.T) {
	on(t, 1, func(t *testing.T, b backend, ex futures.Executor) {
		p := place{filepath.Join(t.TempDir(), "begun"), newGate(t)}
		_, err := submit(t, ex, ignore, p, futures.WithTaskTimeout(short)).Result(within(t))
		matches(t, "one that ignores its time-out", err, futures.ErrBroken, context.DeadlineExceeded)
		if !contains(err, "beyond its time-out of 20ms") {
			t.Error(err)
		}
		if !b.replaces {
			p.Gate.open()
		}
		if got := result(t, submit(t, ex, square, 5)); got != 25 {
			t.Error(got)
		}
	})
}

func TestATaskThatEndsWithinItsGraceKeepsItsWorker(t *testing.T) {
	on(t, 1, func(t *testing.T, _ backend, ex futures.Executor) {
		workers := booted(t, ex)
		f := begins(t, ex, futures.WithInterruptGrace(limit))
		f.Interrupt()
		_, err := f.Result(within(t))
		matches(t, "interrupted", err, context.Canceled)
		if errors.Is(err, futures.ErrBroken) {
			t.Error(err)
		}
		result(t, submit(t, ex, square, 1))
		if now := pids(ex); now[0] != workers[0] || ex.Stats().Restarts != 0 {
			t.Errorf("the worker %d was replaced by %d", workers[0], now[0])
		}
	})
}

func TestATaskWithoutAGraceMayIgnoreTheEndOfItsContext(t *testing.T) {
	on(t, 1, func(t *testing.T, _ backend, ex futures.Executor) {
		f, g := ignores(t, ex)
		f.Interrupt()
		_, err := f.ResultWithin(2 * short)
		if !errors.Is(err, futures.ErrTimeout) {
			t.Error(err)
		}
		g.open()
		result(t, f)
	})
}

func TestShutdownKillsWhatIgnoresTheEndOfItsContext(t *testing.T) {
	each(t, func(t *testing.T, b backend) {
		for _, grace := range []time.Duration{short, 0, -1} {
			ex := b.start(t, 2)
			workers := booted(t, ex)
			deafOne, g := ignores(t, ex)
			polite := begins(t, ex)
			queued := submit(t, ex, square, 1)
			if !b.replaces { // what is left behind is waited for as long as workers may take to leave
				context.AfterFunc(within(t), g.open)
				deafOne.AddDoneCallback(func(*futures.Future[int]) { g.open() })
			}
			mustClose(t, ex, futures.CancelFutures(), futures.KillTasks(grace))
			_, err := deafOne.Result(within(t))
			matches(t, "one that ignores it", err, futures.ErrBroken, context.Canceled)
			_, err = polite.Result(within(t))
			matches(t, "one that does not", err, context.Canceled)
			if grace > 0 && errors.Is(err, futures.ErrBroken) {
				t.Log(err) // within 20 ms, on a machine with other work
			}
			if !queued.Cancelled() {
				t.Error("what was queued has run")
			}
			if b.replaces {
				eventually(t, "the workers are gone", func() bool { return !alive(workers[0]) && !alive(workers[1]) })
			}
		}
	})
}

func TestTheRestOfABatchRunsWhenTheTaskBeforeItIsKilled(t *testing.T) {
	on(t, 1, func(t *testing.T, b backend, ex futures.Executor) {
		for _, err := range futures.Map(within(t), ex, ignore, make([]place, 1)) { // cannot make the empty file
			if !errors.Is(err, os.ErrNotExist) {
				t.Fatal(err)
			}
		}
		for _, err := range futures.Map(within(t), ex, stays, make([]place, 2000)) { // from now on they travel together
			if err != nil {
				t.Fatal(err)
			}
		}
		running, release := ignores(t, ex)
		p := place{filepath.Join(t.TempDir(), "held"), newGate(t)}
		held := submit(t, ex, stays, p)
		var fs []*futures.Future[bool]
		for range 100 {
			fs = append(fs, submit(t, ex, stays, place{}))
		}
		release.open()
		result(t, running)
		hasBegun(t, p) // a worker that is killed before that costs nothing: the task would run again
		if err := ex.Shutdown(within(t), futures.NoWait(), futures.KillTasks(short)); err != nil {
			t.Fatal(err)
		}
		_, err := held.Result(within(t))
		matches(t, "the one that ran", err, futures.ErrBroken)
		if !b.replaces {
			p.Gate.open()
		}
		for _, f := range fs {
			result(t, f)
		}
	})
}

func TestKillingOneTaskAfterAnotherDoesNotBreakThePool(t *testing.T) {
	each(t, func(t *testing.T, b backend) {
		ex := b.start(t, max(b.workers, 1), futures.WithInterruptGrace(1))
		g := newGate(t)
		var fs []*futures.Future[bool]
		for range 40 {
			fs = append(fs, submit(t, ex, deaf, g))
		}
		for _, f := range fs {
			eventually(t, "it runs", f.Running)
			f.Interrupt()
			_, err := f.Result(within(t))
			if !f.Cancelled() { // it is, when its worker was killed before it had begun
				matches(t, "the task", err, futures.ErrBroken, context.Canceled)
			}
		}
		if got := result(t, submit(t, ex, square, 5)); got != 25 {
			t.Error(got)
		}
	}, replaces)
}
