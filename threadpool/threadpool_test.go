package threadpool_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rankpool/rankpool/futures"
	"github.com/rankpool/rankpool/internal/testkit"
	"github.com/rankpool/rankpool/pool"
	"github.com/rankpool/rankpool/threadpool"
)

func TestMain(m *testing.M) { testkit.Main(m) }

func start(t *testing.T, opts ...pool.Option) *pool.Pool {
	t.Helper()
	p, err := threadpool.New(opts...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		p.Terminate()
		if err := p.Join(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return p
}

func TestWithoutASizeThereIsOneWorkerPerCore(t *testing.T) { // where the original has one
	t.Setenv("RANKPOOL_MAX_WORKERS", "97")
	n, err := start(t).Executor().NumWorkers(t.Context())
	if want := min(runtime.NumCPU(), runtime.GOMAXPROCS(0)); n != want || err != nil {
		t.Errorf("%d workers, %v; want %d", n, err, want)
	}
}

func TestArgumentsAndResultsAreShared(t *testing.T) {
	p := start(t)
	same := futures.Local(func(_ context.Context, x *int) (*int, error) { *x++; return x, nil })
	xs := []*int{new(int), new(int)}
	ys, err := pool.Map(t.Context(), p, same, xs)
	if err != nil || ys[0] != xs[0] || ys[1] != xs[1] || *xs[0] != 1 {
		t.Error(ys, err)
	}
	if y, err := pool.Apply(t.Context(), p, same, xs[0]); y != xs[0] || err != nil {
		t.Error(y, err)
	}
}

func TestErrorsKeepTheirIdentity(t *testing.T) {
	p := start(t)
	mine := errors.New("mine")
	_, err := pool.Apply(t.Context(), p, futures.Local(func(context.Context, int) (int, error) { return 0, mine }), 1)
	if err != mine {
		t.Errorf("%v, want the very error", err)
	}
}

func TestThereAreNeverMoreTasksAtOnceThanWorkers(t *testing.T) {
	const size = 3
	p := start(t, pool.WithProcesses(size))
	var now, most atomic.Int64
	task := futures.Local(func(ctx context.Context, _ int) (int, error) {
		n := now.Add(1)
		defer now.Add(-1)
		for m := most.Load(); n > m && !most.CompareAndSwap(m, n); m = most.Load() {
		}
		runtime.Gosched()
		return 0, ctx.Err()
	})
	var rs []*pool.MapResult[int]
	for range 5 {
		r, err := pool.MapAsync(t.Context(), p, task, make([]int, 200), pool.WithChunkSize(1))
		if err != nil {
			t.Fatal(err)
		}
		rs = append(rs, r)
	}
	for _, r := range rs {
		if _, err := r.Get(t.Context()); err != nil {
			t.Error(err)
		}
	}
	if most.Load() > size {
		t.Errorf("%d tasks at once on %d workers", most.Load(), size)
	}
}

func TestATaskMayWaitForTasksOfItsOwnPool(t *testing.T) {
	p := start(t, pool.WithProcesses(1))
	double := futures.Local(func(_ context.Context, x int) (int, error) { return 2 * x, nil })
	waits := map[string]func(ctx context.Context) ([]int, error){
		"Map": func(ctx context.Context) ([]int, error) { return pool.Map(ctx, p, double, []int{1, 2, 3}) },
		"MapAsync": func(ctx context.Context) ([]int, error) {
			r, err := pool.MapAsync(ctx, p, double, []int{1, 2, 3})
			if err != nil {
				return nil, err
			}
			r.Wait(ctx)
			return r.Get(ctx)
		},
		"Apply": func(ctx context.Context) (ys []int, _ error) {
			for _, x := range []int{1, 2, 3} {
				y, err := pool.Apply(ctx, p, double, x)
				if err != nil {
					return nil, err
				}
				ys = append(ys, y)
			}
			return ys, nil
		},
		"ApplyAsync": func(ctx context.Context) (ys []int, _ error) {
			for _, x := range []int{1, 2, 3} {
				r, err := pool.ApplyAsync(p, double, x)
				if err != nil {
					return nil, err
				}
				r.Wait(ctx)
				y, err := r.Get(ctx)
				if err != nil {
					return nil, err
				}
				ys = append(ys, y)
			}
			return ys, nil
		},
		"Imap": func(ctx context.Context) (ys []int, _ error) {
			for y, err := range pool.Imap(ctx, p, double, []int{1, 2, 3}) {
				if err != nil {
					return nil, err
				}
				ys = append(ys, y)
			}
			return ys, nil
		},
	}
	for name, wait := range waits {
		t.Run(name, func(t *testing.T) {
			outer := futures.Local(func(ctx context.Context, _ int) ([]int, error) { return wait(ctx) })
			if ys, err := pool.Apply(t.Context(), p, outer, 0); err != nil || fmt.Sprint(ys) != "[2 4 6]" {
				t.Error(ys, err)
			}
		})
	}
}

// A task that has started a map goes on: it waits when it waits for the result.
func TestATaskWhoseMapIsUnderWayHasNotLentItsPlace(t *testing.T) {
	p := start(t, pool.WithProcesses(1))
	var began atomic.Int64
	double := futures.Local(func(_ context.Context, x int) (int, error) { began.Add(1); return 2 * x, nil })
	outer := futures.Local(func(ctx context.Context, _ int) (int, error) {
		r, err := pool.MapAsync(ctx, p, double, []int{1, 2, 3})
		if err != nil {
			return 0, err
		}
		for range 1000 {
			runtime.Gosched()
			if n := began.Load(); n > 0 {
				return 0, fmt.Errorf("%d other tasks have begun on the only worker", n)
			}
		}
		ys, err := r.Get(ctx)
		return len(ys), err
	})
	if n, err := pool.Apply(t.Context(), p, outer, 0); n != 3 || err != nil {
		t.Error(n, err)
	}
}

func TestTheInitializerRunsOnceForAllWorkers(t *testing.T) {
	var calls atomic.Int64
	p := start(t, pool.WithProcesses(4),
		pool.WithInitializer(futures.Local(func(_ context.Context, n int64) (int, error) { calls.Add(n); return 0, nil }), 10))
	if _, err := p.Executor().NumWorkers(t.Context()); err != nil || calls.Load() != 10 {
		t.Errorf("called %d times, %v", calls.Load()/10, err)
	}
}

func TestOptionsThatOnlyProcessesHonourAreRefused(t *testing.T) {
	p, err := threadpool.New(pool.WithProcesses(-1), futures.WithEnv(map[string]string{"A": "1"}), futures.WithDir("."))
	if p != nil || err == nil {
		t.Fatal(p, err)
	}
	_, err = threadpool.New(futures.WithEnv(map[string]string{"A": "1"}), futures.WithDir("."))
	for _, word := range []string{"threadpool: New", "WithEnv", "WithDir"} {
		if err == nil || !strings.Contains(err.Error(), word) {
			t.Errorf("%q is not in %v", word, err)
		}
	}
}

func ExampleWith() {
	ctx := context.Background()
	err := threadpool.With(ctx, func(p *pool.Pool) error {
		factor := 10 // closures are allowed
		scale := futures.Local(func(_ context.Context, x int) (int, error) { return factor * x, nil })
		ys, err := pool.Map(ctx, p, scale, []int{1, 2, 3})
		fmt.Println(ys)
		return err
	}, pool.WithProcesses(2))
	fmt.Println(err)
	// Output:
	// [10 20 30]
	// <nil>
}

// Without With, Join ends a pool.
func ExampleNew() {
	ctx := context.Background()
	p, err := threadpool.New(pool.WithProcesses(2))
	if err != nil {
		log.Fatal(err)
	}
	half := futures.Local(func(_ context.Context, x int) (int, error) { return x / 2, nil })
	fmt.Println(pool.Apply(ctx, p, half, 8))
	fmt.Println(p.Join(ctx))
	// Output:
	// 4 <nil>
	// <nil>
}

// A task that waits ends with its context, so that Terminate and the end of a map can end it.
func ExampleNew_terminate() {
	ctx := context.Background()
	p, err := threadpool.New(pool.WithProcesses(1))
	if err != nil {
		log.Fatal(err)
	}
	begun := make(chan struct{})
	nap := futures.Local(func(ctx context.Context, d time.Duration) (string, error) {
		close(begun)
		select {
		case <-time.After(d):
			return "rested", nil
		case <-ctx.Done():
			return "", ctx.Err()
		}
	})
	r, err := pool.ApplyAsync(p, nap, time.Hour)
	if err != nil {
		log.Fatal(err)
	}
	<-begun
	p.Terminate()
	_, err = r.Get(ctx)
	fmt.Println(err, p.Join(ctx))
	// Output: context canceled <nil>
}
