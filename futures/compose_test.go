package futures_test

import (
	"errors"
	"fmt"
	"io/fs"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/rankpool/rankpool/futures"
)

// text is a value handler.
func text(v int) (string, error) { return strconv.Itoa(v), nil }

// never is a handler that must not run.
func never[A, R any](t *testing.T) func(A) (R, error) {
	return func(a A) (r R, _ error) {
		t.Errorf("a handler ran with %v", a)
		return r, nil
	}
}

func TestComposeWithoutHandlersMirrors(t *testing.T) {
	wantResult(t, futures.Compose[int, int](done(t, 4), nil, nil), 4, nil)
	wantResult(t, futures.Compose[int, int](failed[int](t, errBoom), nil, nil), 0, errBoom)
	wantResult(t, futures.Compose[int, any](done(t, 4), nil, nil), 4, nil)
	wantResult(t, futures.Compose[error, any](done[error](t, nil), nil, nil), nil, nil)
}

func TestComposeRefusesToPassOnWhatDoesNotFit(t *testing.T) {
	defer func() {
		want := "futures: Compose: onValue is nil, but a int cannot be passed on as a string; pass a function"
		if got := recover(); got != want {
			t.Errorf("panic is %v", got)
		}
	}()
	futures.Compose[int, string](new(futures.Future[int]), nil, nil)
}

func TestComposeRunsOnlyTheHandlerThatFits(t *testing.T) {
	wantResult(t, futures.Compose(done(t, 4), text, never[error, string](t)), "4", nil)
	wantResult(t, futures.Compose(failed[int](t, errBoom), never[int, string](t),
		func(err error) (string, error) { return err.Error(), nil }), "boom", nil)

	other := errors.New("other")
	lose := func(int) (string, error) { return "lost", other }
	replace := func(error) (string, error) { return "", other }
	wantResult(t, futures.Compose(done(t, 4), lose, never[error, string](t)), "", other)
	wantResult(t, futures.Compose(failed[int](t, errBoom), text, replace), "", other)
	wantResult(t, futures.Compose(failed[int](t, errBoom), text, func(error) (string, error) { return "", nil }), "", nil)
}

func TestComposeDoesNotChain(t *testing.T) {
	inner := new(futures.Future[int])
	wantResult(t, futures.Compose(done(t, 1), func(int) (*intFuture, error) { return inner, nil }, nil), inner, nil)
}

func TestCancelTravelsBothWaysThroughCompose(t *testing.T) {
	f := new(futures.Future[int])
	a := futures.Compose(f, never[int, string](t), never[error, string](t))
	b := futures.Compose(a, never[string, int](t), never[error, int](t))
	f.Cancel()
	wantState(t, a, "cancelled")
	wantState(t, b, "cancelled")

	f = new(futures.Future[int])
	a = futures.Compose(f, never[int, string](t), never[error, string](t))
	b = futures.Compose(a, never[string, int](t), never[error, int](t))
	b.Cancel()
	wantState(t, a, "cancelled")
	wantState(t, f, "cancelled")
}

func TestCancellingTheOutputOfARunningFutureDropsTheHandlers(t *testing.T) {
	f := new(futures.Future[int])
	f.Claim()
	out := futures.Compose(f, never[int, string](t), never[error, string](t))
	out.Cancel()
	wantState(t, f, "running")
	wantNoFollowers(t, []*intFuture{f})
	set(t, f, 1)
	wantState(t, out, "cancelled")
}

func TestHandlersRunWhereTheFutureIsCompletedAndTheOutputNeverRuns(t *testing.T) {
	f := new(futures.Future[int])
	var order []int
	f.AddDoneCallback(func(*intFuture) { order = append(order, 1) })
	var out *futures.Future[string]
	out = futures.Compose(f, func(v int) (string, error) {
		wantState(t, out, "pending")
		order = append(order, 2)
		return text(v)
	}, nil)
	out.AddDoneCallback(func(*futures.Future[string]) { order = append(order, 3) })
	f.AddDoneCallback(func(*intFuture) { order = append(order, 4) })
	f.Claim()
	wantState(t, out, "pending")
	set(t, f, 7)
	wantResult(t, out, "7", nil)
	if got := fmt.Sprint(order); got != "[1 2 3 4]" {
		t.Errorf("order is %s", got)
	}
}

func TestAPanicInAHandlerFailsTheOutput(t *testing.T) {
	out := futures.Compose(done(t, 1), func(int) (int, error) { panic(fs.ErrExist) }, nil)
	if _, err := out.ResultWithin(0); !errors.Is(err, fs.ErrExist) {
		t.Errorf("error is %v", err)
	}
	out = futures.Compose(failed[int](t, errBoom), nil, func(error) (int, error) { panic("oops") })
	_, err := out.ResultWithin(0)
	p, ok := errors.AsType[*futures.PanicError](err)
	if !ok || p.Value != "oops" || !strings.Contains(p.Stack, "TestAPanicInAHandler") {
		t.Errorf("error is %+v", err)
	}
}

func TestGoexitInAHandlerFailsTheOutput(t *testing.T) {
	captureLog(t)
	f := new(futures.Future[int])
	a := futures.Compose(f, func(int) (int, error) { runtime.Goexit(); return 0, nil }, nil)
	b := futures.ThenChain(f, func(int) (*intFuture, error) { runtime.Goexit(); return nil, nil }, nil)
	c := futures.Compose(a, nil, func(error) (int, error) { return 3, nil })
	var wg sync.WaitGroup
	wg.Go(func() { f.Settle(1, nil)() })
	wg.Wait()
	for _, out := range []*intFuture{a, b} {
		_, err := out.ResultWithin(0)
		if p, ok := errors.AsType[*futures.PanicError](err); !ok || !p.Goexit {
			t.Errorf("error is %v", err)
		}
	}
	wantResult(t, c, 3, nil)
}

func TestACancelTravelsUpADeepChain(t *testing.T) {
	head := new(futures.Future[int])
	tail := head
	for range 100_000 {
		tail = futures.Compose[int, int](tail, nil, nil)
	}
	tail.Cancel()
	wantState(t, head, "cancelled")
}
