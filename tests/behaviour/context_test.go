package behaviour_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rankpool/rankpool/futures"
	"github.com/rankpool/rankpool/pool"
)

var errEnough = errors.New("enough")

// begins submits a task that does not end by itself, and waits until it has begun.
func begins(t *testing.T, ex futures.Executor, opts ...futures.TaskOption) *futures.Future[int] {
	t.Helper()
	p := place{filepath.Join(t.TempDir(), "begun"), newGate(t)}
	f := submit(t, ex, announce, p, opts...)
	hasBegun(t, p)
	return f
}

func hasBegun(t *testing.T, p place) {
	t.Helper()
	eventually(t, "the task has begun", func() bool { _, err := os.Stat(p.Begun); return err == nil })
}

// matches expects an error that matches all of these.
func matches(t *testing.T, what string, err error, targets ...error) {
	t.Helper()
	for _, target := range targets {
		if !errors.Is(err, target) {
			t.Errorf("%s: %v does not match %q", what, err, target)
		}
	}
}

func TestACallWhoseContextEndsBeforeItBeganIsCancelledAndSaysWhy(t *testing.T) {
	on(t, 1, func(t *testing.T, _ backend, ex futures.Executor) {
		running := begins(t, ex)
		p := place{Begun: filepath.Join(t.TempDir(), "never")}
		ctx, end := context.WithCancelCause(t.Context())
		queued := submit(t, ex, announce, p, futures.WithContext(ctx))
		told := make(chan error, 1)
		queued.AddDoneCallback(func(f *futures.Future[int]) { _, err := f.Result(t.Context()); told <- err })
		end(errEnough)
		_, err := queued.Result(within(t))
		matches(t, "queued", err, futures.ErrCancelled, errEnough, context.Canceled)
		if _, waiting := queued.Exception(within(t)); waiting != err || !queued.Cancelled() || <-told != err { //nolint:errorlint // the very same
			t.Errorf("%v, cancelled %v", waiting, queued.Cancelled())
		}
		if errors.Is(err, futures.ErrTimeout) {
			t.Errorf("nobody waited too long: %v", err)
		}
		_, err = submit(t, ex, announce, p, futures.WithContext(ctx)).Result(within(t)) // it has ended before
		matches(t, "late", err, futures.ErrCancelled, errEnough)
		short, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		_, err = submit(t, ex, announce, p, futures.WithContext(short)).Result(within(t))
		matches(t, "too late", err, futures.ErrCancelled, context.DeadlineExceeded, futures.ErrTimeout)
		running.Interrupt()
		result(t, submit(t, ex, square, 2))
		if _, err := os.Stat(p.Begun); err == nil {
			t.Error("a cancelled task has run")
		}
	})
}

func TestTheContextOfATaskEndsWithThatOfItsCall(t *testing.T) {
	on(t, 1, func(t *testing.T, _ backend, ex futures.Executor) {
		ctx, end := context.WithCancelCause(t.Context())
		f := begins(t, ex, futures.WithContext(ctx))
		end(errEnough)
		_, err := f.Result(within(t))
		matches(t, "a task that ran", err, errEnough, context.Canceled)
		if f.Cancelled() || errors.Is(err, futures.ErrCancelled) {
			t.Errorf("a task that ran is said to be cancelled: %v", err)
		}
		if got := result(t, submit(t, ex, square, 3)); got != 9 {
			t.Error(got)
		}
	})
}

func TestAResultCountsThoughTheContextOfTheCallHasEnded(t *testing.T) {
	on(t, 1, func(t *testing.T, _ backend, ex futures.Executor) {
		ctx, end := context.WithCancel(t.Context())
		g := newGate(t)
		f := submit(t, ex, deaf, g, futures.WithContext(ctx))
		eventually(t, "it runs", f.Running)
		end()
		g.open()
		if !result(t, f) {
			t.Error("the result is lost")
		}
	})
}

func TestInterruptReachesATaskThatRunsAndCancelDoesNot(t *testing.T) {
	on(t, 1, func(t *testing.T, _ backend, ex futures.Executor) {
		running := begins(t, ex)
		queued := submit(t, ex, square, 2)
		if running.Cancel() {
			t.Error("a running task was cancelled")
		}
		if !queued.Interrupt() || !queued.Cancelled() {
			t.Error("a queued task was not cancelled")
		}
		if !queued.Interrupt() {
			t.Error("it is cancelled no longer")
		}
		if running.Done() || !running.Interrupt() {
			t.Error("a running task was not interrupted")
		}
		_, err := running.Result(within(t))
		matches(t, "interrupted", err, context.Canceled)
		if running.Interrupt() {
			t.Error("a finished future was interrupted")
		}
	})
}

func TestOneOfManyTinyTasksIsInterruptedAlone(t *testing.T) {
	on(t, 1, func(t *testing.T, _ backend, ex futures.Executor) {
		for _, err := range futures.Map(within(t), ex, wait, make([]gate, 2000)) { // from now on they travel together
			if err != nil {
				t.Fatal(err)
			}
		}
		const n, ended = 200, 7
		g := newGate(t)
		var fs []*futures.Future[bool]
		var ends []func()
		for i := range n {
			ctx, end := context.WithCancel(t.Context())
			t.Cleanup(end)
			ends = append(ends, end)
			arg := gate("")
			if i == 0 {
				arg = g
			}
			fs = append(fs, submit(t, ex, wait, arg, futures.WithContext(ctx)))
		}
		eventually(t, "the first runs", fs[0].Running)
		ends[ended]()
		ends[0]()
		_, err := fs[0].Result(within(t))
		matches(t, "the first", err, context.Canceled)
		for i, f := range fs[1:] {
			if _, err := f.Result(within(t)); err != nil && (i+1 != ended || !errors.Is(err, context.Canceled)) {
				t.Errorf("task %d: %v", i+1, err)
			}
		}
	})
}

func TestOneContextEndsAllThatIsBoundToIt(t *testing.T) {
	on(t, 2, func(t *testing.T, _ backend, ex futures.Executor) {
		ctx, end := context.WithCancelCause(t.Context())
		defer end(nil)
		dir := t.TempDir()
		var fs []*futures.Future[int]
		for i := range 300 {
			fs = append(fs, submit(t, ex, announce, place{filepath.Join(dir, fmt.Sprint(i)), newGate(t)}, futures.WithContext(ctx)))
		}
		eventually(t, "two run", func() bool { return files(t, dir) == 2 })
		end(errEnough)
		for i, f := range fs {
			_, err := f.Result(within(t))
			matches(t, fmt.Sprint(i), err, errEnough, context.Canceled)
		}
		if n := files(t, dir); n != 2 {
			t.Errorf("%d tasks have begun", n)
		}
		if s := ex.Stats(); s.Queued != 0 || s.Running != 0 || s.Cancelled+s.Failed != 300 {
			t.Errorf("%+v", s)
		}
		result(t, submit(t, ex, square, 2))
	})
}

// unhashable is a context that no map takes as a key.
type unhashable struct {
	context.Context
	_ []int
}

func TestAContextOfAnyTypeCanBeGiven(t *testing.T) {
	on(t, 1, func(t *testing.T, _ backend, ex futures.Executor) {
		ofRunning, endRunning := context.WithCancelCause(t.Context())
		ofQueued, endQueued := context.WithCancelCause(t.Context())
		running := begins(t, ex, futures.WithContext(unhashable{Context: ofRunning}))
		queued := submit(t, ex, square, 2, futures.WithContext(unhashable{Context: ofQueued}))
		endQueued(errEnough) // first: it could begin when the other one has made room
		_, err := queued.Result(within(t))
		matches(t, "queued", err, errEnough)
		endRunning(errEnough)
		_, err = running.Result(within(t))
		matches(t, "running", err, errEnough)
	})
}

// counted is a context that knows how many functions wait for its end.
type counted struct {
	context.Context
	n *atomic.Int64
}

// Value hides the context inside.
func (counted) Value(any) any { return nil }

// AfterFunc is what package context looks for.
func (c counted) AfterFunc(f func()) (stop func() bool) {
	c.n.Add(1)
	off := context.AfterFunc(c.Context, f)
	return func() bool {
		c.n.Add(-1)
		return off()
	}
}

func TestAContextForgetsTheCallsThatAreDone(t *testing.T) {
	on(t, 1, func(t *testing.T, _ backend, ex futures.Executor) {
		ctx := counted{t.Context(), new(atomic.Int64)}
		running := begins(t, ex, futures.WithContext(ctx))
		queued := submit(t, ex, square, 2, futures.WithContext(ctx))
		if n := ctx.n.Load(); n != 1 {
			t.Errorf("%d functions wait for the end of the context", n)
		}
		queued.Cancel()
		running.Interrupt()
		_, _ = running.Result(within(t))
		_, _ = submit(t, ex, failOn, -1, futures.WithContext(ctx)).Result(within(t))
		result(t, submit(t, ex, square, 2, futures.WithContext(ctx)))
		eventually(t, "nothing waits for the end of the context", func() bool { return ctx.n.Load() == 0 })
		mustClose(t, ex)
		if _, err := futures.Submit(ex, square, 1, futures.WithContext(ctx)); !errors.Is(err, futures.ErrShutdown) || ctx.n.Load() != 0 {
			t.Errorf("%v, and %d functions wait for the end of the context", err, ctx.n.Load())
		}
	})
}

func TestACallOnEveryWorkerEndsWithItsContext(t *testing.T) {
	on(t, 2, func(t *testing.T, _ backend, ex futures.Executor) {
		for _, interrupt := range []bool{false, true} {
			ctx, end := context.WithCancelCause(t.Context())
			f, err := futures.SubmitEach(ex, wait, newGate(t), futures.WithContext(ctx))
			if err != nil {
				t.Fatal(err)
			}
			eventually(t, "it runs", f.Running)
			if interrupt {
				if !f.Interrupt() {
					t.Error("it was not interrupted")
				}
			} else {
				end(errEnough)
			}
			_, err = f.Result(within(t))
			matches(t, "the call", err, context.Canceled)
			if !interrupt {
				matches(t, "the call", err, errEnough)
			}
			end(nil)
		}
		running := begins(t, ex)
		ctx, end := context.WithCancelCause(t.Context())
		waits, err := futures.SubmitEach(ex, square, 2, futures.WithContext(ctx))
		if err != nil {
			t.Fatal(err)
		}
		behind := submit(t, ex, square, 3)
		end(errEnough)
		_, err = waits.Result(within(t))
		matches(t, "one that waits for the workers", err, futures.ErrCancelled, errEnough)
		if got := result(t, behind); got != 9 {
			t.Error(got)
		}
		running.Interrupt()
	})
}

func TestApplyEndsItsTaskWithItsContext(t *testing.T) {
	on(t, 1, func(t *testing.T, _ backend, ex futures.Executor) {
		p := pool.On(ex)
		at := place{filepath.Join(t.TempDir(), "begun"), newGate(t)}
		ctx, end := context.WithCancelCause(t.Context())
		go func() {
			hasBegun(t, at)
			end(errEnough)
		}()
		_, err := pool.Apply(ctx, p, announce, at)
		matches(t, "Apply", err, errEnough)
		other, endOther := context.WithCancelCause(t.Context())
		at.Begun += "2"
		r, err := pool.ApplyAsync(p, announce, at, futures.WithContext(other))
		if err != nil {
			t.Fatal(err)
		}
		hasBegun(t, at) // the worker is free, though the gate is shut
		endOther(errEnough)
		_, err = r.Get(within(t))
		matches(t, "ApplyAsync", err, errEnough, context.Canceled)
	})
}

func TestInterruptReachesWhatAFutureIsMadeOf(t *testing.T) {
	on(t, 1, func(t *testing.T, _ backend, ex futures.Executor) {
		running, queued := begins(t, ex), submit(t, ex, square, 2)
		all := futures.Collect(running, queued)
		if !all.Interrupt() || !all.Cancelled() || !queued.Cancelled() {
			t.Error("Collect was not interrupted")
		}
		_, err := running.Result(within(t))
		matches(t, "one of Collect", err, context.Canceled)

		running = begins(t, ex)
		next := futures.Compose(running, func(int) (int, error) { return 1, nil }, nil)
		if !next.Interrupt() {
			t.Error("Compose was not interrupted")
		}
		_, err = running.Result(within(t))
		matches(t, "one of Compose", err, context.Canceled)

		running = begins(t, ex)
		then := futures.Then(running, func(int) (int, error) { return 1, nil }, nil)
		if !then.Interrupt() || running.Done() {
			t.Error("Then lets its future alone, which may have others depending on it")
		}
		running.Interrupt()
		own := futures.NewPromise[int]()
		own.SetRunningOrNotifyCancel()
		if own.Future().Interrupt() {
			t.Error("nobody runs it")
		}
	})
}

func TestTheReasonOfACancellationIsPassedOn(t *testing.T) {
	on(t, 1, func(t *testing.T, _ backend, ex futures.Executor) {
		running := begins(t, ex)
		ctx, end := context.WithCancelCause(t.Context())
		f := submit(t, ex, square, 2, futures.WithContext(ctx))
		then := futures.Then(f, func(int) (int, error) { return 1, nil }, nil)
		all := futures.Collect(f, submit(t, ex, square, 3))
		end(errEnough)
		_, err := then.Result(within(t))
		matches(t, "Then", err, futures.ErrCancelled, errEnough)
		_, err = all.Result(within(t))
		matches(t, "Collect", err, futures.ErrCancelled, errEnough)
		running.Interrupt()
	})
}

func TestAContextThatIsNilIsRefused(t *testing.T) {
	on(t, 1, func(t *testing.T, _ backend, ex futures.Executor) {
		_, err := futures.Submit(ex, square, 1, futures.WithContext(nil))      //nolint:staticcheck // that is the test
		_, each := futures.SubmitEach(ex, square, 1, futures.WithContext(nil)) //nolint:staticcheck // likewise
		if !contains(err, "nil") || !contains(each, "nil") {
			t.Errorf("%v; %v", err, each)
		}
	})
}
