package behaviour_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"

	"github.com/rankpool/rankpool/futures"
	"github.com/rankpool/rankpool/pool"
)

func TestOneCanWaitForTheCallbacksOfOneFuture(t *testing.T) {
	on(t, 1, func(t *testing.T, _ backend, ex futures.Executor) {
		g, hold := newGate(t), make(chan struct{})
		f := submit(t, ex, wait, g)
		var called atomic.Int32
		for range 2 {
			f.AddDoneCallback(func(*futures.Future[bool]) { <-hold; called.Add(1) })
		}
		if err := f.WaitCallbacks(expired(t)); !errors.Is(err, futures.ErrTimeout) {
			t.Errorf("before the future is done: %v", err)
		}
		g.open()
		result(t, f)
		ended, end := context.WithTimeout(t.Context(), short)
		defer end()
		if err := f.WaitCallbacks(ended); !errors.Is(err, futures.ErrTimeout) {
			t.Errorf("before its callbacks have run: %v", err)
		}
		close(hold)
		if err := f.WaitCallbacks(within(t)); err != nil || called.Load() != 2 {
			t.Errorf("%d callbacks have run, %v", called.Load(), err)
		}
		r, err := pool.ApplyAsync(pool.On(ex), square, 3)
		if err != nil {
			t.Fatal(err)
		}
		r.Callback(func(int) { called.Add(1) })
		if err := r.WaitCallbacks(within(t)); err != nil || called.Load() != 3 {
			t.Errorf("%d callbacks have run, %v", called.Load(), err)
		}
		inside := make(chan error, 1)
		f.AddDoneCallback(func(f *futures.Future[bool]) { inside <- f.WaitCallbacks(context.Background()) })
		if err := <-inside; err == nil {
			t.Error("a callback has waited for itself")
		}
		own, failed := futures.NewPromise[int](), errors.New("failed")
		own.Future().AddDoneCallback(func(*futures.Future[int]) { called.Add(1) })
		_ = own.SetError(failed)
		if err := own.Future().WaitCallbacks(within(t)); err != nil || called.Load() != 4 {
			t.Errorf("of a promise: %d callbacks have run, %v", called.Load(), err)
		}
		if err := (*futures.Future[int])(nil).WaitCallbacks(within(t)); err == nil {
			t.Error("of no future")
		}
	})
}

func TestShutdownOfAnIdlePoolWithAContextThatHasEndedIsNoError(t *testing.T) {
	each(t, func(t *testing.T, b backend) {
		ended, end := context.WithCancel(t.Context())
		end()
		ex := b.start(t, max(b.workers, 1))
		result(t, submit(t, ex, square, 2))
		for range 2 {
			if err := ex.Shutdown(ended); err != nil {
				t.Errorf("idle: %v", err)
			}
		}
		mustClose(t, ex)
		if err := b.start(t, max(b.workers, 1)).Shutdown(ended); err != nil {
			t.Errorf("never started: %v", err)
		}
		ex = b.start(t, max(b.workers, 1))
		f := begins(t, ex)
		stopped := new(futures.ShutdownError)
		if err := ex.Shutdown(ended); !errors.As(err, &stopped) || len(stopped.Running) != 1 {
			t.Errorf("a task runs: %v", err)
		}
		f.Interrupt()
	})
}
