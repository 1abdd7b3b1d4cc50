package futures_test

import (
	"context"
	"errors"
	"log/slog"
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rankpool/rankpool/futures"
	"github.com/rankpool/rankpool/internal/testkit"
)

func TestArrivalsCountEveryElementBeforeItIsRead(t *testing.T) {
	ex, err := futures.NewThreadPoolExecutor(futures.WithMaxWorkers(2))
	if err != nil {
		t.Fatal(err)
	}
	defer ex.Close()
	odd := errors.New("thirteen")
	fn := futures.Local(func(_ context.Context, x int) (int, error) {
		if x == 13 {
			return 0, odd
		}
		return x, nil
	})
	xs := make([]int, 100)
	for i := range xs {
		xs[i] = i
	}
	for _, c := range []struct{ upTo, chunk int }{{13, 1}, {13, 5}, {100, 1}, {100, 7}} {
		var came, other atomic.Int64
		read := int64(0)
		in := xs[:c.upTo]
		if c.upTo == 100 {
			in = append(in[:13:13], in[14:]...)
		}
		for _, err := range futures.Map(t.Context(), ex, fn, in, futures.WithChunkSize(c.chunk), futures.WithArrivals(nil),
			futures.WithArrivalCount(&came), futures.WithArrivals(func(n int) { other.Add(int64(n)) })) {
			if err != nil {
				t.Fatal(err)
			}
			if read++; came.Load() < read {
				t.Fatalf("element %d was read when %d had arrived", read, came.Load())
			}
		}
		told(t, ex)
		if want := int64(len(in)); came.Load() != want || other.Load() != want {
			t.Errorf("%d elements in chunks of %d: %d and %d arrived", want, c.chunk, came.Load(), other.Load())
		}
	}
	var came atomic.Int64
	for _, failed := range futures.Map(t.Context(), ex, fn, xs[10:20], futures.WithChunkSize(10),
		futures.WithArrivals(func(n int) { came.Add(int64(n)) })) {
		if failed != nil {
			err = failed
		}
	}
	told(t, ex)
	if !errors.Is(err, odd) || came.Load() != 9 {
		t.Errorf("%d elements arrived beside %v, want 9", came.Load(), err)
	}
}

var arrivalsInc = futures.Register("arrivals.inc", func(x int) (int, error) { return x + 1, nil })

func TestAFunctionForArrivalsCanHarmNobodyElse(t *testing.T) {
	futures.SetLogger(slog.New(slog.DiscardHandler))
	t.Cleanup(func() { futures.SetLogger(nil) })
	for name, make := range map[string]func() (futures.Executor, error){
		"threads":   func() (futures.Executor, error) { return futures.NewThreadPoolExecutor(futures.WithMaxWorkers(1)) },
		"processes": func() (futures.Executor, error) { return futures.NewProcessPoolExecutor(futures.WithMaxWorkers(1)) },
	} {
		t.Run(name, func(t *testing.T) {
			ex, err := make()
			if err != nil {
				t.Fatal(err)
			}
			defer ex.Close()
			later, err := futures.Submit(ex, arrivalsInc, 0)
			if err != nil {
				t.Fatal(err)
			}
			for what, tell := range map[string]func(int){
				"ends its goroutine": func(int) { runtime.Goexit() },
				"panics":             func(int) { panic("told to") },
				"waits": func(int) {
					f, err := futures.Submit(ex, arrivalsInc, 1)
					if err == nil {
						_, err = f.ResultWithin(10 * time.Millisecond) // its worker is the one whose results this is told of
					}
					if err != nil && !errors.Is(err, futures.ErrTimeout) && !errors.Is(err, futures.ErrShutdown) {
						t.Error(err)
					}
				},
			} {
				for y, err := range futures.Map(t.Context(), ex, arrivalsInc, []int{1}, futures.WithArrivals(tell)) {
					if y != 2 || err != nil {
						t.Errorf("it %s: %d, %v", what, y, err)
					}
				}
			}
			if y, err := later.ResultWithin(testkit.Limit); y != 1 || err != nil {
				t.Errorf("%d, %v", y, err)
			}
			f, err := futures.Submit(ex, arrivalsInc, 2)
			if err != nil {
				t.Fatal(err)
			}
			if y, err := f.ResultWithin(testkit.Limit); y != 3 || err != nil {
				t.Errorf("afterwards: %d, %v", y, err)
			}
		})
	}
}

// told waits until the callbacks that are due by now have run.
func told(t *testing.T, ex futures.Executor) {
	t.Helper()
	p := futures.NewPromiseOn[int](ex)
	_ = p.SetResult(0)
	if err := p.Future().WaitCallbacks(t.Context()); err != nil {
		t.Fatal(err)
	}
}
