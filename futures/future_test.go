package futures_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
	"unsafe"

	"github.com/rankpool/rankpool/futures"
)

var errBoom = errors.New("boom")

// ended returns a context that has been cancelled.
func ended(t *testing.T) context.Context {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	return ctx
}

// done returns a finished future.
func done[T any](t *testing.T, v T) *futures.Future[T] {
	t.Helper()
	p := futures.NewPromise[T]()
	if err := p.SetResult(v); err != nil {
		t.Fatal(err)
	}
	return p.Future()
}

// failed returns a future that failed.
func failed[T any](t *testing.T, err error) *futures.Future[T] {
	t.Helper()
	p := futures.NewPromise[T]()
	if err := p.SetError(err); err != nil {
		t.Fatal(err)
	}
	return p.Future()
}

// set finishes a future as an executor does.
func set[T any](t *testing.T, f *futures.Future[T], v T) {
	t.Helper()
	if f.Done() {
		t.Fatalf("it is done already: %v", f)
	}
	f.Settle(v, nil)()
}

// same tells whether two errors are the very same one, where errors.Is would let a wrapped one pass.
func same(a, b error) bool { return any(a) == any(b) }

// wantResult checks a future that is expected to be done.
func wantResult[T comparable](t *testing.T, f *futures.Future[T], want T, wantErr error) {
	t.Helper()
	got, err := f.ResultWithin(0)
	if got != want || !same(err, wantErr) {
		t.Errorf("%v has %v, %v; want %v, %v", f, got, err, want, wantErr)
	}
}

func wantState(t *testing.T, f futures.Awaitable, want string) {
	t.Helper()
	got := "pending"
	switch {
	case f.Running() && f.Done(), f.Cancelled() && !f.Done():
		got = "in two states"
	case f.Running():
		got = "running"
	case f.Cancelled():
		got = "cancelled"
	case f.Done():
		got = "finished"
	}
	if got != want {
		t.Errorf("%v is %s, want %s", f, got, want)
	}
}

func TestAFutureIsSmall(t *testing.T) {
	if got := unsafe.Sizeof(futures.Future[int]{}) - futures.ReadingSize; got > 64 {
		t.Errorf("Future[int] takes %d bytes, want 64 at most", got)
	}
}

func TestAFreshFutureIsPending(t *testing.T) {
	wantState(t, new(futures.Future[int]), "pending")
	wantState(t, new(futures.Future[int]), "pending")
}

func TestAPendingFutureCanBeClaimedOrFinishedStraightAway(t *testing.T) {
	p := futures.NewPromise[int]()
	if !p.SetRunningOrNotifyCancel() {
		t.Error("the claim of a pending future failed")
	}
	wantState(t, p.Future(), "running")
	if err := p.SetResult(1); err != nil {
		t.Error(err)
	}
	wantState(t, p.Future(), "finished")
	wantResult(t, p.Future(), 1, nil)
	wantResult(t, done(t, 2), 2, nil)
}

func TestClaimingACancelledFutureReportsFalseAndChangesNothing(t *testing.T) {
	log := captureLog(t)
	p := futures.NewPromise[int]()
	p.Future().Cancel()
	if p.SetRunningOrNotifyCancel() {
		t.Error("the claim succeeded")
	}
	wantState(t, p.Future(), "cancelled")
	if log.String() != "" {
		t.Errorf("something was logged: %s", log)
	}
}

func TestABadClaimIsLoggedAboveErrorLevel(t *testing.T) {
	log := captureLog(t)
	p := futures.NewPromise[int]()
	p.SetRunningOrNotifyCancel()
	if p.SetRunningOrNotifyCancel() {
		t.Error("the second claim succeeded")
	}
	wantState(t, p.Future(), "running")
	if !strings.Contains(log.String(), "ERROR+4") || !strings.Contains(log.String(), "state=running") {
		t.Errorf("log is %q, want level ERROR+4 and the state", log)
	}
}

func TestCompletingADoneFutureIsAnInvalidState(t *testing.T) {
	c := futures.NewPromise[int]()
	c.Future().Cancel()
	for _, err := range []error{c.SetResult(1), c.SetError(errBoom), c.SetPartial(1, errBoom)} {
		if !errors.Is(err, futures.ErrInvalidState) || !errors.Is(err, futures.ErrCancelled) ||
			!strings.Contains(err.Error(), "cancelled") {
			t.Errorf("error is %v", err)
		}
	}
	wantState(t, c.Future(), "cancelled")

	f := futures.NewPromise[int]()
	if err := f.SetResult(7); err != nil {
		t.Error(err)
	}
	for _, err := range []error{f.SetResult(1), f.SetError(errBoom), f.SetPartial(1, errBoom)} {
		if !errors.Is(err, futures.ErrInvalidState) || errors.Is(err, futures.ErrCancelled) ||
			!strings.Contains(err.Error(), "finished") {
			t.Errorf("error is %v", err)
		}
	}
	wantResult(t, f.Future(), 7, nil)
}

func TestANilErrorIsSuccessWithTheZeroValue(t *testing.T) {
	wantResult(t, failed[int](t, nil), 0, nil)
}

func TestAnErrorThatHoldsANilPointerIsAFailure(t *testing.T) {
	f := failed[int](t, (*fs.PathError)(nil))
	if _, err := f.Result(t.Context()); err == nil {
		t.Error("Result reports success")
	}
	if taskErr, waitErr := f.Exception(t.Context()); taskErr == nil || waitErr != nil {
		t.Errorf("Exception is %v, %v", taskErr == nil, waitErr)
	}
}

func TestCancelOnAPendingFutureTakesHoldAtOnce(t *testing.T) {
	f := new(futures.Future[int])
	if !f.Cancel() {
		t.Error("Cancel is false")
	}
	wantState(t, f, "cancelled")
}

func TestCancelOnARunningOrFinishedFutureChangesNothing(t *testing.T) {
	p := futures.NewPromise[int]()
	p.SetRunningOrNotifyCancel()
	r, f := p.Future(), done(t, 1)
	if r.Cancel() || f.Cancel() {
		t.Error("Cancel is true")
	}
	wantState(t, r, "running")
	wantState(t, f, "finished")
}

func TestCancelIsTrueAgainAndCallbacksAreNotRepeated(t *testing.T) {
	p := futures.NewPromise[int]()
	f := p.Future()
	calls := 0
	f.AddDoneCallback(func(*futures.Future[int]) { calls++ })
	for range 3 {
		if !f.Cancel() {
			t.Error("Cancel is false")
		}
	}
	p.SetRunningOrNotifyCancel()
	if calls != 1 {
		t.Errorf("the callback ran %d times", calls)
	}
}

func TestResultOfACancelledFutureIsErrCancelledWhateverTheTimeout(t *testing.T) {
	f := new(futures.Future[int])
	f.Cancel()
	_, e1 := f.Result(t.Context())
	_, e2 := f.Result(ended(t))
	_, e3 := f.ResultWithin(-1)
	_, e4 := f.ResultWithin(time.Hour)
	taskErr, e5 := f.Exception(ended(t))
	for _, err := range []error{e1, e2, e3, e4, e5} {
		if !same(err, futures.ErrCancelled) {
			t.Errorf("error is %v", err)
		}
	}
	if taskErr != nil {
		t.Errorf("the task's error is %v", taskErr)
	}
	if errors.Is(e1, context.Canceled) {
		t.Error("a cancelled task looks like a cancelled wait")
	}
}

func TestResultCanBeReadRepeatedly(t *testing.T) {
	f, g := done(t, "x"), failed[string](t, errBoom)
	for range 2 {
		wantResult(t, f, "x", nil)
		wantResult(t, g, "", errBoom)
	}
}

func TestExceptionReturnsTheStoredError(t *testing.T) {
	for want, f := range map[error]*futures.Future[int]{nil: done(t, 1), errBoom: failed[int](t, errBoom)} {
		if taskErr, waitErr := f.Exception(ended(t)); !same(taskErr, want) || waitErr != nil {
			t.Errorf("Exception of %v is %v, %v", f, taskErr, waitErr)
		}
	}
	taskErr, waitErr := new(futures.Future[int]).Exception(ended(t))
	if taskErr != nil || !errors.Is(waitErr, context.Canceled) {
		t.Errorf("Exception of a pending future is %v, %v", taskErr, waitErr)
	}
}

func TestAFinishedResultBeatsAnEndedContext(t *testing.T) {
	if v, err := done(t, 5).Result(ended(t)); v != 5 || err != nil {
		t.Errorf("Result is %v, %v", v, err)
	}
}

func TestAnExpiringWaitLeavesTheFutureAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := new(futures.Future[int])
		start := time.Now()
		for _, d := range []time.Duration{0, -5 * time.Second} {
			if _, err := f.ResultWithin(d); !same(err, futures.ErrTimeout) {
				t.Errorf("ResultWithin(%v) is %v", d, err)
			}
		}
		if got := time.Since(start); got != 0 {
			t.Errorf("polling took %v", got)
		}
		if _, err := f.ResultWithin(time.Second); !same(err, futures.ErrTimeout) || time.Since(start) != time.Second {
			t.Errorf("ResultWithin(1s) is %v after %v", err, time.Since(start))
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err := f.Result(ctx)
		if !errors.Is(err, futures.ErrTimeout) || !errors.Is(err, context.DeadlineExceeded) ||
			errors.Is(err, context.Canceled) {
			t.Errorf("Result is %v", err)
		}
		wantState(t, f, "pending")
		set(t, f, 3)
		wantResult(t, f, 3, nil)
		if v, err := f.Result(ctx); v != 3 || err != nil {
			t.Errorf("Result is %v, %v", v, err)
		}
	})
}

func TestAWaitThatIsCancelledSaysWhy(t *testing.T) {
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(errBoom)
	_, err := new(futures.Future[int]).Result(ctx)
	if !errors.Is(err, context.Canceled) || !errors.Is(err, errBoom) ||
		errors.Is(err, futures.ErrTimeout) || errors.Is(err, futures.ErrCancelled) {
		t.Errorf("error is %v", err)
	}
	if want := "futures: gave up waiting for a pending future: boom"; err.Error() != want {
		t.Errorf("error reads %q, want %q", err, want)
	}
}

func TestErrTimeoutMatchesTheDeadlineOfAContext(t *testing.T) {
	if !errors.Is(futures.ErrTimeout, context.DeadlineExceeded) {
		t.Error("it does not")
	}
	var timeout interface{ Timeout() bool }
	if !errors.As(futures.ErrTimeout, &timeout) || !timeout.Timeout() {
		t.Error("it is no timeout to package net")
	}
}

func TestParkedWaitersAreReleasedByEveryEndAndNotByTheClaim(t *testing.T) {
	for name, end := range map[string]struct {
		do   func(*futures.Future[int])
		want error
	}{
		"success": {func(f *futures.Future[int]) { f.Claim(); f.Settle(0, nil)() }, nil},
		"failure": {func(f *futures.Future[int]) { f.Claim(); f.Settle(0, errBoom)() }, errBoom},
		"cancel":  {func(f *futures.Future[int]) { f.Claim(); f.Unclaim(); f.Cancel() }, futures.ErrCancelled},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := new(futures.Future[int])
				errs := make(chan error, 16)
				for range 16 {
					go func() { _, err := f.Result(context.Background()); errs <- err }()
				}
				synctest.Wait()
				f.Claim()
				synctest.Wait()
				if len(errs) != 0 {
					t.Error("the claim released waiters")
				}
				f.Unclaim()
				end.do(f)
				synctest.Wait()
				if len(errs) != 16 {
					t.Fatalf("%d of 16 waiters were released", len(errs))
				}
				for range 16 {
					if err := <-errs; !same(err, end.want) {
						t.Errorf("a waiter got %v, want %v", err, end.want)
					}
				}
			})
		})
	}
}

func TestDoneChanIsClosedOnceDone(t *testing.T) {
	f := new(futures.Future[int])
	early := f.DoneChan()
	select {
	case <-early:
		t.Error("closed too early")
	default:
	}
	f.AddDoneCallback(func(*futures.Future[int]) {
		<-early // released before the callbacks run
	})
	set(t, f, 1)
	<-f.DoneChan()
}

func TestTheTextShowsStateAndType(t *testing.T) {
	c, r := new(futures.Future[int]), new(futures.Future[[]byte])
	c.Cancel()
	r.Claim()
	for want, f := range map[string]futures.Awaitable{
		"Future[string](pending)":                        new(futures.Future[string]),
		"Future[int](cancelled)":                         c,
		"Future[[]uint8](running)":                       r,
		"Future[int](finished with int)":                 done(t, 1),
		"Future[interface {}](finished with bool)":       done[any](t, true),
		"Future[int](finished with error *fs.PathError)": failed[int](t, &fs.PathError{}),
	} {
		if got := fmt.Sprint(f); got != want {
			t.Errorf("text is %q, want %q", got, want)
		}
	}
	a, b := new(futures.Future[int]), new(futures.Future[int])
	if m := map[*futures.Future[int]]int{a: 1, b: 2}; len(m) != 2 || m[a] != 1 {
		t.Error("futures are no good as keys")
	}
}

func TestOnlyOneOfManyEndsWins(t *testing.T) {
	for range 200 {
		p := futures.NewPromise[int]()
		f := p.Future()
		var wg sync.WaitGroup
		var mu sync.Mutex
		wins, calls := 0, 0
		won := func(ok bool) {
			if ok {
				mu.Lock()
				wins++
				mu.Unlock()
			}
		}
		f.AddDoneCallback(func(*futures.Future[int]) { mu.Lock(); calls++; mu.Unlock() })
		wg.Go(func() { won(p.SetResult(1) == nil) })
		wg.Go(func() { won(p.SetError(errBoom) == nil) })
		wg.Go(func() { won(f.Cancel()) })
		wg.Go(func() {
			if f.Claim() {
				f.Unclaim()
			}
		})
		wg.Go(func() { _, _ = f.Result(context.Background()) })
		wg.Wait()
		if wins != 1 || calls != 1 {
			t.Fatalf("%d ends won and %d callbacks ran, want 1 and 1", wins, calls)
		}
	}
}

func TestCancelAndClaimNeverBothWin(t *testing.T) {
	for range 500 {
		f := new(futures.Future[int])
		var claimed, cancelled bool
		var wg sync.WaitGroup
		wg.Go(func() { claimed = f.Claim() })
		wg.Go(func() { cancelled = f.Cancel() })
		wg.Wait()
		if claimed == cancelled {
			t.Fatalf("claimed: %v, cancelled: %v", claimed, cancelled)
		}
	}
}

func TestTheOwnerLearnsOfACancelAndOfNothingElse(t *testing.T) {
	owned := func(told *int) *futures.Future[int] {
		f := new(futures.Future[int])
		f.Own(func() { *told++ })
		return f
	}
	told := 0
	f := owned(&told)
	f.AddDoneCallback(func(*futures.Future[int]) {
		if told != 1 {
			t.Error("the callback ran before the owner was told")
		}
	})
	f.Cancel()
	f.Cancel()
	if told != 1 {
		t.Errorf("the owner was told %d times", told)
	}

	told = 0
	e := owned(&told)
	e.Settle(1, nil)()
	g := owned(&told)
	run, ok := g.Revoke()
	if run(); !ok || !g.Cancelled() {
		t.Error("the owner could not revoke")
	}
	h := owned(&told)
	h.Claim()
	h.Cancel()
	if _, ok := h.Revoke(); ok {
		t.Error("a running future was revoked")
	}
	if told != 0 {
		t.Errorf("the owner was told of %d other ends", told)
	}
}

func TestSettleReleasesWaitersAndHandsOverTheCallbacks(t *testing.T) {
	f, calls := new(futures.Future[int]), 0
	f.AddDoneCallback(func(*futures.Future[int]) { calls++ })
	f.Claim()
	ch := f.DoneChan()
	run := f.Settle(4, nil)
	<-ch
	if calls != 0 {
		t.Error("settle ran a callback")
	}
	run()
	if calls != 1 {
		t.Errorf("the callback ran %d times", calls)
	}
	f.Settle(5, nil)()
	wantResult(t, f, 4, nil)
	if run, ok := f.Fail(errBoom); ok {
		run()
		t.Error("a finished future failed")
	}
	g := new(futures.Future[int])
	if run, ok := g.Fail(errBoom); !ok {
		t.Error("a pending future did not fail")
	} else {
		run()
	}
	wantResult(t, g, 0, errBoom)
	h := new(futures.Future[int])
	h.Settle(9, errBoom)()
	wantResult(t, h, 0, errBoom)
}

// BenchmarkSettleThenResult is the life of a future nobody waits for before it is done.
func BenchmarkSettleThenResult(b *testing.B) {
	b.ReportAllocs()
	ctx := context.Background()
	for b.Loop() {
		f := new(futures.Future[int])
		f.Claim()
		f.Settle(1, nil)
		if v, err := f.Result(ctx); v != 1 || err != nil {
			b.Fatal(v, err)
		}
	}
}

// BenchmarkResultOfADoneFuture is the way without a lock.
func BenchmarkResultOfADoneFuture(b *testing.B) {
	b.ReportAllocs()
	ctx := context.Background()
	f := new(futures.Future[int])
	f.Settle(1, nil)()
	for b.Loop() {
		if v, err := f.Result(ctx); v != 1 || err != nil {
			b.Fatal(v, err)
		}
	}
}

// BenchmarkMillionResident holds a million pending futures, finishes each and reads each, in order.
func BenchmarkMillionResident(b *testing.B) {
	const n = 1_000_000
	ctx := context.Background()
	var perFuture float64
	for b.Loop() {
		var before, after runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&before)
		fs := make([]*futures.Future[int], n)
		for i := range fs {
			fs[i] = new(futures.Future[int])
		}
		runtime.ReadMemStats(&after)
		perFuture = float64(after.HeapAlloc-before.HeapAlloc) / n
		go func() {
			for i, f := range fs {
				f.Claim()
				f.Settle(i, nil)
			}
		}()
		for i, f := range fs {
			if v, err := f.Result(ctx); v != i || err != nil {
				b.Fatal(v, err)
			}
		}
	}
	b.ReportMetric(perFuture, "heap-B/future")
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/n, "ns/future")
}
