package asyncresult_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rankpool/rankpool/asyncresult"
	"github.com/rankpool/rankpool/futures"
)

func TestStringSaysWhereTheResultStands(t *testing.T) {
	var got []string
	for _, end := range []func(*futures.Future[int]){
		func(*futures.Future[int]) {},
		func(f *futures.Future[int]) { _ = f.SetResult(1) },
		func(f *futures.Future[int]) { _ = f.SetError(errors.New("out of paper")) },
		func(f *futures.Future[int]) { f.Cancel() },
	} {
		f := futures.NewFuture[int]()
		end(f)
		got = append(got, asyncresult.New(executor(), f).String())
	}
	want := []string{"AsyncResult(not ready)", "AsyncResult(successful)", "AsyncResult(failed)", "AsyncResult(failed)"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestWaitIsReleasedByEitherEnd(t *testing.T) {
	f := futures.NewFuture[int]()
	r := asyncresult.New(executor(), f)
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(time.Millisecond, cancel)
	if r.Wait(ctx) {
		t.Error("ready after the context had ended")
	}
	time.AfterFunc(time.Millisecond, func() { _ = f.SetResult(3) })
	if !r.Wait(t.Context()) || !r.Wait(ctx) {
		t.Error("not ready after the result was there")
	}
	<-r.Done()
}

func TestACancelledResultIsReadyAndNotSuccessful(t *testing.T) {
	ex := executor()
	f := futures.NewFuture[int]()
	r := asyncresult.New(ex, f)
	var seen error
	r.ErrorCallback(func(err error) { seen = err })
	f.Cancel()
	if ok, err := r.Successful(); ok || err != nil || !r.Ready() {
		t.Error(ok, err)
	}
	if _, err := r.GetWithin(0); !errors.Is(err, futures.ErrCancelled) {
		t.Error(err)
	}
	if err := ex.Close(); err != nil || !errors.Is(seen, futures.ErrCancelled) {
		t.Error(err, seen)
	}
}

// Callbacks never run in the goroutine that adds them, where they could run together with others.
func TestCallbacksOfAReadyResultKeepTheirOrder(t *testing.T) {
	ex := executor()
	f := futures.NewFuture[int]()
	r := asyncresult.New(ex, f)
	block := make(chan struct{})
	var got []int
	r.Callback(func(int) { <-block; got = append(got, 0) })
	_ = f.SetResult(1)
	for i := 1; i < 50; i++ {
		r.Callback(func(int) { got = append(got, i) })
	}
	close(block)
	if err := ex.Close(); err != nil {
		t.Fatal(err)
	}
	want := make([]int, 50)
	for i := range want {
		want[i] = i
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestANilCallbackPanicsWhereItIsAdded(t *testing.T) {
	r := asyncresult.New(executor(), futures.NewFuture[int]())
	for name, add := range map[string]func(){
		"Callback": func() { r.Callback(nil) }, "ErrorCallback": func() { r.ErrorCallback(nil) },
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s(nil) did not panic", name)
				}
			}()
			add()
		}()
	}
}
