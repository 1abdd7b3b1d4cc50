package futures_test

import (
	"context"
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
		futures.Notify(ex, func() { called = true })
	}
	if err := ex.Close(); err != nil || !called {
		t.Errorf("called: %v, error %v", called, err)
	}
}

func TestNotifyRunsOneAfterAnotherAndCloseWaitsForIt(t *testing.T) {
	ex, err := futures.NewThreadPoolExecutor(futures.WithMaxWorkers(2))
	if err != nil {
		t.Fatal(err)
	}
	var got []int // not guarded: the race detector finds callbacks that run together
	f, err := futures.Submit(ex, futures.Local(func(context.Context, int) (int, error) { return 0, nil }), 0)
	if err != nil {
		t.Fatal(err)
	}
	f.AddDoneCallback(func(*futures.Future[int]) { futures.Notify(ex, func() { got = append(got, -1) }) })
	if _, err := f.Result(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := ex.Close(); err != nil {
		t.Fatal(err)
	}
	want := []int{-1}
	for i := range 100 {
		futures.Notify(ex, func() { got = append(got, i) })
		want = append(want, i)
	}
	futures.Notify(ex, func() { panic("survived") })
	if err := ex.Close(); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}
