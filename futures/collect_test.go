package futures_test

import (
	"context"
	"slices"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"

	"github.com/rankpool/rankpool/futures"
)

func TestCollectingNothingIsFinishedAndNotNil(t *testing.T) {
	f := futures.Collect[int]()
	wantState(t, f, "finished")
	if v, err := f.ResultWithin(0); v == nil || len(v) != 0 || err != nil {
		t.Errorf("result is %#v, %v", v, err)
	}
}

func TestCollectedResultsAreInTheOrderOfTheInputs(t *testing.T) {
	fs := newInts(4)
	all := futures.Collect(slices.Collect(slices.Values(append(slices.Clone(fs), fs[0])))...)
	for i, f := range slices.Backward(fs) {
		wantState(t, all, "pending")
		f.Claim()
		set(t, f, i*i)
	}
	got, err := all.ResultWithin(0)
	if diff := cmp.Diff([]int{0, 1, 4, 9, 0}, got); diff != "" || err != nil {
		t.Error(err, diff)
	}
}

func TestCollectOfFinishedInputsIsFinishedAtReturn(t *testing.T) {
	got, err := futures.Collect(done(t, 1), done(t, 2)).ResultWithin(0)
	if diff := cmp.Diff([]int{1, 2}, got); diff != "" || err != nil {
		t.Error(err, diff)
	}
}

func TestTheFirstFailureFailsTheCollectedFutureAndCancelsThePending(t *testing.T) {
	fs := newInts(5)
	all := futures.Collect(fs...)
	set(t, fs[0], 1)
	fs[1].Claim()
	fs[2].Claim()
	fs[1].Settle(0, errBoom)()
	wantState(t, all, "finished")
	if _, err := all.ResultWithin(0); !same(err, errBoom) {
		t.Errorf("error is %v", err)
	}
	for i, want := range []string{"finished", "finished", "running", "cancelled", "cancelled"} {
		wantState(t, fs[i], want)
	}
	wantNoFollowers(t, fs)
	fs[2].Settle(0, context.Canceled)()
	if _, err := all.ResultWithin(0); !same(err, errBoom) {
		t.Errorf("error has become %v", err)
	}
}

func TestAnInputThatFailedBeforeCancelsTheOthersAtOnce(t *testing.T) {
	fs := newInts(3)
	fs[1] = failed[int](t, errBoom)
	all := futures.Collect(fs...)
	if _, err := all.ResultWithin(0); !same(err, errBoom) {
		t.Errorf("error is %v", err)
	}
	wantState(t, fs[0], "cancelled")
	wantState(t, fs[2], "cancelled")
}

func TestACancelledInputCancelsTheCollectedFutureAndTheOthers(t *testing.T) {
	for _, before := range []bool{true, false} {
		fs := newInts(3)
		if before {
			fs[1].Cancel()
		}
		all := futures.Collect(fs...)
		if !before {
			fs[1].Cancel()
		}
		for _, f := range []futures.Awaitable{all, fs[0], fs[1], fs[2]} {
			wantState(t, f, "cancelled")
		}
	}
}

func TestCancellingTheCollectedFutureCancelsAllInputs(t *testing.T) {
	fs := newInts(4)
	set(t, fs[0], 1)
	fs[1].Claim()
	inner := futures.Collect(fs...)
	calls := 0
	for _, f := range fs {
		f.AddDoneCallback(func(*intFuture) { calls++ })
	}
	outer := futures.Collect(inner)
	if !outer.Cancel() {
		t.Error("Cancel is false")
	}
	for i, want := range []string{"finished", "running", "cancelled", "cancelled"} {
		wantState(t, fs[i], want)
	}
	wantState(t, inner, "cancelled")
	if calls != 3 {
		t.Errorf("%d callbacks had run when Cancel returned, want 3", calls)
	}
	wantNoFollowers(t, fs[2:])
}

func TestCollectIsSafeFromManyGoroutines(t *testing.T) {
	fs := newInts(1000)
	attached := make(chan struct{})
	var wg sync.WaitGroup
	for w := range 8 {
		wg.Go(func() {
			if w%2 == 0 { // half of them while Collect is still at it
				<-attached
			}
			for i := w; i < len(fs); i += 8 {
				fs[i].Settle(i, nil)()
			}
		})
	}
	all := futures.Collect(fs...)
	close(attached)
	got, err := all.Result(t.Context())
	wg.Wait()
	if err != nil {
		t.Fatal(err)
	}
	for i, v := range got {
		if v != i {
			t.Fatalf("result %d is %d", i, v)
		}
	}
}

func TestCollectEndsOnceWhenEverythingHappensTogether(t *testing.T) {
	for range 200 {
		fs := newInts(20)
		var wg sync.WaitGroup
		wg.Go(func() { fs[3].Settle(0, errBoom)() })
		wg.Go(func() { fs[17].Cancel() })
		wg.Go(func() { fs[5].Claim(); fs[5].Settle(1, nil)() })
		all := futures.Collect(fs...)
		calls := 0
		var mu sync.Mutex
		all.AddDoneCallback(func(*futures.Future[[]int]) { mu.Lock(); calls++; mu.Unlock() })
		wg.Go(func() { all.Cancel() })
		wg.Wait()
		if calls != 1 || !all.Done() {
			t.Fatalf("%d callbacks ran on %v", calls, all)
		}
		for i, f := range fs {
			if !f.Done() {
				t.Fatalf("input %d is %v", i, f)
			}
		}
	}
}

func TestWaitersOnACollectedFutureAreReleased(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fs := newInts(2)
		all := futures.Collect(fs...)
		go func() {
			for _, f := range fs {
				f.Settle(2, nil)()
			}
		}()
		if got, err := all.Result(t.Context()); err != nil || len(got) != 2 {
			t.Errorf("result is %v, %v", got, err)
		}
	})
}
