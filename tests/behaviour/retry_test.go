package behaviour_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/rankpool/rankpool/futures"
)

// trial is a task that fails in some way for the first few times.
type trial struct {
	Dir   string // holds a file for each run
	Fails int
	How   string
}

var try = futures.RegisterContext("try", func(ctx context.Context, x trial) (int, error) {
	f, err := os.CreateTemp(x.Dir, "run")
	if err != nil {
		return 0, err
	}
	f.Close()
	runs, err := os.ReadDir(x.Dir)
	if err != nil || len(runs) > x.Fails {
		return len(runs), err
	}
	switch x.How {
	case "time":
		<-ctx.Done()
		return 0, fmt.Errorf("run %d: %w", len(runs), ctx.Err())
	case "deaf":
		time.Sleep(limit)
	case "exit":
		os.Exit(3)
	}
	return 0, &InputError{Value: len(runs), Why: "busy"}
})

// busy picks the error that a trial fails with.
func busy(err error) bool {
	input := new(InputError)
	return errors.As(err, &input) && input.Why == "busy"
}

func TestOnlyLostWorkersHaveATaskRunAgainUnlessMoreIsAskedFor(t *testing.T) {
	on(t, 1, func(t *testing.T, b backend, ex futures.Executor) {
		x := trial{Dir: t.TempDir(), Fails: 1}
		_, err := submit(t, ex, try, x, futures.WithRetries(3)).Result(within(t))
		if n := files(t, x.Dir); !busy(err) || n != 1 {
			t.Errorf("%d runs, %v", n, err)
		}
		if b.replaces {
			x = trial{Dir: t.TempDir(), Fails: 1, How: "exit"}
			if n := result(t, submit(t, ex, try, x, futures.WithRetries(3))); n != 2 {
				t.Errorf("%d runs", n)
			}
		}
	})
}

func TestErrorsThatAFunctionPicksHaveATaskRunAgain(t *testing.T) {
	on(t, 1, func(t *testing.T, _ backend, ex futures.Executor) {
		x := trial{Dir: t.TempDir(), Fails: 2}
		again := futures.WithRetries(2, futures.RetryIf(busy))
		if n := result(t, submit(t, ex, try, x, again)); n != 3 {
			t.Errorf("%d runs", n)
		}
		if s := ex.Stats(); s.Retried != 2 || s.Failed != 0 || s.Done != 1 || s.Submitted != 1 || s.Queued != 0 || s.Running != 0 {
			t.Errorf("%+v", s)
		}
		x = trial{Dir: t.TempDir(), Fails: 9}
		_, err := submit(t, ex, try, x, again).Result(within(t))
		input := new(InputError)
		if n := files(t, x.Dir); n != 3 || !errors.As(err, &input) || input.Value != 3 {
			t.Errorf("%d runs, and the error is %v, not that of the last", n, err)
		}
		x = trial{Dir: t.TempDir(), Fails: 9}
		never := futures.WithRetries(2, futures.RetryIf(func(error) bool { return false }))
		if _, err := submit(t, ex, try, x, never).Result(within(t)); !busy(err) || files(t, x.Dir) != 1 {
			t.Errorf("%d runs, %v", files(t, x.Dir), err)
		}
		either := futures.WithRetries(2, futures.RetryIf(func(error) bool { return false }), futures.RetryIf(busy), nil)
		x = trial{Dir: t.TempDir(), Fails: 1}
		if n := result(t, submit(t, ex, try, x, either)); n != 2 {
			t.Errorf("%d runs", n)
		}
		if s := ex.Stats(); s.Failed != 2 || s.Done != 2 || s.Submitted != 4 || s.Queued != 0 {
			t.Errorf("%+v", s)
		}
	})
}

func TestTimeoutsHaveATaskRunAgain(t *testing.T) {
	on(t, 1, func(t *testing.T, b backend, ex futures.Executor) {
		limited := futures.WithTaskTimeout(short)
		x := trial{Dir: t.TempDir(), Fails: 1, How: "time"}
		if n := result(t, submit(t, ex, try, x, limited, futures.WithRetries(5, futures.RetryTimeouts()))); n < 2 { // more on a busy machine
			t.Errorf("%d runs", n)
		}
		x = trial{Dir: t.TempDir(), Fails: 1, How: "time"}
		_, err := submit(t, ex, try, x, limited, futures.WithRetries(5, futures.RetryIf(busy))).Result(within(t))
		if !errors.Is(err, context.DeadlineExceeded) || files(t, x.Dir) > 1 { // none, where it was given up before it had left a file
			t.Errorf("%d runs, %v", files(t, x.Dir), err)
		}
		if b.replaces {
			x = trial{Dir: t.TempDir(), Fails: 1, How: "deaf"}
			if n := result(t, submit(t, ex, try, x, limited, futures.WithRetries(5, futures.RetryTimeouts()))); n < 2 {
				t.Errorf("%d runs of one that is killed", n)
			}
		}
	})
}

func TestElementsOfAMapRunAgain(t *testing.T) {
	on(t, 2, func(t *testing.T, _ backend, ex futures.Executor) {
		for _, chunk := range []int{1, 3} {
			var xs []trial
			for i := range 10 {
				xs = append(xs, trial{Dir: t.TempDir(), Fails: i % 3})
			}
			ns, err := gather(futures.Map(within(t), ex, try, xs, futures.WithChunkSize(chunk),
				futures.WithRetries(9, futures.RetryIf(busy), futures.WithRetryBackoff(1, time.Millisecond))))
			if err != nil || len(ns) != len(xs) {
				t.Fatalf("%d results, %v", len(ns), err)
			}
			for i, n := range ns {
				if n < i%3+1 {
					t.Errorf("element %d has succeeded at run %d", i, n)
				}
			}
		}
	})
}

// pauses submits a task that has failed and is to run again in an hour.
func pauses(t *testing.T, ex futures.Executor, opts ...futures.TaskOption) *futures.Future[int] {
	t.Helper()
	before := ex.Stats().Retried
	f := submit(t, ex, failOn, -1, append(opts, futures.WithRetries(1, futures.RetryIf(func(error) bool { return true }),
		futures.WithRetryBackoff(time.Hour, time.Hour)))...)
	eventually(t, "it is to run again", func() bool { return ex.Stats().Retried > before })
	return f
}

func TestATaskThatPausesTakesNoWorkerAndCanBeEnded(t *testing.T) {
	each(t, func(t *testing.T, b backend) {
		for name, end := range map[string]func(ex futures.Executor, f *futures.Future[int], cancel context.CancelCauseFunc){
			"Cancel":      func(_ futures.Executor, f *futures.Future[int], _ context.CancelCauseFunc) { f.Cancel() },
			"Interrupt":   func(_ futures.Executor, f *futures.Future[int], _ context.CancelCauseFunc) { f.Interrupt() },
			"WithContext": func(_ futures.Executor, _ *futures.Future[int], cancel context.CancelCauseFunc) { cancel(errEnough) },
			"Shutdown": func(ex futures.Executor, _ *futures.Future[int], _ context.CancelCauseFunc) {
				mustClose(t, ex, futures.NoWait(), futures.CancelFutures())
			},
		} {
			ex := b.start(t, max(b.workers, 1))
			ctx, cancel := context.WithCancelCause(t.Context())
			f := pauses(t, ex, futures.WithContext(ctx))
			if got := result(t, submit(t, ex, square, 5)); got != 25 {
				t.Error(got)
			}
			if f.Done() || f.Running() {
				t.Errorf("%s: a task that pauses is not pending: %v", name, f)
			}
			end(ex, f, cancel)
			_, err := f.Result(within(t))
			matches(t, name, err, futures.ErrCancelled)
			mustClose(t, ex) // which does not wait for an hour
			if s := ex.Stats(); s.Queued != 0 || s.Cancelled != 1 || s.Done != 1 {
				t.Errorf("%s: %+v", name, s)
			}
			cancel(nil)
		}
	})
}

func TestAMapThatEndsTakesBackWhatPauses(t *testing.T) {
	on(t, 1, func(t *testing.T, _ backend, ex futures.Executor) {
		ctx, cancel := context.WithCancelCause(t.Context())
		next := futures.Map(ctx, ex, failOn, []int{1, -1, -2}, futures.WithRetries(1,
			futures.RetryIf(func(error) bool { return true }), futures.WithRetryBackoff(time.Hour, time.Hour)))
		eventually(t, "two pause", func() bool { return ex.Stats().Retried == 2 })
		cancel(errEnough)
		_, err := gather(next)
		matches(t, "the map", err, errEnough)
		mustClose(t, ex)
		if s := ex.Stats(); s.Queued != 0 || s.Cancelled != 2 {
			t.Errorf("%+v", s)
		}
	})
}

func TestCloseWaitsForATaskThatPauses(t *testing.T) {
	on(t, 1, func(t *testing.T, _ backend, ex futures.Executor) {
		x := trial{Dir: t.TempDir(), Fails: 3}
		f := submit(t, ex, try, x, futures.WithRetries(3, futures.RetryIf(busy), futures.WithRetryBackoff(short, short)))
		mustClose(t, ex)
		if !f.Done() {
			t.Error("Close has not waited")
		}
		if n := result(t, f); n != 4 {
			t.Errorf("%d runs", n)
		}
	})
}

func TestAPoolThatBreaksFailsWhatPauses(t *testing.T) {
	each(t, func(t *testing.T, b backend) {
		ex := b.start(t, 1, futures.WithInitializer(refuseAgain, filepath.Join(t.TempDir(), "first")))
		f := pauses(t, ex)
		for _, id := range booted(t, ex) {
			p, err := os.FindProcess(id)
			if err != nil {
				t.Fatal(err)
			}
			_ = p.Kill()
		}
		_, err := f.Result(within(t))
		matches(t, "a task that pauses", err, futures.ErrBroken)
	}, replaces)
}

// refuseAgain is an initializer that succeeds once.
var refuseAgain = futures.Register("refuseAgain", func(path string) (bool, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return false, err
	}
	return true, f.Close()
})

// ledger is a log that can be read while it is written.
type ledger struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *ledger) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(b)
}

func (l *ledger) has(text string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return bytes.Contains(l.b.Bytes(), []byte(text))
}

func TestThePickOfAnErrorMayDoWhatItLikes(t *testing.T) {
	var log ledger
	futures.SetLogger(slog.New(slog.NewTextHandler(&log, nil)))
	defer futures.SetLogger(nil)
	on(t, 1, func(t *testing.T, _ backend, ex futures.Executor) {
		run := func(pick func(error) bool) error {
			_, err := submit(t, ex, failOn, -1, futures.WithRetries(1, futures.RetryIf(pick))).Result(within(t))
			return err
		}
		if err := run(func(error) bool { panic("no idea") }); !errors.As(err, new(*InputError)) {
			t.Errorf("a panic: %v", err)
		}
		eventually(t, "the panic is logged", func() bool { return log.has("no idea") })
		if err := run(func(error) bool { runtime.Goexit(); return true }); err == nil {
			t.Error("runtime.Goexit: no error")
		}
		if err := run(func(error) bool {
			ex.Stats()
			f, err := futures.Submit(ex, square, 4)
			return err != nil || f.Running() && f.Done()
		}); !errors.As(err, new(*InputError)) {
			t.Errorf("one that uses the executor: %v", err)
		}
		hold := make(chan struct{})
		slow := submit(t, ex, failOn, -1, futures.WithRetries(1, futures.RetryIf(func(error) bool { <-hold; return false })))
		if got := result(t, submit(t, ex, square, 5)); got != 25 { // behind it, on the one worker
			t.Error(got)
		}
		close(hold)
		if _, err := slow.Result(within(t)); !errors.As(err, new(*InputError)) {
			t.Errorf("one that takes its time: %v", err)
		}
		mustClose(t, ex)
	})
}

func TestRetriesThatMakeNoSenseAreRefused(t *testing.T) {
	on(t, 1, func(t *testing.T, _ backend, ex futures.Executor) {
		for name, o := range map[string]futures.TaskOption{
			"WithRetries":      futures.WithRetries(-1),
			"RetryIf":          futures.WithRetries(1, futures.RetryIf(nil)),
			"WithRetryBackoff": futures.WithRetries(1, futures.WithRetryBackoff(2, 1)),
		} {
			if _, err := futures.Submit(ex, square, 1, o); !contains(err, name) {
				t.Errorf("%s: %v", name, err)
			}
		}
	})
}
