package futures_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rankpool/rankpool/futures"
)

type intFuture = futures.Future[int]

func newInts(n int) []*intFuture {
	fs := make([]*intFuture, n)
	for i := range fs {
		fs[i] = new(futures.Future[int])
	}
	return fs
}

// places tells where in all the futures of some are.
func places[F comparable](all, some []F) []int {
	is := []int{}
	for _, f := range some {
		is = append(is, slices.Index(all, f))
	}
	return is
}

// wantParts checks what Wait returned: the places in fs of those done; the rest must be in notDone.
func wantParts(t *testing.T, fs, done, notDone []*intFuture, want ...int) {
	t.Helper()
	rest := []int{}
	for i := range fs {
		if !slices.Contains(want, i) {
			rest = append(rest, i)
		}
	}
	got := [][]int{places(fs, done), places(fs, notDone)}
	if diff := cmp.Diff([][]int{append([]int{}, want...), rest}, got); diff != "" {
		t.Errorf("done and notDone: %s", diff)
	}
}

// wantNoFollowers checks that nothing stays attached.
func wantNoFollowers[F futures.Awaitable](t *testing.T, fs []F) {
	t.Helper()
	for i, f := range fs {
		if hooks, calls := futures.Followers(f); hooks+calls != 0 {
			t.Errorf("future %d still has %d hooks and %d callbacks", i, hooks, calls)
		}
	}
}

var modes = []futures.WaitMode{futures.AllCompleted, futures.FirstCompleted, futures.FirstException}

// after ends a future when d has passed.
func after(d time.Duration, end func()) { time.AfterFunc(d, end) }

func TestWaitReturnsWhatItsModeWaitsFor(t *testing.T) {
	ok := func(f *intFuture) { f.Claim(); f.Settle(0, nil)() }
	fail := func(f *intFuture) { f.Settle(0, errBoom)() }
	cancel := func(f *intFuture) { f.Cancel() }
	type end = func(*intFuture)
	const s = time.Second
	for _, tt := range []struct {
		name  string
		mode  futures.WaitMode
		now   []end // at the start; nil: later
		later []end // future i after i+1 seconds; nil: never
		took  time.Duration
		want  []int
	}{
		{"the first one done", futures.FirstCompleted, []end{nil, nil}, []end{nil, ok}, 2 * s, []int{1}},
		{"the first one failed", futures.FirstCompleted, []end{nil, nil}, []end{fail, ok}, s, []int{0}},
		{"some done already", futures.FirstCompleted, []end{ok, nil, fail}, []end{nil, ok, nil}, 0, []int{0, 2}},
		{"the first failure and what was before", futures.FirstException,
			[]end{nil, nil, nil}, []end{ok, fail, ok}, 2 * s, []int{0, 1}},
		{"a failure already there", futures.FirstException, []end{fail, nil}, []end{nil, ok}, 0, []int{0}},
		{"no failure at all", futures.FirstException, []end{nil, nil, ok}, []end{ok, ok, nil}, 2 * s, []int{0, 1, 2}},
		{"a cancel fails nothing", futures.FirstException, []end{cancel, nil}, []end{nil, ok}, 2 * s, []int{0, 1}},
		{"everything", futures.AllCompleted, []end{nil, nil, ok}, []end{fail, ok, nil}, 2 * s, []int{0, 1, 2}},
		{"everything there already", futures.AllCompleted, []end{fail, ok}, []end{nil, nil}, 0, []int{0, 1}},
		{"a cancel during the wait", futures.FirstCompleted, []end{nil, nil}, []end{cancel, nil}, s, []int{0}},
		{"a cancel completes the rest", futures.AllCompleted, []end{nil, ok}, []end{cancel, nil}, s, []int{0, 1}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				fs := newInts(len(tt.now))
				for i, f := range fs {
					if tt.now[i] != nil {
						tt.now[i](f)
					} else if end := tt.later[i]; end != nil {
						after(time.Duration(i+1)*s, func() { end(f) })
					}
				}
				start := time.Now()
				done, notDone, err := futures.Wait(t.Context(), fs, tt.mode)
				if err != nil {
					t.Error(err)
				}
				if took := time.Since(start); took != tt.took {
					t.Errorf("it took %v, want %v", took, tt.took)
				}
				wantParts(t, fs, done, notDone, tt.want...)
				wantNoFollowers(t, notDone)

				done, notDone, err = futures.Wait(t.Context(), fs, tt.mode)
				if err != nil {
					t.Error(err)
				}
				wantParts(t, fs, done, notDone, tt.want...)
			})
		})
	}
}

func TestADeadlineYieldsThePartsAndAnErrorThatSaysSo(t *testing.T) {
	for _, mode := range []futures.WaitMode{futures.AllCompleted, futures.FirstException} {
		synctest.Test(t, func(t *testing.T) {
			fs := newInts(3)
			set(t, fs[1], 0)
			after(time.Second, func() { fs[2].Cancel() })
			for _, d := range []time.Duration{0, 2 * time.Second} {
				ctx, cancel := context.WithTimeout(t.Context(), d)
				defer cancel()
				done, notDone, err := futures.Wait(ctx, fs, mode)
				if !errors.Is(err, futures.ErrTimeout) || !errors.Is(err, context.DeadlineExceeded) {
					t.Errorf("error is %v", err)
				}
				if d == 0 {
					wantParts(t, fs, done, notDone, 1)
				} else {
					wantParts(t, fs, done, notDone, 1, 2)
				}
				wantNoFollowers(t, notDone)
			}
		})
	}
}

func TestACancelledWaitYieldsThePartsAndAnError(t *testing.T) {
	fs := newInts(2)
	set(t, fs[0], 0)
	done, notDone, err := futures.Wait(ended(t), fs, futures.AllCompleted)
	if !errors.Is(err, context.Canceled) || errors.Is(err, futures.ErrTimeout) {
		t.Errorf("error is %v", err)
	}
	wantParts(t, fs, done, notDone, 0)

	done, notDone, err = futures.Wait(ended(t), fs, futures.FirstCompleted)
	if err != nil {
		t.Errorf("what was waited for has happened, and the error is %v", err)
	}
	wantParts(t, fs, done, notDone, 0)
}

func TestWaitingForNothingReturnsAtOnce(t *testing.T) {
	for _, mode := range modes {
		done, notDone, err := futures.Wait[*intFuture](ended(t), nil, mode)
		if len(done)+len(notDone) != 0 || err != nil {
			t.Errorf("%v: %v, %v, %v", mode, done, notDone, err)
		}
	}
}

func TestAnUnknownModeIsAlwaysAnError(t *testing.T) {
	for _, mode := range []futures.WaitMode{-1, 3} {
		for _, fs := range [][]*intFuture{nil, {done(t, 1)}, newInts(1)} {
			if done, notDone, err := futures.Wait(t.Context(), fs, mode); err == nil || done != nil || notDone != nil {
				t.Errorf("%v of %v: %v, %v, %v", mode, fs, done, notDone, err)
			}
		}
	}
	fs := newInts(1)
	_, _, err := futures.Wait(t.Context(), fs, 99)
	want := "futures: Wait: unknown mode WaitMode(99): use AllCompleted, FirstCompleted or FirstException"
	if err == nil || err.Error() != want {
		t.Errorf("error is %v, want %s", err, want)
	}
	set(t, fs[0], 1)
	wantResult(t, fs[0], 1, nil)
}

func TestDuplicatesCollapseAndSequencesWork(t *testing.T) {
	for _, n := range []int{1, 16, 17, 100} {
		fs := newInts(n)
		for _, f := range fs {
			set(t, f, 0)
		}
		twice := append(slices.Clone(fs), fs...)
		done, notDone, err := futures.Wait(t.Context(), slices.Collect(slices.Values(twice)), futures.AllCompleted)
		if err != nil {
			t.Error(err)
		}
		want := make([]int, n)
		for i := range want {
			want[i] = i
		}
		wantParts(t, fs, done, notDone, want...)
	}
}

func TestFuturesOfDifferentTypesCanBeWaitedForTogether(t *testing.T) {
	a, b := new(futures.Future[int]), new(futures.Future[string])
	fs := []futures.Awaitable{a, b}
	set(t, b, "x")
	done, notDone, err := futures.Wait(t.Context(), fs, futures.FirstCompleted)
	if err != nil || len(done) != 1 || done[0] != futures.Awaitable(b) || len(notDone) != 1 {
		t.Errorf("%v, %v, %v", done, notDone, err)
	}
}

func TestWaitMissesNoneThatFinishesMeanwhile(t *testing.T) {
	for range 50 {
		fs := newInts(100)
		go func() {
			for _, f := range fs {
				f.Settle(1, nil)()
			}
		}()
		done, _, err := futures.Wait(context.Background(), fs, futures.AllCompleted)
		if len(done) != len(fs) || err != nil {
			t.Fatalf("%d done, %v", len(done), err)
		}
	}
}
