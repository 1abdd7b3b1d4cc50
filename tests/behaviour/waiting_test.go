package behaviour_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rankpool/rankpool/futures"
)

// expired is a context whose deadline has passed.
func expired(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithDeadline(t.Context(), time.Unix(0, 0))
	t.Cleanup(cancel)
	return ctx
}

// parts checks what Wait returned.
func parts[R any](t *testing.T, what string, done, rest, wantDone, wantRest []*futures.Future[R], err error) {
	t.Helper()
	same := func(got, want []*futures.Future[R]) bool {
		if len(got) != len(want) {
			return false
		}
		for i := range got {
			if got[i] != want[i] {
				return false
			}
		}
		return true
	}
	if err != nil || !same(done, wantDone) || !same(rest, wantRest) {
		t.Errorf("%s: done %v, not done %v, error %v; want %v and %v", what, done, rest, err, wantDone, wantRest)
	}
}

type ints = []*futures.Future[int]

func TestATaskThatEndsReleasesEverybodyWhoWaits(t *testing.T) {
	on(t, 1, func(t *testing.T, _ backend, ex futures.Executor) {
		dir, g := t.TempDir(), newGate(t)
		succeeds := submit(t, ex, stage, scene{place: place{filepath.Join(dir, "begun"), g}})
		fails, cancelled := submit(t, ex, stage, scene{Fails: true}), submit(t, ex, stage, scene{})
		for f, ok := range map[*futures.Future[int]]func(error) bool{
			succeeds:  func(err error) bool { return err == nil },
			fails:     func(err error) bool { return errors.As(err, new(*InputError)) },
			cancelled: func(err error) bool { return errors.Is(err, futures.ErrCancelled) },
		} {
			came := make(chan error, 16)
			for range cap(came) {
				go func() { _, err := f.Result(within(t)); came <- err }()
			}
			defer func() {
				for range cap(came) {
					if err := <-came; !ok(err) {
						t.Errorf("%v: a waiter got %v", f, err)
					}
				}
			}()
		}
		eventually(t, "the first runs", succeeds.Running)
		if _, err := succeeds.Result(expired(t)); !errors.Is(err, futures.ErrTimeout) {
			t.Errorf("the move to running released a waiter: %v", err)
		}
		if !cancelled.Cancel() {
			t.Error("a queued task could not be cancelled")
		}
		g.open()
	})
}

func TestCancelOfAQueuedTaskHasItsCallbacksRunOnceAndSoon(t *testing.T) {
	on(t, 1, func(t *testing.T, _ backend, ex futures.Executor) {
		g := newGate(t)
		hold, queued := submit(t, ex, wait, g), submit(t, ex, wait, g)
		eventually(t, "the first runs", hold.Running)
		var called atomic.Int32
		queued.AddDoneCallback(func(f *futures.Future[bool]) {
			if f != queued || !f.Cancelled() || !f.Done() {
				t.Errorf("the callback got %v", f)
			}
			called.Add(1)
		})
		for range 3 {
			if !queued.Cancel() {
				t.Error("a queued task could not be cancelled")
			}
		}
		eventually(t, "the callback has run, while the other task goes on", func() bool { return called.Load() == 1 })
		if _, err := queued.Result(expired(t)); !errors.Is(err, futures.ErrCancelled) {
			t.Errorf("a cancelled future answers at once, whatever the deadline: %v", err)
		}
		if taskErr, waitErr := queued.Exception(within(t)); taskErr != nil || !errors.Is(waitErr, futures.ErrCancelled) {
			t.Errorf("exception: %v, %v", taskErr, waitErr)
		}
		g.open()
		result(t, hold)
		mustClose(t, ex)
		if n := called.Load(); n != 1 {
			t.Errorf("the callback has run %d times in the end", n)
		}
	})
}

func TestCallbacksRunForSuccessFailureAndDropAlikeAndSoonOnDoneFutures(t *testing.T) {
	on(t, 1, func(t *testing.T, _ backend, ex futures.Executor) {
		g := newGate(t)
		good, bad := submit(t, ex, failOn, 1), submit(t, ex, failOn, -1)
		result(t, good)
		if _, err := bad.Result(within(t)); err == nil {
			t.Error("no error")
		}
		hold := submit(t, ex, wait, g)
		dropped := submit(t, ex, failOn, 1)
		eventually(t, "the worker is busy", hold.Running)
		var called atomic.Int32
		count := func(*futures.Future[int]) { called.Add(1) }
		dropped.AddDoneCallback(count)
		good.AddDoneCallback(count)
		bad.AddDoneCallback(count)
		eventually(t, "the callbacks of two done futures have run", func() bool { return called.Load() == 2 })
		mustClose(t, ex, futures.NoWait(), futures.CancelFutures())
		g.open()
		mustClose(t, ex)
		if n := called.Load(); n != 3 {
			t.Errorf("%d of 3 callbacks have run when a waiting shutdown returns", n)
		}
	})
}

func TestAPanickingCallbackIsLoggedAndHarmsNobody(t *testing.T) {
	on(t, 1, func(t *testing.T, _ backend, ex futures.Executor) {
		var log lockedText
		futures.SetLogger(slog.New(slog.NewTextHandler(&log, nil)))
		defer futures.SetLogger(nil)
		g, ran := newGate(t), make(chan bool, 1)
		f := submit(t, ex, wait, g)
		f.AddDoneCallback(func(*futures.Future[bool]) { panic("a callback") })
		f.AddDoneCallback(func(*futures.Future[bool]) { ran <- true })
		g.open()
		result(t, f)
		select {
		case <-ran:
		case <-time.After(limit):
			t.Fatal("the second callback did not run")
		}
		eventually(t, "the panic is logged", func() bool {
			return strings.Contains(log.String(), "level=ERROR") && strings.Contains(log.String(), "a callback")
		})
		if got := result(t, submit(t, ex, square, 3)); got != 9 {
			t.Error(got)
		}
	})
}

// lockedText is a text that another goroutine writes.
type lockedText struct {
	mu sync.Mutex
	b  strings.Builder
}

func (l *lockedText) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedText) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func TestTheTextOfATasksFutureTellsItsStateAndTypes(t *testing.T) {
	on(t, 1, func(t *testing.T, b backend, ex futures.Executor) {
		g := newGate(t)
		running, pending := submit(t, ex, wait, g), submit(t, ex, wait, g)
		eventually(t, "the first runs", running.Running)
		failed := submit(t, ex, failOn, -1)
		if got := pending.String(); got != "Future[bool](pending)" {
			t.Error(got)
		}
		if got := running.String(); got != "Future[bool](running)" {
			t.Error(got)
		}
		pending.Cancel()
		if got := pending.String(); got != "Future[bool](cancelled)" {
			t.Error(got)
		}
		g.open()
		result(t, running)
		if got := running.String(); got != "Future[bool](finished with bool)" {
			t.Error(got)
		}
		_, err := failed.Result(within(t))
		if got := failed.String(); err == nil || !strings.HasPrefix(got, "Future[int](finished with error *") {
			t.Error(got)
		}
	})
}

func TestWaitForTheFirstOfSomeTasks(t *testing.T) {
	on(t, 1, func(t *testing.T, _ backend, ex futures.Executor) {
		g := newGate(t)
		a, b := submit(t, ex, failOn, 1), submit(t, ex, failOn, -1)
		done, rest, err := futures.Wait(within(t), ints{a, b}, futures.AllCompleted)
		parts(t, "failures are data", done, rest, ints{a, b}, nil, err)
		slow := submit(t, ex, stage, scene{place: place{filepath.Join(t.TempDir(), "begun"), g}})
		for range 2 {
			done, rest, err = futures.Wait(within(t), ints{slow, a, slow, b, a}, futures.FirstCompleted)
			parts(t, "all that are done, each once", done, rest, ints{a, b}, ints{slow}, err)
		}
		g.open()
		done, rest, err = futures.Wait(within(t), ints{slow}, futures.FirstCompleted)
		parts(t, "the one that was waited for", done, rest, ints{slow}, nil, err)
	})
}

func TestWaitForTheFirstFailureOfSomeTasks(t *testing.T) {
	on(t, 2, func(t *testing.T, _ backend, ex futures.Executor) {
		dir, held, second := t.TempDir(), newGate(t), newGate(t)
		slow := submit(t, ex, stage, scene{place: place{filepath.Join(dir, "slow"), held}})
		ok := submit(t, ex, stage, scene{place: place{filepath.Join(dir, "ok"), second}})
		bad := submit(t, ex, stage, scene{Fails: true}) // waits for the worker of ok
		eventually(t, "both workers are busy", func() bool { return slow.Running() && ok.Running() })
		second.open()
		done, rest, err := futures.Wait(within(t), ints{slow, ok, bad}, futures.FirstException)
		parts(t, "at the first failure", done, rest, ints{ok, bad}, ints{slow}, err)
		done, rest, err = futures.Wait(within(t), ints{bad, slow}, futures.FirstException)
		parts(t, "one has failed before", done, rest, ints{bad}, ints{slow}, err)
		done, rest, err = futures.Wait(expired(t), ints{ok, slow}, futures.FirstException)
		parts(t, "no failure yet", done, rest, ints{ok}, ints{slow}, unlessTimeout(err))
		held.open()
		done, rest, err = futures.Wait(within(t), ints{ok, slow}, futures.FirstException)
		parts(t, "no failure at all", done, rest, ints{ok, slow}, nil, err)
	})
}

// unlessTimeout is nil for the error of a wait whose context had a deadline that has passed.
func unlessTimeout(err error) error {
	if errors.Is(err, futures.ErrTimeout) && errors.Is(err, context.DeadlineExceeded) {
		return nil
	}
	return fmt.Errorf("not an error that says that the time is up: %w", err)
}

func TestADeadlineSplitsTasksAndACancelEndsAWait(t *testing.T) {
	on(t, 1, func(t *testing.T, _ backend, ex futures.Executor) {
		g := newGate(t)
		quick := submit(t, ex, square, 2)
		result(t, quick)
		dir := t.TempDir()
		held := submit(t, ex, stage, scene{place: place{filepath.Join(dir, "held"), g}})
		queued := submit(t, ex, stage, scene{place: place{filepath.Join(dir, "queued"), g}})
		eventually(t, "the worker is busy", held.Running)
		short, cancel := context.WithTimeout(t.Context(), 5*time.Millisecond)
		defer cancel()
		for _, ctx := range []context.Context{short, expired(t)} {
			done, rest, err := futures.Wait(ctx, ints{held, quick, queued}, futures.AllCompleted)
			parts(t, "at the deadline", done, rest, ints{quick}, ints{held, queued}, unlessTimeout(err))
		}
		woken := make(chan ints)
		go func() {
			done, _, _ := futures.Wait(within(t), ints{held, queued}, futures.FirstCompleted)
			woken <- done
		}()
		queued.Cancel()
		if done := <-woken; len(done) != 1 || done[0] != queued {
			t.Errorf("a cancel woke the wait with %v", done)
		}
		g.open()
		result(t, held)
	})
}

func TestAsCompletedYieldsTasksInTheOrderTheyEnd(t *testing.T) {
	on(t, 1, func(t *testing.T, _ backend, ex futures.Executor) {
		dir := t.TempDir()
		gates := []gate{newGate(t), newGate(t)}
		early := submit(t, ex, failOn, -1)
		_, _ = early.Result(within(t))
		a := submit(t, ex, stage, scene{place: place{filepath.Join(dir, "a"), gates[0]}})
		b := submit(t, ex, stage, scene{place: place{filepath.Join(dir, "b"), gates[1]}})
		eventually(t, "a task runs", a.Running)
		gone := submit(t, ex, square, 1)
		gone.Cancel()
		var got ints
		for f, err := range futures.AsCompleted(within(t), ints{b, a, early, gone, early}) {
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, f)
			if len(got) >= 2 && len(got) < 4 {
				gates[len(got)-2].open()
			}
		}
		parts(t, "as completed", got, nil, ints{early, gone, a, b}, nil, nil)

		g := newGate(t)
		held := submit(t, ex, stage, scene{place: place{filepath.Join(dir, "held"), g}})
		for f, err := range futures.AsCompleted(within(t), ints{early, held}) {
			if f != early || err != nil {
				t.Errorf("first came %v, %v", f, err)
			}
			break
		}
		short, cancel := context.WithTimeout(t.Context(), 5*time.Millisecond)
		defer cancel()
		var errs []error
		for _, err := range futures.AsCompleted(short, ints{held, early}) {
			errs = append(errs, err)
		}
		if len(errs) != 2 || errs[0] != nil || !errors.Is(errs[1], futures.ErrTimeout) {
			t.Errorf("what is done, then the end of the time and nothing more; not %v", errs)
		}
		for f, err := range futures.AsCompleted(expired(t), ints{}) {
			t.Errorf("of nothing came %v, %v", f, err)
		}
		g.open()
		result(t, held) // to stop early cancels nothing
	})
}

func TestTasksOfExecutorsOfEveryKindAreWaitedForTogether(t *testing.T) {
	var all ints
	for _, b := range backends {
		if b.env != "" {
			t.Setenv("RANKPOOL_BACKEND", b.env)
		}
		ex := b.start(t, 1)
		for i := range 5 {
			all = append(all, submit(t, ex, square, i))
		}
	}
	for range 2 {
		done, rest, err := futures.Wait(within(t), all, futures.AllCompleted)
		parts(t, "mixed", done, rest, all, nil, err)
	}
	n := 0
	for _, err := range futures.AsCompleted(within(t), all) {
		if err != nil {
			t.Fatal(err)
		}
		n++
	}
	if n != len(all) {
		t.Errorf("%d of %d futures were yielded", n, len(all))
	}
}

func TestAFinishedResultBeatsAnExpiredDeadline(t *testing.T) {
	on(t, 1, func(t *testing.T, _ backend, ex futures.Executor) {
		f := submit(t, ex, square, 6)
		result(t, f)
		over := expired(t)
		if v, err := f.Result(over); v != 36 || err != nil {
			t.Error(v, err)
		}
		g := newGate(t)
		held := submit(t, ex, wait, g)
		if _, err := held.Result(over); !errors.Is(err, futures.ErrTimeout) || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("an expired wait: %v", err)
		}
		g.open()
		if !result(t, held) {
			t.Error("the future was affected by a wait that gave up")
		}
	})
}

func TestCollectComposeAndThenOverTasks(t *testing.T) {
	on(t, 2, func(t *testing.T, _ backend, ex futures.Executor) {
		var fs []*futures.Future[int]
		for i := range 10 {
			fs = append(fs, submit(t, ex, square, i))
		}
		total := futures.Then(futures.Collect(fs...), func(xs []int) (int, error) {
			s := 0
			for _, x := range xs {
				s += x
			}
			return s, nil
		}, nil)
		if got := result(t, total); got != 285 {
			t.Error(got)
		}
	})
}

func TestCallbacksOfAnExecutorsFuturesRunOnceInOrderAndDoNotHoldThePool(t *testing.T) {
	on(t, 1, func(t *testing.T, _ backend, ex futures.Executor) {
		g, release, order := newGate(t), make(chan struct{}), make(chan int, 10)
		f := submit(t, ex, wait, g) // not done before it has its callbacks, which would run here then
		f.AddDoneCallback(func(*futures.Future[bool]) { <-release; order <- 1 })
		f.AddDoneCallback(func(*futures.Future[bool]) { order <- 2 })
		g.open()
		if got := result(t, submit(t, ex, square, 4)); got != 16 { // while the first callback blocks
			t.Error(got)
		}
		close(release)
		for want := 1; want <= 2; want++ {
			select {
			case got := <-order:
				if got != want {
					t.Errorf("callback %d in place of %d", got, want)
				}
			case <-time.After(limit):
				t.Fatal("a callback did not run")
			}
		}
	})
}

func TestResultsOfExecutorsUsedTogetherDoNotMix(t *testing.T) {
	each(t, func(t *testing.T, b backend) {
		var all []*futures.Future[int]
		for k := range 3 {
			ex := b.start(t, 1)
			for i := range 100 {
				all = append(all, submit(t, ex, square, 100*(k+1)+i))
			}
		}
		done, rest, err := futures.Wait(within(t), all, futures.AllCompleted)
		if err != nil || len(rest) != 0 || len(done) != 300 {
			t.Fatalf("%d done, %d not: %v", len(done), len(rest), err)
		}
		for i, f := range all {
			if v := result(t, f); v != (100+i)*(100+i) {
				t.Errorf("task %d: %d", i, v)
			}
		}
	})
}

var stopsEarly = futures.RegisterContext("stopsEarly", func(ctx context.Context, x int) (int, error) {
	<-ctx.Done()
	return x, errors.New("stopped early")
})

// A task that ended with its context had a worse error than one that ignored it.
func TestATaskWhoseTimeIsOverFailsWithThatWhateverItReturns(t *testing.T) {
	on(t, 1, func(t *testing.T, _ backend, ex futures.Executor) {
		check := func(verb string, err error) {
			t.Helper()
			if !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(fmt.Sprint(err), "stopped early") {
				t.Errorf("%s: %v", verb, err)
			}
		}
		_, err := submit(t, ex, stopsEarly, 1, futures.WithTaskTimeout(time.Millisecond)).Result(within(t))
		check("Submit", err)
		for _, chunk := range []int{1, 2} {
			for _, err := range futures.Map(within(t), ex, stopsEarly, []int{1, 2}, futures.WithTaskTimeout(time.Millisecond), futures.WithChunkSize(chunk)) {
				check("Map", err)
			}
		}
		each, err := futures.SubmitEach(ex, stopsEarly, 1, futures.WithTaskTimeout(time.Millisecond))
		if err != nil {
			t.Fatal(err)
		}
		_, err = each.Result(within(t))
		check("SubmitEach", err)
	})
}
