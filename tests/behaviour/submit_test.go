package behaviour_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rankpool/rankpool/futures"
)

func TestSubmitStartsThePoolAndReturnsAFuture_C017(t *testing.T) {
	on(t, 2, func(t *testing.T, _ backend, ex futures.Executor) {
		f := submit(t, ex, pow, futures.Pair[float64, float64]{First: 2, Second: 8})
		if got := result(t, f); got != 256 {
			t.Errorf("pow(2, 8) = %v", got)
		}
		if got := result(t, submit(t, ex, pure, "four")); got != 4 {
			t.Errorf("pure: %d", got)
		}
	})
}

func TestSubmitAfterShutdownIsRefusedAtTheCall_C018(t *testing.T) {
	on(t, 1, func(t *testing.T, _ backend, ex futures.Executor) {
		result(t, submit(t, ex, square, 2))
		if err := ex.Close(); err != nil {
			t.Fatal(err)
		}
		if _, err := futures.Submit(ex, square, 2); !errors.Is(err, futures.ErrShutdown) {
			t.Errorf("submit after shutdown: %v", err)
		}
	})
}

func TestAFutureTurnsRunningWhenItIsHandedOverAndCannotBeCancelledThen_C023_A11(t *testing.T) {
	on(t, 1, func(t *testing.T, _ backend, ex futures.Executor) {
		g := newGate(t)
		running, queued := submit(t, ex, wait, g), submit(t, ex, wait, g)
		eventually(t, "the first task runs", running.Running)
		if running.Cancel() {
			t.Error("a running task was cancelled")
		}
		if queued.Running() || queued.Done() {
			t.Error("the second of two tasks on one worker runs")
		}
		if !queued.Cancel() || !queued.Cancelled() || !queued.Done() {
			t.Error("a queued task could not be cancelled")
		}
		if _, err := queued.Result(within(t)); !errors.Is(err, futures.ErrCancelled) {
			t.Errorf("result of a cancelled task: %v", err)
		}
		g.open()
		result(t, running)
	})
}

func TestACancelledTaskNeverRuns(t *testing.T) {
	on(t, 1, func(t *testing.T, _ backend, ex futures.Executor) {
		g, dir := newGate(t), t.TempDir()
		running := submit(t, ex, wait, g)
		var fs []*futures.Future[int]
		for i := range 50 {
			fs = append(fs, submit(t, ex, announce, place{Begun: filepath.Join(dir, fmt.Sprint(i))}))
		}
		for i, f := range fs {
			if i%2 == 0 && !f.Cancel() {
				t.Error("a queued task could not be cancelled")
			}
		}
		g.open()
		result(t, running)
		for i, f := range fs {
			if i%2 == 1 {
				result(t, f)
			}
		}
		begun, err := os.ReadDir(dir)
		if err != nil || len(begun) != 25 {
			t.Errorf("%d of 50 tasks ran, 25 had been cancelled: %v", len(begun), err)
		}
	})
}

func TestFailuresOfEncodingLandWhereTheyBelongAndThePoolGoesOn_C027(t *testing.T) {
	each(t, func(t *testing.T, b backend) {
		if b.shares {
			return // nothing is encoded
		}
		ex := b.start(t, 1)
		_, err := submit(t, ex, stubborn, 1).Result(within(t))
		if remote := new(futures.RemoteError); !errors.As(err, &remote) || !strings.Contains(err.Error(), errHook.Error()) {
			t.Errorf("a result that cannot be encoded: %v", err)
		}
		if _, err := submit(t, ex, garbled, 1).Result(within(t)); !errors.Is(err, errHook) {
			t.Errorf("a result that cannot be decoded: %v", err)
		}
		if got := result(t, submit(t, ex, stubborn, 2)); got.X != 2 {
			t.Errorf("the next task: %v", got)
		}
		if got := result(t, submit(t, ex, garbled, 2)); got.X != 2 {
			t.Errorf("the next task: %v", got)
		}
	})
}

func TestArgumentsAreASnapshotAndThreadPoolsShareThem_C029(t *testing.T) {
	on(t, 1, func(t *testing.T, b backend, ex futures.Executor) {
		g := newGate(t)
		hold := submit(t, ex, wait, g)
		xs := []int{1}
		f := submit(t, ex, first, xs)
		xs[0] = 2
		g.open()
		result(t, hold)
		want := 1
		if b.shares {
			want = 2
		}
		if got := result(t, f); got != want {
			t.Errorf("the task saw %d, want %d", got, want)
		}
		n := 5
		if got := result(t, submit(t, ex, pointer, &n)); (got == &n) != b.shares || *got != 5 {
			t.Errorf("pointer %p came back as %p", &n, got)
		}
	})
}

func TestLargeSlicesSurviveInBothDirectionsAndSnapshotsAreTaken_C105(t *testing.T) {
	for _, outOfBand := range []bool{true, false} {
		t.Run(fmt.Sprint("out of band ", outOfBand), func(t *testing.T) {
			on(t, 2, func(t *testing.T, b backend, ex futures.Executor) {
				xs := make([]float64, 1<<18)
				for i := range xs {
					xs[i] = float64(i)
				}
				var fs []*futures.Future[[]float64]
				for range 4 {
					fs = append(fs, submit(t, ex, double, xs))
				}
				for _, f := range fs {
					if ys := result(t, f); len(ys) != len(xs) || ys[5] != 10 || ys[len(ys)-1] != 2*xs[len(xs)-1] {
						t.Error("a slice came back changed")
					}
				}
				if b.shares {
					return
				}
				g := newGate(t)
				hold := []*futures.Future[bool]{submit(t, ex, wait, g), submit(t, ex, wait, g)}
				f := submit(t, ex, sum, xs[:1<<17], futures.WithSnapshot())
				want := float64(1<<17-1) * (1 << 16)
				clear(xs)
				g.open()
				for _, h := range hold {
					result(t, h)
				}
				if got := result(t, f); got != want {
					t.Errorf("sum of the snapshot is %v, want %v", got, want)
				}
			}, futures.WithOutOfBand(outOfBand))
		})
	}
}

func TestMarshallersRunForArgumentsAndResults_C030(t *testing.T) {
	on(t, 1, func(t *testing.T, b backend, ex futures.Executor) {
		want := Hooked{N: 2, Encoded: 2, Decoded: 2}
		if b.shares {
			want = Hooked{N: 2}
		}
		if diff := cmp.Diff(want, result(t, submit(t, ex, hooked, Hooked{N: 1}))); diff != "" {
			t.Error(diff)
		}
	})
}

func TestAFailureTouchesOnlyItsOwnFutureAndKeepsItsTypeAndFields_C031(t *testing.T) {
	on(t, 2, func(t *testing.T, _ backend, ex futures.Executor) {
		var good []*futures.Future[int]
		bad := submit(t, ex, failOn, -3)
		for i := range 20 {
			good = append(good, submit(t, ex, failOn, i))
		}
		_, err := bad.Result(within(t))
		input := new(InputError)
		if !errors.As(err, &input) || *input != (InputError{-3, "negative"}) {
			t.Errorf("the error came back as %#v", err)
		}
		for i, f := range good {
			if result(t, f) != i {
				t.Error("another task was touched")
			}
		}
		if _, again := bad.Result(within(t)); again != err { //nolint:errorlint // it is the very same (A15)
			t.Error("the second Result gave another error")
		}
		taskErr, waitErr := bad.Exception(within(t))
		if waitErr != nil || taskErr != err { //nolint:errorlint // A16
			t.Errorf("exception: %v, %v", taskErr, waitErr)
		}
	})
}

func TestErrorsKeepTheirIdentityAcrossProcesses(t *testing.T) {
	on(t, 1, func(t *testing.T, _ backend, ex futures.Executor) {
		if _, err := submit(t, ex, ended, 0).Result(within(t)); !errors.Is(err, context.Canceled) {
			t.Errorf("context.Canceled came back as %v", err)
		}
		_, err := submit(t, ex, missing, "/no/such/file").Result(within(t))
		path := new(fs.PathError)
		if !errors.Is(err, fs.ErrNotExist) || !errors.As(err, &path) || path.Path != "/no/such/file" {
			t.Errorf("a path error came back as %v", err)
		}
		_, err = submit(t, ex, several, 0).Result(within(t))
		input := new(InputError)
		if !errors.Is(err, ErrEmpty) || !errors.As(err, &input) || input.Value != 7 {
			t.Errorf("a joined error came back as %+v", err)
		}
	})
}

func TestAFunctionThatCannotTravelIsRefusedAtSubmit_C034(t *testing.T) {
	on(t, 1, func(t *testing.T, b backend, ex futures.Executor) {
		n := 40
		closure := futures.Local(func(_ context.Context, x int) (int, error) { return n + x, nil })
		f, err := futures.Submit(ex, closure, 2)
		switch {
		case b.shares && err != nil:
			t.Error(err)
		case b.shares:
			if got := result(t, f); got != 42 {
				t.Error(got)
			}
		case err == nil || !strings.Contains(err.Error(), "Register"):
			t.Errorf("a closure was not refused with the remedy: %v", err)
		}
		if _, err := futures.Submit(ex, futures.Func[int, int]{}, 1); err == nil {
			t.Error("a function that nobody registered was taken")
		}
	})
}

func TestSubmitFromManyGoroutines_C039(t *testing.T) {
	on(t, 4, func(t *testing.T, _ backend, ex futures.Executor) {
		var wg sync.WaitGroup
		for g := range 16 {
			wg.Go(func() {
				for i := range 100 {
					f, err := futures.Submit(ex, square, 100*g+i)
					if err != nil {
						t.Error(err)
						return
					}
					if v, err := f.Result(within(t)); err != nil || v != (100*g+i)*(100*g+i) {
						t.Error(v, err)
					}
				}
			})
		}
		wg.Wait()
	})
}

func TestResultsOfExecutorsUsedTogetherDoNotMix_C090_B15(t *testing.T) {
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

func TestCallbacksOfAnExecutorsFuturesRunOnceInOrderAndDoNotHoldThePool_C038_A21_A22(t *testing.T) {
	on(t, 1, func(t *testing.T, _ backend, ex futures.Executor) {
		release, order := make(chan struct{}), make(chan int, 10)
		f := submit(t, ex, square, 3)
		f.AddDoneCallback(func(*futures.Future[int]) { <-release; order <- 1 })
		f.AddDoneCallback(func(*futures.Future[int]) { order <- 2 })
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

func TestWaitAndAsCompletedOverTasks_B01_B04_B09_B20_B22(t *testing.T) {
	on(t, 2, func(t *testing.T, _ backend, ex futures.Executor) {
		g := newGate(t)
		slow := submit(t, ex, wait, g)
		quick := submit(t, ex, wait, "")
		all := []*futures.Future[bool]{slow, quick}
		done, rest, err := futures.Wait(within(t), all, futures.FirstCompleted)
		if err != nil || len(done) != 1 || done[0] != quick || rest[0] != slow {
			t.Fatalf("first completed: %v, %v, %v", done, rest, err)
		}
		short, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
		defer cancel()
		done, rest, err = futures.Wait(short, all, futures.AllCompleted)
		if err != nil || len(done) != 1 || len(rest) != 1 {
			t.Errorf("a deadline gives the parts: %v, %v, %v", done, rest, err)
		}
		var seen []*futures.Future[bool]
		for f, err := range futures.AsCompleted(within(t), all) {
			if err != nil {
				t.Fatal(err)
			}
			seen = append(seen, f)
			g.open()
		}
		if len(seen) != 2 || seen[0] != quick || seen[1] != slow {
			t.Errorf("as completed: %v", seen)
		}
		bad := submit(t, ex, failOn, -1)
		late := submit(t, ex, failOn, 1)
		done2, _, err := futures.Wait(within(t), []*futures.Future[int]{bad, late}, futures.FirstException)
		if err != nil || len(done2) == 0 {
			t.Errorf("first exception: %v, %v", done2, err)
		}
	})
}

func TestAFinishedResultBeatsAnExpiredDeadline_A18(t *testing.T) {
	on(t, 1, func(t *testing.T, _ backend, ex futures.Executor) {
		f := submit(t, ex, square, 6)
		result(t, f)
		over, cancel := context.WithDeadline(t.Context(), time.Unix(0, 0))
		defer cancel()
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

func TestCollectComposeAndThenOverTasks_G02_G12_G20(t *testing.T) {
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
