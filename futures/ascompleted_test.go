package futures_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rankpool/rankpool/futures"
)

func TestAsCompletedYieldsEachFutureOnceHoweverItEnded(t *testing.T) {
	fs := []*intFuture{done(t, 1), failed[int](t, errBoom), new(futures.Future[int])}
	fs[2].Cancel()
	fs = append(fs, fs...)
	var got []*intFuture
	for f, err := range futures.AsCompleted(t.Context(), fs) {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, f)
	}
	if diff := cmp.Diff([]int{0, 1, 2}, places(fs, got)); diff != "" {
		t.Error(diff)
	}
}

func TestAsCompletedYieldsTheFinishedFirstAndThenInTheOrderOfFinishing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fs := newInts(5)
		set(t, fs[3], 0)
		for i, at := range map[int]time.Duration{0: 4, 1: 2, 2: 3, 4: 1} {
			after(at*time.Second, func() { fs[i].Settle(0, nil)() })
		}
		for _, busy := range []time.Duration{0, time.Hour} {
			var got []*intFuture
			for f, err := range futures.AsCompleted(t.Context(), fs) {
				if err != nil {
					t.Fatal(err)
				}
				time.Sleep(busy)
				got = append(got, f)
			}
			want := []int{3, 4, 1, 2, 0}
			if busy != 0 { // all were done when the second round began
				want = []int{0, 1, 2, 3, 4}
			}
			if diff := cmp.Diff(want, places(fs, got)); diff != "" {
				t.Errorf("consumer busy for %v: %s", busy, diff)
			}
		}
	})
}

func TestAsCompletedKeepsTheOrderWhileTheConsumerIsBusy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fs := newInts(4)
		for i, at := range map[int]time.Duration{0: 1, 1: 4, 2: 2, 3: 3} {
			after(at*time.Second, func() { fs[i].Settle(0, nil)() })
		}
		var got []*intFuture
		for f, err := range futures.AsCompleted(t.Context(), fs) {
			if err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Minute)
			got = append(got, f)
		}
		if diff := cmp.Diff([]int{0, 2, 3, 1}, places(fs, got)); diff != "" {
			t.Error(diff)
		}
	})
}

func TestTheDeadlineIsOneBudgetForTheWholeIteration(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fs := newInts(3)
		for i := range fs {
			after(time.Duration(i+1)*40*time.Millisecond, func() { fs[i].Settle(0, nil)() })
		}
		ctx, cancel := context.WithTimeout(t.Context(), 60*time.Millisecond)
		defer cancel()
		start := time.Now()
		n := 0
		var last error
		for f, err := range futures.AsCompleted(ctx, fs) {
			if last != nil {
				t.Error("the error was not the last element")
			}
			if last = err; err == nil {
				n++
			} else if f != nil {
				t.Errorf("%v came with the error", f)
			}
		}
		if n != 1 || !errors.Is(last, futures.ErrTimeout) || !errors.Is(last, context.DeadlineExceeded) {
			t.Errorf("%d futures, then %v", n, last)
		}
		if got := time.Since(start); got != 60*time.Millisecond {
			t.Errorf("it took %v", got)
		}
		wantNoFollowers(t, fs)
		time.Sleep(time.Second)
	})
}

func TestAnEndedContextDoesNotHideWhatIsDone(t *testing.T) {
	fs := []*intFuture{new(futures.Future[int]), done(t, 1), done(t, 2)}
	n := 0
	var last error
	for _, err := range futures.AsCompleted(ended(t), fs) {
		if last = err; err == nil {
			n++
		}
	}
	if n != 2 || !errors.Is(last, context.Canceled) {
		t.Errorf("%d futures, then %v", n, last)
	}
}

func TestABreakDetachesAndCancelsNothing(t *testing.T) {
	fs := newInts(4)
	set(t, fs[0], 0)
	for _, err := range futures.AsCompleted(t.Context(), fs) {
		if err != nil {
			t.Fatal(err)
		}
		if hooks, _ := futures.Followers(fs[1]); hooks != 1 {
			t.Errorf("%d hooks during the iteration", hooks)
		}
		break
	}
	wantNoFollowers(t, fs)
	for _, f := range fs[1:] {
		wantState(t, f, "pending")
		set(t, f, 1)
	}
}

func TestASequenceNeverRangedOverAttachesNothing(t *testing.T) {
	fs := newInts(2)
	_ = futures.AsCompleted(t.Context(), fs)
	wantNoFollowers(t, fs)
}

func TestAsCompletedOfNothingEndsAtOnce(t *testing.T) {
	for f, err := range futures.AsCompleted[*intFuture](ended(t), nil) {
		t.Errorf("got %v, %v", f, err)
	}
}

func TestAsCompletedMissesNoneThatFinishesMeanwhile(t *testing.T) {
	for range 50 {
		fs := newInts(100)
		go func() {
			for _, f := range fs {
				f.Cancel()
			}
		}()
		n := 0
		for _, err := range futures.AsCompleted(context.Background(), fs) {
			if err != nil {
				t.Fatal(err)
			}
			n++
		}
		if n != len(fs) {
			t.Fatalf("%d futures", n)
		}
	}
}
