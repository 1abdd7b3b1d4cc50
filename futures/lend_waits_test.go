package futures_test

import (
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/rankpool/rankpool/futures"
)

// The kinds of waits, each by a task on the only worker.
func TestEveryWaitOfATaskWithItsContextLendsItsSlot(t *testing.T) {
	type kind struct {
		name string
		wait func(ctx context.Context, ex *futures.ThreadPoolExecutor, fs []*futures.Future[int]) (int, error)
	}
	double := futures.Local(func(_ context.Context, x int) (int, error) { return 2 * x, nil })
	sum := func(vs []int) (n int) {
		for _, v := range vs {
			n += v
		}
		return n
	}
	kinds := []kind{
		{"Result", func(ctx context.Context, _ *futures.ThreadPoolExecutor, fs []*futures.Future[int]) (n int, _ error) {
			for _, f := range slices.Backward(fs) {
				v, err := f.Result(ctx)
				if err != nil {
					return 0, err
				}
				n += v
			}
			return n, nil
		}},
		{"Exception", func(ctx context.Context, _ *futures.ThreadPoolExecutor, fs []*futures.Future[int]) (n int, _ error) {
			for _, f := range fs {
				if err, waitErr := f.Exception(ctx); err != nil || waitErr != nil {
					return 0, errors.Join(err, waitErr)
				}
				v, _ := f.Result(ctx)
				n += v
			}
			return n, nil
		}},
		{"Wait", func(ctx context.Context, _ *futures.ThreadPoolExecutor, fs []*futures.Future[int]) (n int, _ error) {
			done, _, err := futures.Wait(ctx, fs, futures.AllCompleted)
			for _, f := range done {
				v, _ := f.Result(ctx)
				n += v
			}
			return n, err
		}},
		{"AsCompleted", func(ctx context.Context, _ *futures.ThreadPoolExecutor, fs []*futures.Future[int]) (n int, _ error) {
			for f, err := range futures.AsCompleted(ctx, fs) {
				if err != nil {
					return 0, err
				}
				v, _ := f.Result(ctx)
				n += v
			}
			return n, nil
		}},
		{"Collect", func(ctx context.Context, _ *futures.ThreadPoolExecutor, fs []*futures.Future[int]) (int, error) {
			vs, err := futures.Collect(fs...).Result(ctx)
			return sum(vs), err
		}},
		{"Then", func(ctx context.Context, _ *futures.ThreadPoolExecutor, fs []*futures.Future[int]) (int, error) {
			return futures.Then(futures.Collect(fs...), func(vs []int) (int, error) { return sum(vs), nil }, nil).Result(ctx)
		}},
		{"ThenChain", func(ctx context.Context, ex *futures.ThreadPoolExecutor, fs []*futures.Future[int]) (int, error) {
			for _, f := range fs {
				if _, err := f.Result(ctx); err != nil {
					return 0, err
				}
			}
			return futures.ThenChain(futures.Collect(fs...), func(vs []int) (*futures.Future[int], error) {
				return futures.Submit(ex, double, sum(vs)/2)
			}, nil).Result(ctx)
		}},
		{"Map", func(ctx context.Context, ex *futures.ThreadPoolExecutor, _ []*futures.Future[int]) (n int, _ error) {
			for v, err := range futures.Map(ctx, ex, double, []int{1, 2, 3, 4, 5}) {
				if err != nil {
					return 0, err
				}
				n += v
			}
			return n, nil
		}},
		{"Map of a sequence", func(ctx context.Context, ex *futures.ThreadPoolExecutor, _ []*futures.Future[int]) (n int, _ error) {
			for v, err := range futures.Map(ctx, ex, double, slices.Values([]int{1, 2, 3, 4, 5}), futures.Unordered()) {
				if err != nil {
					return 0, err
				}
				n += v
			}
			return n, nil
		}},
		{"SubmitEach", func(ctx context.Context, ex *futures.ThreadPoolExecutor, _ []*futures.Future[int]) (int, error) {
			f, err := futures.SubmitEach(ex, double, 15)
			if err != nil {
				return 0, err
			}
			vs, err := f.Result(ctx)
			return sum(vs), err
		}},
		{"a goroutine of the task", func(ctx context.Context, _ *futures.ThreadPoolExecutor, fs []*futures.Future[int]) (int, error) {
			var n atomic.Int64
			var all sync.WaitGroup
			for _, f := range fs {
				all.Go(func() {
					v, _ := f.Result(ctx)
					n.Add(int64(v))
				})
			}
			all.Wait()
			return int(n.Load()), nil
		}},
	}
	for _, k := range kinds {
		t.Run(k.name, func(t *testing.T) {
			ex := goroutines(t, 1)
			outer := futures.Local(func(ctx context.Context, _ int) (int, error) {
				var fs []*futures.Future[int]
				for i := range 5 {
					f, err := futures.Submit(ex, double, i+1)
					if err != nil {
						return 0, err
					}
					fs = append(fs, f)
				}
				return k.wait(ctx, ex, fs)
			})
			if got := result(t, ex, outer, 0); got != 30 {
				t.Errorf("got %d, want 30", got)
			}
		})
	}
}

func TestATaskMayWaitForAFutureThatATaskOfItsPoolCompletes(t *testing.T) {
	ex := goroutines(t, 1)
	promise := futures.NewPromise[int]()
	keep := futures.Local(func(_ context.Context, x int) (int, error) { return 0, promise.SetResult(x) })
	outer := futures.Local(func(ctx context.Context, _ int) (int, error) {
		if _, err := futures.Submit(ex, keep, 7); err != nil {
			return 0, err
		}
		return promise.Future().Result(ctx)
	})
	if got := result(t, ex, outer, 0); got != 7 {
		t.Error(got)
	}
}

// The slot used to be promised to the task as soon as the first future of the chain was there, and the second never got one.
func TestATaskWaitsForAChainWhoseSecondFutureIsQueuedWhenTheFirstIsDone(t *testing.T) {
	for _, workers := range []int{1, 3} {
		ex, err := futures.NewThreadPoolExecutor(futures.WithMaxWorkers(workers))
		if err != nil {
			t.Fatal(err)
		}
		var sum futures.Func[int, int]
		waits := map[string]func(context.Context, *futures.Future[int], func() *futures.Future[int]) (int, error){
			"ThenChain": func(ctx context.Context, a *futures.Future[int], b func() *futures.Future[int]) (int, error) {
				f := b()
				return futures.ThenChain(a, func(int) (*futures.Future[int], error) { return f, nil }, nil).Result(ctx)
			},
			"a handler that submits": func(ctx context.Context, a *futures.Future[int], b func() *futures.Future[int]) (int, error) {
				return futures.ThenChain(a, func(int) (*futures.Future[int], error) { return b(), nil }, nil).Result(ctx)
			},
			"Wait": func(ctx context.Context, a *futures.Future[int], b func() *futures.Future[int]) (int, error) {
				c := futures.ThenChain(a, func(int) (*futures.Future[int], error) { return b(), nil }, nil)
				if _, _, err := futures.Wait(ctx, []*futures.Future[int]{c}, futures.AllCompleted); err != nil {
					return 0, err
				}
				return c.Result(ctx)
			},
			"Wait for a promise too": func(ctx context.Context, a *futures.Future[int], b func() *futures.Future[int]) (int, error) {
				p := futures.NewPromise[int]()
				b().AddDoneCallback(func(*futures.Future[int]) { _ = p.SetResult(1) })
				if _, _, err := futures.Wait(ctx, []*futures.Future[int]{a, p.Future()}, futures.AllCompleted); err != nil {
					return 0, err
				}
				return a.Result(ctx)
			},
		}
		for name, wait := range waits {
			sum = futures.Local(func(ctx context.Context, depth int) (int, error) {
				if depth == 0 {
					return 1, nil
				}
				a, err := futures.Submit(ex, sum, depth-1)
				if err != nil {
					return 0, err
				}
				return wait(ctx, a, func() *futures.Future[int] {
					b, err := futures.Submit(ex, sum, depth-1)
					if err != nil {
						t.Error(err)
					}
					return b
				})
			})
			f, err := futures.Submit(ex, sum, 5)
			if err != nil {
				t.Fatal(err)
			}
			if y, err := f.Result(bounded(t)); y != 1 || err != nil {
				t.Errorf("%s on %d workers: %d, %v", name, workers, y, err)
			}
		}
		if err := ex.Close(); err != nil {
			t.Error(err)
		}
	}
}

func TestATaskWaitsForAChainOfAnotherExecutorWhoseHandlerSubmitsToItsOwn(t *testing.T) {
	ex, other := goroutines(t, 1), goroutines(t, 1)
	one := futures.Local(func(context.Context, int) (int, error) { return 1, nil })
	task := futures.Local(func(ctx context.Context, _ int) (int, error) {
		f, err := futures.Submit(other, one, 0)
		if err != nil {
			return 0, err
		}
		return futures.ThenChain(f, func(int) (*futures.Future[int], error) { return futures.Submit(ex, one, 0) }, nil).Result(ctx)
	})
	if got := result(t, ex, task, 0); got != 1 {
		t.Error(got)
	}
}

func TestATaskReadsFuturesOfSeveralTypesAsTheyComplete(t *testing.T) {
	ex := goroutines(t, 1)
	one := futures.Local(func(context.Context, int) (int, error) { return 1, nil })
	task := futures.Local(func(ctx context.Context, _ int) (int, error) {
		done := futures.NewPromise[string]()
		_ = done.SetResult("done")
		f, err := futures.Submit(ex, one, 0)
		if err != nil {
			return 0, err
		}
		n := 0
		for _, err := range futures.AsCompleted(ctx, []futures.Awaitable{done.Future(), f}) {
			if err != nil {
				return 0, err
			}
			n++
		}
		return n, nil
	})
	if got := result(t, ex, task, 0); got != 2 {
		t.Error(got)
	}
}

// Each shared future used to be looked at once for each way that leads to it: as many as a Fibonacci number.
func TestATaskWaitsForAGraphOfSharedFutures(t *testing.T) {
	ex := goroutines(t, 1)
	one := futures.Local(func(context.Context, int) (int, error) { return 1, nil })
	task := futures.Local(func(ctx context.Context, layers int) (int, error) {
		a, err := futures.Submit(ex, one, 0)
		if err != nil {
			return 0, err
		}
		b := a
		for range layers {
			a, b = b, futures.Then(futures.Collect(a, b), func(v []int) (int, error) { return (v[0] + v[1]) % 1000, nil }, nil)
		}
		return b.Result(ctx)
	})
	result(t, ex, task, 80)
}
