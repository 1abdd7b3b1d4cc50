package futures_test

import (
	"context"
	"errors"
	"reflect"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/rankpool/rankpool/futures"
)

// A Shutdown waits also where nothing was ever started.
func TestCloseOfAnExecutorThatNeverStartedWaitsForCallbacks(t *testing.T) {
	ex, err := futures.NewThreadPoolExecutor()
	if err != nil {
		t.Fatal(err)
	}
	called := false // not guarded, as above
	for range 100 {
		p := futures.NewPromiseOn[int](ex)
		p.Future().AddDoneCallback(func(*futures.Future[int]) { called = true })
		_ = p.SetResult(1)
	}
	if err := ex.Close(); err != nil || !called {
		t.Errorf("called: %v, error %v", called, err)
	}
}

func TestCallbacksOfAPromiseOnAnExecutorRunOneAfterAnotherWithThoseOfItsFuturesAndCloseWaitsForThem(t *testing.T) {
	ex, err := futures.NewThreadPoolExecutor(futures.WithMaxWorkers(2))
	if err != nil {
		t.Fatal(err)
	}
	var got []int // not guarded: the race detector finds callbacks that run together
	f, err := futures.Submit(ex, futures.Local(func(context.Context, int) (int, error) { return 0, nil }), 0)
	if err != nil {
		t.Fatal(err)
	}
	early := futures.NewPromiseOn[int](ex)
	early.Future().AddDoneCallback(func(*futures.Future[int]) { got = append(got, -1) })
	f.AddDoneCallback(func(*futures.Future[int]) { _ = early.SetResult(0) })
	if _, err := f.Result(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := ex.Close(); err != nil {
		t.Fatal(err)
	}
	want := []int{-1}
	for i := range 100 {
		p := futures.NewPromiseOn[int](ex)
		if i%2 == 0 {
			_ = p.SetError(errBoom)
		}
		p.Future().AddDoneCallback(func(*futures.Future[int]) { got = append(got, i) })
		if i%2 == 1 {
			p.Future().Cancel()
		}
		want = append(want, i)
	}
	last := futures.NewPromiseOn[int](ex)
	last.Future().AddDoneCallback(func(*futures.Future[int]) { panic("survived") })
	_ = last.SetResult(0)
	if err := ex.Close(); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestAPromiseHandsOutOneFutureAndTheZeroValueIsReady(t *testing.T) {
	var p futures.Promise[string]
	f := p.Future()
	if f != p.Future() {
		t.Error("there are two futures")
	}
	wantState(t, f, "pending")
	if err := p.SetPartial("half", errBoom); err != nil {
		t.Error(err)
	}
	wantResult(t, f, "half", errBoom)
}

func TestANilPromiseReturnsErrors(t *testing.T) {
	var none *futures.Promise[int]
	for _, err := range []error{none.SetResult(1), none.SetError(errBoom), none.SetPartial(1, errBoom)} {
		if err == nil || !strings.Contains(err.Error(), "the promise is nil") {
			t.Errorf("error is %v", err)
		}
	}
	if none.SetRunningOrNotifyCancel() || none.Future() != nil {
		t.Error("there is something behind it")
	}
}

// Only the holder of a promise completes its future, so that nobody completes what an executor will.
func TestAFutureHasNoMethodThatSetsItsResult(t *testing.T) {
	for _, typ := range []reflect.Type{reflect.TypeFor[*futures.Future[int]](), reflect.TypeFor[futures.Awaitable]()} {
		for i := range typ.NumMethod() {
			if m := typ.Method(i); strings.HasPrefix(m.Name, "Set") && m.Name != "Settle" { // Settle is for tests
				t.Errorf("%v has %s", typ, m.Name)
			}
		}
	}
}

func TestANewFutureIsPendingUntilItIsCancelled(t *testing.T) {
	f := futures.NewFuture[int]()
	if f.Done() || f.Running() {
		t.Error("it is not pending")
	}
	if _, err := f.ResultWithin(0); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("%v", err)
	}
	if !f.Cancel() || !f.Cancelled() {
		t.Error("it cannot be cancelled")
	}
}

// The one that loses must not take away the value of the one that wins.
func TestOfTwoPartialResultsAtOnceTheFirstKeepsItsValue(t *testing.T) {
	for range 20000 {
		p := futures.NewPromise[int]()
		var wg sync.WaitGroup
		for range 4 {
			wg.Go(func() { _ = p.SetPartial(1, errBoom) })
			wg.Go(func() { _ = p.SetPartial(2, nil) })
		}
		wg.Wait()
		if v, err := p.Future().ResultWithin(0); err != nil && v != 1 || err == nil && v != 2 {
			t.Fatal(v, err)
		}
	}
}
