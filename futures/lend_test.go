package futures_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rankpool/rankpool/futures"
	"github.com/rankpool/rankpool/internal/testkit"
)

// goroutines makes an executor of n goroutines.
func goroutines(t *testing.T, n int, opts ...futures.Option) *futures.ThreadPoolExecutor {
	t.Helper()
	ex, err := futures.NewThreadPoolExecutor(append(opts, futures.WithMaxWorkers(n))...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), hang)
		defer cancel()
		if err := ex.Shutdown(ctx, futures.CancelFutures(), futures.InterruptTasks()); err != nil {
			t.Error(err)
		}
	})
	return ex
}

// hang bounds what would otherwise wait without end.
var hang = testkit.Limit

func bounded(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), hang)
	t.Cleanup(cancel)
	return ctx
}

// result submits a call and waits for it.
func result[A, R any](t *testing.T, ex futures.Executor, fn futures.Func[A, R], arg A) R {
	t.Helper()
	f, err := futures.Submit(ex, fn, arg)
	if err != nil {
		t.Fatal(err)
	}
	v, err := f.Result(bounded(t))
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// busy counts tasks that run and do not wait.
type busy struct{ now, most atomic.Int64 }

func (b *busy) begin() {
	n := b.now.Add(1)
	for m := b.most.Load(); n > m && !b.most.CompareAndSwap(m, n); m = b.most.Load() {
	}
	runtime.Gosched() // others that run now shall be seen
}

func (b *busy) end() { b.now.Add(-1) }

func TestATaskMayWaitForTasksOfItsOwnPool(t *testing.T) {
	for _, workers := range []int{1, 2, 8} {
		t.Run(fmt.Sprint(workers), func(t *testing.T) {
			ex := goroutines(t, workers)
			var b busy
			var fib futures.Func[int, int]
			fib = futures.Local(func(ctx context.Context, n int) (int, error) {
				b.begin()
				defer b.end()
				if n < 2 {
					return n, nil
				}
				sum := 0
				var fs []*futures.Future[int]
				for _, m := range []int{n - 1, n - 2} {
					f, err := futures.Submit(ex, fib, m)
					if err != nil {
						return 0, err
					}
					fs = append(fs, f)
				}
				if n%2 == 0 { // of these the pool does not know which result ends them
					b.end()
					_, _, err := futures.Wait(ctx, fs, futures.AllCompleted)
					b.begin()
					if err != nil {
						return 0, err
					}
				}
				for _, f := range fs {
					b.end()
					v, err := f.Result(ctx)
					b.begin()
					if err != nil {
						return 0, err
					}
					sum += v
				}
				return sum, nil
			})
			if got := result(t, ex, fib, 15); got != 610 {
				t.Errorf("fib(15) = %d", got)
			}
			if most := b.most.Load(); most > int64(workers) {
				t.Errorf("%d tasks ran at once on %d workers", most, workers)
			}
			s := ex.Stats()
			if s.Running != 0 || s.Waiting != 0 || s.Queued != 0 || s.Done != 1973 {
				t.Errorf("%+v", s)
			}
			if n, err := ex.NumWorkers(t.Context()); n != workers || err != nil {
				t.Errorf("%d workers, %v", n, err)
			}
		})
	}
}

func TestAWaitThatEndsByItsContextWaitsForNoSlot(t *testing.T) {
	ex := goroutines(t, 1)
	release := make(chan struct{})
	began := make(chan struct{})
	inner := futures.Local(func(ctx context.Context, _ int) (int, error) {
		close(began)
		select {
		case <-release:
			return 1, nil
		case <-ctx.Done():
			return 0, ctx.Err()
		}
	})
	outer := futures.Local(func(ctx context.Context, _ int) (int, error) {
		f, err := futures.Submit(ex, inner, 0)
		if err != nil {
			return 0, err
		}
		short, cancel := context.WithCancel(ctx)
		go func() { <-began; cancel() }()
		if _, err := f.Result(short); !errors.Is(err, context.Canceled) {
			return 0, errors.Join(errors.New("the wait ended otherwise"), err)
		}
		close(release) // the only slot belongs to the task that waits for this
		return f.Result(ctx)
	})
	if got := result(t, ex, outer, 0); got != 1 {
		t.Error(got)
	}
}

func TestWhoHasWaitedGoesOnBeforeAnythingThatIsQueued(t *testing.T) {
	ex := goroutines(t, 1)
	var mu sync.Mutex
	var order []string
	note := func(s string) { mu.Lock(); order = append(order, s); mu.Unlock() }
	inner := futures.Local(func(context.Context, string) (int, error) { note("inner"); return 0, nil })
	queued := futures.Local(func(context.Context, int) (int, error) { note("queued"); return 0, nil })
	outer := futures.Local(func(ctx context.Context, _ int) (int, error) {
		for i := range 3 {
			if _, err := futures.Submit(ex, queued, i); err != nil {
				return 0, err
			}
		}
		f, err := futures.Submit(ex, inner, "")
		if err != nil {
			return 0, err
		}
		_, err = f.Result(ctx)
		note("outer")
		return 0, err
	})
	result(t, ex, outer, 0)
	if err := ex.Close(); err != nil {
		t.Fatal(err)
	}
	if want := []string{"inner", "outer", "queued", "queued", "queued"}; !slices.Equal(order, want) {
		t.Errorf("%q, want %q", order, want)
	}
}

// The upper half of the tree is a path, the lower half has two children everywhere.
func TestATreeOfTasksBlocksNoMoreThanItsDepth(t *testing.T) {
	const depth = 20
	ex := goroutines(t, 1)
	before := runtime.NumGoroutine()
	var waiting, most atomic.Int64
	var goroutines atomic.Int64
	var walk futures.Func[int, int]
	walk = futures.Local(func(ctx context.Context, d int) (int, error) {
		if n := int64(runtime.NumGoroutine()); n > goroutines.Load() {
			goroutines.Store(n)
		}
		if d == 0 {
			return 1, nil
		}
		width := 2
		if d > depth/2 {
			width = 1
		}
		var fs []*futures.Future[int]
		for range width {
			f, err := futures.Submit(ex, walk, d-1)
			if err != nil {
				return 0, err
			}
			fs = append(fs, f)
		}
		n := 1
		for _, f := range fs {
			w := waiting.Add(1)
			if w > most.Load() {
				most.Store(w)
			}
			m, err := f.Result(ctx)
			waiting.Add(-1)
			if err != nil {
				return 0, err
			}
			n += m
		}
		return n, nil
	})
	if got := result(t, ex, walk, depth); got != 10+2047 {
		t.Errorf("%d tasks", got)
	}
	if most.Load() > 3*depth { // tiny tasks come in batches, so that there may be some of another branch
		t.Errorf("%d tasks waited at once in a tree of depth %d", most.Load(), depth)
	}
	// Of each: the goroutine that waits, the one that receives, and Serve; and the spare ones, and those that are about to end.
	if got, bound := int(goroutines.Load())-before, 4*int(most.Load())+4*9+20; got > bound {
		t.Errorf("%d goroutines more than before, at most %d expected", got, bound)
	}
	t.Logf("%d waited, %d goroutines", most.Load(), int(goroutines.Load())-before)
}

func TestAShutdownWaitsForTasksThatWait(t *testing.T) {
	for _, opts := range [][]futures.ShutdownOption{nil, {futures.CancelFutures()}, {futures.InterruptTasks()}, {futures.CancelFutures(), futures.InterruptTasks()}} {
		ex := goroutines(t, 2)
		waits, release := make(chan struct{}, 100), make(chan struct{})
		inner := futures.Local(func(ctx context.Context, x int) (int, error) {
			select {
			case <-release:
				return x, nil
			case <-ctx.Done():
				return 0, ctx.Err()
			}
		})
		outer := futures.Local(func(ctx context.Context, _ int) (int, error) {
			var fs []*futures.Future[int]
			for i := range 4 {
				f, err := futures.Submit(ex, inner, i)
				if err != nil {
					return 0, err
				}
				fs = append(fs, f)
			}
			waits <- struct{}{}
			n := 0
			for _, f := range fs {
				v, err := f.Result(ctx)
				if err != nil {
					return 0, err
				}
				n += v
			}
			return n, nil
		})
		var fs []*futures.Future[int]
		for range 3 {
			f, err := futures.Submit(ex, outer, 0)
			if err != nil {
				t.Fatal(err)
			}
			fs = append(fs, f)
		}
		<-waits
		time.AfterFunc(time.Millisecond, func() { close(release) })
		if err := ex.Shutdown(bounded(t), opts...); err != nil {
			t.Error(err)
		}
		for _, f := range fs {
			if !f.Done() {
				t.Errorf("%v after the shutdown", f)
			}
		}
		if s := ex.Stats(); s.Running != 0 || s.Waiting != 0 || s.Queued != 0 {
			t.Errorf("%+v", s)
		}
	}
}

func TestATaskThatWaitsEndsWithItsTime(t *testing.T) {
	ex := goroutines(t, 1)
	never := futures.Local(func(ctx context.Context, _ int) (int, error) { <-ctx.Done(); return 0, ctx.Err() })
	outer := futures.Local(func(ctx context.Context, _ int) (int, error) {
		f, err := futures.Submit(ex, never, 0)
		if err != nil {
			return 0, err
		}
		return f.Result(ctx)
	})
	f, err := futures.Submit(ex, outer, 0, futures.WithTaskTimeout(20*time.Millisecond))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.Result(bounded(t)); !errors.Is(err, context.DeadlineExceeded) {
		t.Error(err)
	}
}

func TestATaskThatClosesItsOwnPoolGetsAnError(t *testing.T) {
	ex := goroutines(t, 2)
	ends := map[string]func(ctx context.Context) error{
		"Close":            func(context.Context) error { return ex.Close() },
		"Shutdown":         func(ctx context.Context) error { return ex.Shutdown(ctx) },
		"Shutdown with it": func(context.Context) error { return ex.Shutdown(context.Background(), futures.CancelFutures()) },
	}
	for name, end := range ends {
		call := futures.Local(func(ctx context.Context, _ int) (string, error) {
			if err := end(ctx); err != nil {
				return err.Error(), nil
			}
			return "", nil
		})
		if got := result(t, ex, call, 0); got == "" {
			t.Errorf("%s: no error", name)
		}
	}
	other := goroutines(t, 1)
	call := futures.Local(func(ctx context.Context, _ int) (int, error) { return 1, other.Close() })
	result(t, ex, call, 0) // another pool's task may
}

// Random trees of tasks with every kind of end, of which some are cancelled and some run out of time.
func TestTasksThatWaitForEachOtherUnderStress(t *testing.T) {
	ex := goroutines(t, 3)
	var walk futures.Func[int, int]
	failure := errors.New("no luck")
	member := futures.Local(func(_ context.Context, x int) (int, error) { return x, nil })
	walk = futures.Local(func(ctx context.Context, d int) (int, error) {
		switch r := rand.IntN(100); {
		case r == 0:
			return 0, failure
		case r == 1:
			panic("no luck either")
		case r == 2:
			runtime.Goexit()
		case d == 0:
			return 1, nil
		}
		var fs []*futures.Future[int]
		for range 1 + rand.IntN(3) {
			f, err := futures.Submit(ex, walk, d-1)
			if err != nil {
				return 0, err
			}
			fs = append(fs, f)
		}
		n := 1
		switch rand.IntN(6) {
		case 0:
			vs, err := futures.Collect(fs...).Result(ctx)
			if err != nil {
				return 0, err
			}
			for _, v := range vs {
				n += v
			}
		case 1:
			short, cancel := context.WithTimeout(ctx, time.Duration(rand.IntN(300))*time.Microsecond)
			defer cancel()
			_, left, _ := futures.Wait(short, fs, futures.AllCompleted)
			for _, f := range left {
				f.Cancel()
			}
		case 2:
			for f, err := range futures.AsCompleted(ctx, fs) {
				if err != nil {
					return 0, err
				}
				v, _ := f.Result(ctx)
				n += v
			}
		case 3:
			var all sync.WaitGroup
			for _, f := range fs {
				all.Go(func() { _, _ = f.Result(ctx) })
			}
			all.Wait()
		case 4:
			f, err := futures.SubmitEach(ex, member, d)
			if err != nil {
				return 0, err
			}
			if _, err := f.Result(ctx); err != nil {
				return 0, err
			}
		default:
			for v, err := range futures.Map(ctx, ex, walk, make([]int, 1+rand.IntN(4))) {
				if err != nil {
					return 0, err
				}
				n += v
			}
		}
		return n, nil
	})
	rounds := 60
	if testing.Short() {
		rounds = 10
	}
	for range rounds {
		var fs []*futures.Future[int]
		for range 8 {
			f, err := futures.Submit(ex, walk, 4)
			if err != nil {
				t.Fatal(err)
			}
			fs = append(fs, f)
		}
		if _, left, err := futures.Wait(bounded(t), fs, futures.AllCompleted); len(left) > 0 || err != nil {
			t.Fatalf("%d of %d left, %v, %+v", len(left), len(fs), err, ex.Stats())
		}
	}
	if err := ex.Shutdown(bounded(t)); err != nil {
		t.Fatal(err)
	}
	if s := ex.Stats(); s.Running != 0 || s.Waiting != 0 || s.Queued != 0 || s.Submitted != s.Done+s.Failed+s.Cancelled {
		t.Errorf("%+v", s)
	}
}
