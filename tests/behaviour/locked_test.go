package behaviour_test

import (
	"context"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rankpool/rankpool/futures"
)

// A waiter that holds what the function wants used to run it itself, and outlived its deadline.
func TestAWaiterThatHoldsWhatCodeOfTheUserWantsReturnsByItsDeadline(t *testing.T) {
	each(t, func(t *testing.T, b backend) {
		workers := 2
		if b.workers > 0 {
			workers = b.workers
		}
		var mu sync.Mutex
		locks := func() { mu.Lock(); mu.Unlock() } //nolint:staticcheck // what a user's code does that shares something
		ex := b.start(t, workers, futures.WithLogger(slog.New(lockingHandler{&mu})))
		lockingDecoder.Store(&locks)
		defer lockingDecoder.Store(nil)
		xs := slices.Repeat([]int{1}, 20_000)
		ended := apartFrom(func() {
			for _, err := range futures.Map(t.Context(), ex, lockedInc, xs, futures.WithArrivals(func(int) { locks() })) {
				if err != nil {
					t.Error(err)
					return
				}
			}
		})
		for range 200 {
			own, err := futures.Submit(ex, lockedValue, 1)
			if err != nil {
				t.Fatal(err)
			}
			own.AddDoneCallback(func(*futures.Future[lockingValue]) { locks() })
			failing, err := futures.Submit(ex, lockedFails, 1)
			if err != nil {
				t.Fatal(err)
			}
			mu.Lock()
			ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
			_, _ = own.Result(ctx) // it ends, whatever it returns
			_, _ = failing.Result(ctx)
			cancel()
			if f, err := futures.Submit(ex, lockedInc, 1); err != nil {
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

var _ = futures.RegisterError[*lockingError]("locked.error")

var (
	lockedInc   = futures.Register("locked.inc", func(x int) (int, error) { return x + 1, nil })
	lockedValue = futures.Register("locked.value", func(x int) (lockingValue, error) { return lockingValue{x}, nil })
	lockedFails = futures.Register("locked.fails", func(x int) (int, error) { return 0, &lockingError{lockingValue{x}} })
)
