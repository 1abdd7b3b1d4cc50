package futures_test

import (
	"context"
	"errors"
	"log/slog"
	"runtime"
	"slices"
	"sync"
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
	for _, err = range futures.Map(t.Context(), ex, fn, xs[10:20], futures.WithChunkSize(10),
		futures.WithArrivals(func(n int) { came.Add(int64(n)) })) {
	}
	told(t, ex)
	if !errors.Is(err, odd) || came.Load() != 3 {
		t.Errorf("%d elements arrived before %v, want 3", came.Load(), err)
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
	done := make(chan struct{})
	futures.Notify(ex, func() { close(done) })
	<-done
}

// A waiter that holds what the function wants used to run it itself, and outlived its deadline.
func TestAWaiterThatHoldsWhatCodeOfTheUserWantsReturnsByItsDeadline(t *testing.T) {
	for name, make := range map[string]func(...futures.Option) (futures.Executor, error){
		"threads":   func(o ...futures.Option) (futures.Executor, error) { return futures.NewThreadPoolExecutor(o...) },
		"processes": func(o ...futures.Option) (futures.Executor, error) { return futures.NewProcessPoolExecutor(o...) },
	} {
		t.Run(name, func(t *testing.T) {
			var mu sync.Mutex
			locks := func() { mu.Lock(); mu.Unlock() } //nolint:staticcheck // what a user's code does that shares something
			ex, err := make(futures.WithMaxWorkers(2), futures.WithLogger(slog.New(lockingHandler{&mu})))
			if err != nil {
				t.Fatal(err)
			}
			lockingDecoder.Store(&locks)
			defer lockingDecoder.Store(nil)
			xs := slices.Repeat([]int{1}, 20_000)
			ended := apartFrom(func() {
				for _, err := range futures.Map(t.Context(), ex, arrivalsInc, xs, futures.WithArrivals(func(int) { locks() })) {
					if err != nil {
						t.Error(err)
						return
					}
				}
			})
			for range 200 {
				own, err := futures.Submit(ex, arrivalsLocked, 1)
				if err != nil {
					t.Fatal(err)
				}
				own.AddDoneCallback(func(*futures.Future[lockingValue]) { locks() })
				failing, err := futures.Submit(ex, arrivalsFails, 1)
				if err != nil {
					t.Fatal(err)
				}
				mu.Lock()
				ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
				_, _ = own.Result(ctx) // it ends, whatever it returns
				_, _ = failing.Result(ctx)
				cancel()
				if f, err := futures.Submit(ex, arrivalsInc, 1); err != nil {
					t.Error(err)
				} else if y, err := f.Result(t.Context()); y != 2 || err != nil { // nothing of others stands in its way
					t.Error(y, err)
				}
				ex.Stats()
				mu.Unlock()
			}
			<-ended
			if err := ex.Close(); err != nil {
				t.Error(err)
			}
		})
	}
}

func apartFrom(f func()) <-chan struct{} {
	over := make(chan struct{})
	go func() {
		defer close(over)
		f()
	}()
	return over
}

// lockingHandler is a log handler that shares a lock with the program.
type lockingHandler struct{ mu *sync.Mutex }

func (h lockingHandler) Enabled(context.Context, slog.Level) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return true
}

func (h lockingHandler) Handle(context.Context, slog.Record) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	return nil
}

func (h lockingHandler) WithAttrs([]slog.Attr) slog.Handler {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h
}
func (h lockingHandler) WithGroup(string) slog.Handler { h.mu.Lock(); defer h.mu.Unlock(); return h }

// lockingValue is decoded by code that shares a lock with the program, in the master.
type lockingValue struct{ n int }

var lockingDecoder atomic.Pointer[func()]

func (v lockingValue) MarshalBinary() ([]byte, error) { return []byte{byte(v.n)}, nil }
func (v *lockingValue) UnmarshalBinary(b []byte) error {
	if f := lockingDecoder.Load(); f != nil {
		(*f)()
	}
	v.n = int(b[0])
	return nil
}

type lockingError struct{ Value lockingValue }

func (e *lockingError) Error() string { return "locked" }

var _ = futures.RegisterError[*lockingError]("arrivals.lockingError")

var (
	arrivalsLocked = futures.Register("arrivals.locked", func(x int) (lockingValue, error) { return lockingValue{x}, nil })
	arrivalsFails  = futures.Register("arrivals.fails", func(x int) (int, error) { return 0, &lockingError{lockingValue{x}} })
)
