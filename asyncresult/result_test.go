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
	for _, end := range []func(*futures.Promise[int]){
		func(*futures.Promise[int]) {},
		func(p *futures.Promise[int]) { _ = p.SetResult(1) },
		func(p *futures.Promise[int]) { _ = p.SetError(errors.New("out of paper")) },
		func(p *futures.Promise[int]) { p.Future().Cancel() },
	} {
		p := futures.NewPromise[int]()
		end(p)
		got = append(got, asyncresult.New(p.Future()).String())
	}
	want := []string{"AsyncResult(not ready)", "AsyncResult(successful)", "AsyncResult(failed)", "AsyncResult(failed)"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestWaitIsReleasedByEitherEnd(t *testing.T) {
	p := futures.NewPromise[int]()
	r := asyncresult.New(p.Future())
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(time.Millisecond, cancel)
	if r.Wait(ctx) {
		t.Error("ready after the context had ended")
	}
	time.AfterFunc(time.Millisecond, func() { _ = p.SetResult(3) })
	if !r.Wait(t.Context()) || !r.Wait(ctx) {
		t.Error("not ready after the result was there")
	}
	<-r.DoneChan()
}

func TestACancelledResultIsReadyAndNotSuccessful(t *testing.T) {
	ex := executor()
	p := futures.NewPromiseOn[int](ex)
	r := asyncresult.New(p.Future())
	var seen error
	r.ErrorCallback(func(err error) { seen = err })
	p.Future().Cancel()
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
	p := futures.NewPromiseOn[int](ex)
	r := asyncresult.New(p.Future())
	block := make(chan struct{})
	var got []int
	r.Callback(func(int) { <-block; got = append(got, 0) })
	_ = p.SetResult(1)
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
	r := asyncresult.New(new(futures.Future[int]))
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
