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

	"github.com/google/go-cmp/cmp"

	"github.com/rankpool/rankpool/futures"
)

func TestSubmitStartsThePoolAndReturnsAFuture(t *testing.T) {
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

func TestSubmitAfterShutdownIsRefusedAtTheCall(t *testing.T) {
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

func TestAFutureTurnsRunningWhenItIsHandedOverAndCannotBeCancelledThen(t *testing.T) {
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

func TestFailuresOfEncodingLandWhereTheyBelongAndThePoolGoesOn(t *testing.T) {
	each(t, func(t *testing.T, b backend) {
		ex := b.start(t, 1)
		_, err := submit(t, ex, stubborn, 1).Result(within(t))
		if remote := new(futures.RemoteError); !errors.As(err, &remote) || !strings.Contains(err.Error(), errHook.Error()) {
			t.Errorf("a result that cannot be encoded: %v", err)
		}
		_, err = submit(t, ex, garbled, 1).Result(within(t))
		if remote := new(futures.RemoteError); !errors.Is(err, errHook) || errors.As(err, &remote) {
			t.Errorf("a result that cannot be decoded, which is found here and not by the worker: %v", err)
		}
		got, err := gather(futures.Map(within(t), ex, garbled, []int{2, 4, 5, 6}))
		if diff := cmp.Diff([]Garbled{{2}, {4}}, got); diff != "" || !errors.Is(err, errHook) {
			t.Errorf("a map over results of which the third cannot be decoded: %v %s", err, diff)
		}
		if got := result(t, submit(t, ex, stubborn, 2)); got.X != 2 {
			t.Errorf("the next task: %v", got)
		}
		if got := result(t, submit(t, ex, garbled, 2)); got.X != 2 {
			t.Errorf("the next task: %v", got)
		}
	}, encodes)
}

func TestAnArgumentThatCannotBeEncodedIsReportedByTheCall(t *testing.T) {
	each(t, func(t *testing.T, b backend) {
		ex := b.start(t, 1)
		if _, err := futures.Submit(ex, takes, Stubborn{1}); !errors.Is(err, errHook) || !contains(err, "takes") {
			t.Errorf("submit: %v", err)
		}
		got, err := gather(futures.Map(within(t), ex, takes, []Stubborn{{2}, {3}}))
		if len(got) != 1 || !errors.Is(err, errHook) || !contains(err, "element 1") {
			t.Errorf("map: %v, %v", got, err)
		}
		if got := result(t, submit(t, ex, takes, Stubborn{4})); got != 4 {
			t.Error(got)
		}
	}, encodes)
}

func TestLargeSlicesAreSentFromWhereTheyAre(t *testing.T) {
	each(t, func(t *testing.T, b backend) {
		ex := b.start(t, 1)
		if !aliases(t, ex) {
			t.Error("a change between submission and dispatch was not seen: the slice had been copied")
		}
	}, encodes)
}

// aliases tells whether a large slice is sent beside the message, out of the caller's memory: a change to it, made while
// its task is certain to be queued, is noticed then. That is what programs must not do.
func aliases(t *testing.T, ex futures.Executor) bool {
	t.Helper()
	g := newGate(t)
	hold := submit(t, ex, wait, g)
	eventually(t, "the only worker is busy", hold.Running)
	xs := make([]int, 1<<16)
	f := submit(t, ex, first, xs)
	scribble(xs)
	g.open()
	result(t, hold)
	x, err := f.Result(within(t))
	switch {
	case errors.Is(err, futures.ErrArgumentChanged):
		return true
	case err != nil:
		t.Fatal(err)
	}
	return x == 1
}

// scribble writes where others may read, which the race detector is not to see.
//
//go:norace
func scribble(xs []int) { xs[0] = 1 }

func TestArgumentsAreASnapshotAndThreadPoolsShareThem(t *testing.T) {
	on(t, 1, func(t *testing.T, b backend, ex futures.Executor) {
		g := newGate(t)
		hold := submit(t, ex, wait, g)
		xs := []int{1}
		f := submit(t, ex, first, xs)
		xs[0] = 2
		after := submit(t, ex, square, 2) // orders the change before the dispatch: a shared argument needs that
		g.open()
		result(t, hold)
		result(t, after)
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

func TestLargeSlicesSurviveInBothDirectionsAndSnapshotsAreTaken(t *testing.T) {
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

func TestMarshallersRunForArgumentsAndResults(t *testing.T) {
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

func TestAFailureTouchesOnlyItsOwnFutureAndKeepsItsTypeAndFields(t *testing.T) {
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
		if _, again := bad.Result(within(t)); again != err { //nolint:errorlint // it is the very same
			t.Error("the second Result gave another error")
		}
		taskErr, waitErr := bad.Exception(within(t))
		if waitErr != nil || taskErr != err { //nolint:errorlint // it is the very same
			t.Errorf("exception: %v, %v", taskErr, waitErr)
		}
	})
}

func TestErrorsKeepTheirIdentityAcrossProcesses(t *testing.T) {
	on(t, 1, func(t *testing.T, b backend, ex futures.Executor) {
		_, err := submit(t, ex, ended, 0).Result(within(t))
		if !errors.Is(err, context.Canceled) {
			t.Errorf("context.Canceled came back as %v", err)
		}
		if itself := err == context.Canceled; itself != b.shares { //nolint:errorlint // this very one, where it does not travel
			t.Errorf("the function's own error: %v, and it came back as %#v", itself, err)
		}
		_, err = submit(t, ex, missing, "/no/such/file").Result(within(t))
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

func TestAFunctionThatCannotTravelIsRefusedAtSubmit(t *testing.T) {
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
			t.Errorf("a closure was not refused with the advice: %v", err)
		}
		if _, err := futures.Submit(ex, futures.Func[int, int]{}, 1); err == nil {
			t.Error("a function that nobody registered was taken")
		}
	})
}

func TestSubmitFromManyGoroutines(t *testing.T) {
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
