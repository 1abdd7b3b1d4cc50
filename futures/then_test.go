package futures_test

import (
	"errors"
	"runtime"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rankpool/rankpool/futures"
	"github.com/rankpool/rankpool/internal/testkit"
)

func addOne(v int) (int, error) { return v + 1, nil }

func TestThenGivesDistinctFuturesInOrder(t *testing.T) {
	f := new(futures.Future[int])
	var order []int
	add := func(n int) func(int) (int, error) {
		return func(v int) (int, error) { order = append(order, n); return v + n, nil }
	}
	a, b, c := futures.Then(f, add(1), nil), futures.Then(f, add(2), nil), futures.Then[int, int](f, nil, nil)
	if a == b || b == c || c == f {
		t.Error("the futures are not distinct")
	}
	set(t, f, 10)
	wantResult(t, a, 11, nil)
	wantResult(t, b, 12, nil)
	wantResult(t, c, 10, nil)
	if diff := cmp.Diff([]int{1, 2}, order); diff != "" {
		t.Error(diff)
	}
	wantResult(t, futures.Then[int, int](failed[int](t, errBoom), nil, nil), 0, errBoom)
	wantResult(t, futures.Then(done(t, 1), text, nil), "1", nil)
}

func TestTheHandlersOfThen(t *testing.T) {
	other := errors.New("other")
	fail := func(int) (int, error) { return 0, other }
	wantResult(t, futures.Then(done(t, 1), fail, nil), 0, other)
	replace := func(error) (int, error) { return 0, other }
	swallow := func(error) (int, error) { return 0, nil }
	wantResult(t, futures.Then(failed[int](t, errBoom), never[int, int](t), replace), 0, other)
	wantResult(t, futures.Then(failed[int](t, errBoom), never[int, int](t), swallow), 0, nil)
	wantResult(t, futures.Then(done(t, 1), addOne, never[error, int](t)), 2, nil)
	// Unlike Compose, the failure of the one is offered to the other.
	wantResult(t, futures.Then(done(t, 1), fail, func(err error) (int, error) {
		if !same(err, other) {
			t.Errorf("the handler got %v", err)
		}
		return 5, nil
	}), 5, nil)
	wantResult(t, futures.Then(done(t, 1), func(int) (int, error) { panic(other) }, func(err error) (int, error) {
		if !errors.Is(err, other) {
			t.Errorf("the handler got %v", err)
		}
		return 6, nil
	}), 6, nil)
}

func TestAHandlersFutureIsChainedTo(t *testing.T) {
	for name, tt := range map[string]struct {
		end  func(*intFuture)
		want int
		err  error
	}{
		"success": {func(f *intFuture) { f.Settle(9, nil)() }, 9, nil},
		"failure": {func(f *intFuture) { f.Settle(0, errBoom)() }, 0, errBoom},
		"cancel":  {func(f *intFuture) { f.Cancel() }, 0, futures.ErrCancelled},
	} {
		t.Run(name, func(t *testing.T) {
			for _, early := range []bool{false, true} {
				f, inner := new(futures.Future[int]), new(futures.Future[int])
				if early {
					tt.end(inner)
				}
				out := futures.ThenChain(f, func(int) (*intFuture, error) { return inner, nil }, nil)
				alt := futures.ThenChain(failed[int](t, errBoom), never[int, *intFuture](t),
					func(error) (*intFuture, error) { return inner, nil })
				set(t, f, 1)
				if !early {
					wantState(t, out, "pending")
					wantState(t, alt, "pending")
					tt.end(inner)
				}
				wantResult(t, out, tt.want, tt.err)
				wantResult(t, alt, tt.want, tt.err)
			}
		})
	}
}

func TestAFutureAsAValue(t *testing.T) {
	inner := new(futures.Future[int])
	out := futures.Then(done(t, inner), func(f *intFuture) (bool, error) { return f == inner, nil }, nil)
	wantResult(t, out, true, nil)

	flat := futures.ThenChain[*intFuture, int](done(t, inner), nil, nil)
	wantState(t, flat, "pending")
	set(t, inner, 3)
	wantResult(t, flat, 3, nil)
	wantResult(t, futures.ThenChain[int, int](done(t, 4), nil, nil), 4, nil)
	wantResult(t, futures.ThenChain[int, int](failed[int](t, errBoom), nil, nil), 0, errBoom)
	wantResult(t, futures.ThenChain(done(t, 4), func(int) (*intFuture, error) { return nil, nil }, nil), 0, nil)
	wantResult(t, futures.ThenChain(done(t, 4), func(int) (*intFuture, error) { return nil, errBoom }, nil), 0, errBoom)
}

func TestCancellingTheBaseCancelsTheOutputsOfThen(t *testing.T) {
	f := new(futures.Future[int])
	outs := []*intFuture{
		futures.Then(f, never[int, int](t), never[error, int](t)),
		futures.ThenChain(f, never[int, *intFuture](t), never[error, *intFuture](t)),
		futures.Catch(f, never[error, int](t)),
	}
	f.Cancel()
	for _, out := range outs {
		wantState(t, out, "cancelled")
	}
}

func TestCancellingAnOutputOfThenLeavesTheOthersAlone(t *testing.T) {
	f, inner := new(futures.Future[int]), new(futures.Future[int])
	futures.Then(f, never[int, int](t), nil).Cancel()
	futures.ThenChain(f, never[int, *intFuture](t), nil).Cancel()
	wantState(t, f, "pending")
	wantNoFollowers(t, []*intFuture{f})

	out := futures.ThenChain(done(t, 1), func(int) (*intFuture, error) { return inner, nil }, nil)
	out.Cancel()
	wantState(t, inner, "pending")
	wantNoFollowers(t, []*intFuture{inner})
}

func TestCatch(t *testing.T) {
	wantResult(t, futures.Catch(done(t, 5), never[error, int](t)), 5, nil)
	wantResult(t, futures.Catch(failed[int](t, errBoom), nil), 0, nil)
	wantResult(t, futures.Catch(failed[int](t, errBoom), func(error) (int, error) { return 8, nil }), 8, nil)
	f := new(futures.Future[int])
	out := futures.Catch(f, nil)
	f.Cancel()
	wantState(t, out, "cancelled")
}

func TestAFutureChainedToItselfIsACycle(t *testing.T) {
	f := new(futures.Future[int])
	var out *intFuture
	self := func(int) (*intFuture, error) { return out, nil }
	out = futures.ThenChain(f, self, nil)
	set(t, f, 1)
	if _, err := out.ResultWithin(0); !errors.Is(err, futures.ErrChainCycle) {
		t.Errorf("error is %v", err)
	}

	g := new(futures.Future[int])
	out = futures.ThenChain(g, self, func(err error) (*intFuture, error) {
		if !errors.Is(err, futures.ErrChainCycle) {
			t.Errorf("the handler got %v", err)
		}
		return done(t, 42), nil
	})
	set(t, g, 1)
	wantResult(t, out, 42, nil)

	h := new(futures.Future[int])
	out = futures.ThenChain(h, self, func(error) (*intFuture, error) { return out, nil })
	set(t, h, 1)
	if _, err := out.ResultWithin(0); !errors.Is(err, futures.ErrChainCycle) {
		t.Errorf("error is %v", err)
	}
}

func TestACycleThroughOthersIsFound(t *testing.T) {
	f, g := new(futures.Future[int]), new(futures.Future[int])
	var b *intFuture
	a := futures.ThenChain(f, func(int) (*intFuture, error) { return b, nil }, nil)
	mid := futures.Compose(futures.Then(a, addOne, nil), addOne, nil)
	b = futures.ThenChain(g, func(int) (*intFuture, error) { return mid, nil }, nil)
	set(t, f, 1)
	wantState(t, a, "pending")
	set(t, g, 1)
	for _, out := range []*intFuture{b, a, mid} {
		if _, err := out.ResultWithin(0); !errors.Is(err, futures.ErrChainCycle) {
			t.Errorf("error is %v", err)
		}
	}
}

func TestACycleClosedFromTwoSidesIsFound(t *testing.T) {
	for range 200 {
		f, g := new(futures.Future[int]), new(futures.Future[int])
		var a, b *intFuture
		a = futures.ThenChain(f, func(int) (*intFuture, error) { return b, nil }, nil)
		b = futures.ThenChain(g, func(int) (*intFuture, error) { return a, nil }, nil)
		var wg sync.WaitGroup
		wg.Go(func() { f.Settle(1, nil)() })
		wg.Go(func() { g.Settle(1, nil)() })
		wg.Wait()
		for _, out := range []*intFuture{a, b} {
			if _, err := out.ResultWithin(0); !errors.Is(err, futures.ErrChainCycle) {
				t.Fatalf("error is %v", err)
			}
		}
	}
}

func TestDeepChainsNeitherLeakNorExhaustTheStack(t *testing.T) {
	const deep = 100_000
	defer debug.SetMaxStack(debug.SetMaxStack(1 << 20)) // a crash, should the depth grow with the chain
	chain := func(f *intFuture) *intFuture {
		return futures.ThenChain(f, func(v int) (*intFuture, error) { return done(t, v+1), nil }, nil)
	}
	then := func(f *intFuture) *intFuture { return futures.Then(f, addOne, nil) }
	wrap := func(f *intFuture) *intFuture {
		return futures.ThenChain(done(t, 0), func(int) (*intFuture, error) { return f, nil }, nil)
	}
	for name, tt := range map[string]struct {
		next func(*intFuture) *intFuture
		want int
	}{
		"of values":            {then, deep},
		"of finished futures":  {chain, deep},
		"of unfinished inners": {wrap, 0},
	} {
		t.Run(name, func(t *testing.T) {
			var freed atomic.Int64
			all := make(chan struct{})
			head := new(futures.Future[int])
			tail := head
			for range deep {
				tail = tt.next(tail)
				runtime.AddCleanup(tail, func(n *atomic.Int64) {
					if n.Add(1) == deep-1 {
						close(all)
					}
				}, &freed)
			}
			set(t, head, 0)
			wantResult(t, tail, tt.want, nil)
			// Both ends are held; what lies between must go.
			giveUp := time.After(testkit.Limit)
			for waiting := true; waiting; {
				runtime.GC()
				select {
				case <-all:
					waiting = false
				case <-giveUp:
					t.Fatalf("%d of %d futures of the chain were freed", freed.Load(), deep-1)
				case <-time.After(10 * time.Millisecond):
				}
			}
			runtime.KeepAlive(head)
			runtime.KeepAlive(tail)
		})
	}
}

func TestACancelTravelsDownADeepChain(t *testing.T) {
	head := new(futures.Future[int])
	tail := head
	for range 100_000 {
		tail = futures.Then(tail, never[int, int](t), nil)
	}
	head.Cancel()
	wantState(t, tail, "cancelled")
}
