//go:build unix

package faults_test

import (
	"context"
	"errors"
	"log/slog"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rankpool/rankpool/futures"
)

func TestAStormOfCancelsWhile16Submit(t *testing.T) {
	onEveryBackend(t, func(t *testing.T, b backend) {
		ex := b.open(t, futures.WithMaxWorkers(2))
		const submitters, each = 16, 1000
		var results, cancels atomic.Int64
		var wg sync.WaitGroup
		for range submitters {
			made := make(chan *futures.Future[int], 8)
			wg.Go(func() {
				defer close(made)
				for i := range each {
					f, err := futures.Submit(ex, inc, i)
					if err != nil {
						t.Error(err)
						return
					}
					made <- f
				}
			})
			wg.Go(func() {
				i := 0
				for f := range made {
					won := i%3 > 0 && f.Cancel()
					switch y, err := f.Result(limited(t)); {
					case won && errors.Is(err, futures.ErrCancelled):
						cancels.Add(1)
					case !won && err == nil && y == i+1:
						results.Add(1)
					default:
						t.Errorf("after Cancel = %v: %d, %v", won, y, err)
					}
					i++
				}
			})
		}
		wg.Wait()
		closeWithin(t, ex)
		s := ex.Stats()
		if s.Submitted != submitters*each || int64(s.Done) != results.Load() || int64(s.Cancelled) != cancels.Load() ||
			s.Failed > 0 || s.Queued > 0 || s.Running > 0 {
			t.Errorf("%d results and %d cancels, counters: %+v", results.Load(), cancels.Load(), s)
		}
	})
}

func TestACancelledTaskNeverRunsInAStorm(t *testing.T) {
	ex, err := futures.NewThreadPoolExecutor(futures.WithMaxWorkers(2))
	if err != nil {
		t.Fatal(err)
	}
	const n = 20000
	ran := make([]atomic.Int32, n)
	count := futures.Local(func(_ context.Context, i int) (int, error) { ran[i].Add(1); return i, nil })
	var fs []*futures.Future[int]
	for i := range n {
		fs = append(fs, submit(t, ex, count, i))
	}
	won := make([]atomic.Bool, n)
	var wg sync.WaitGroup
	for g := range 16 {
		wg.Go(func() {
			for i := n - 1 - g; i >= 0; i -= 3 {
				if fs[i].Cancel() {
					won[i].Store(true)
				}
			}
		})
	}
	wg.Wait()
	closeWithin(t, ex)
	for i := range fs {
		if want := map[bool]int32{true: 0, false: 1}[won[i].Load()]; ran[i].Load() != want {
			t.Fatalf("task %d ran %d times; its Cancel was %v", i, ran[i].Load(), won[i].Load())
		}
	}
}

func TestCallbacksThatBlockHoldUpNoResult(t *testing.T) {
	onEveryBackend(t, func(t *testing.T, b backend) {
		ex := b.open(t, futures.WithMaxWorkers(2))
		const n = 10000
		gate := make(chan struct{})
		var called atomic.Int64
		var fs []*futures.Future[int]
		_, letWork := gated(t, ex) // the callback of a future that is done already would block this goroutine
		_, letAllWork := gated(t, ex)
		for i := range n {
			f := submit(t, ex, inc, i)
			f.AddDoneCallback(func(*futures.Future[int]) {
				<-gate
				if i%1000 == 0 {
					time.Sleep(time.Millisecond) // a callback that takes its time
				}
				called.Add(1)
			})
			fs = append(fs, f)
		}
		letWork()
		letAllWork()
		for i, f := range fs {
			if y, err := f.ResultWithin(patience); err != nil || y != i+1 {
				t.Fatalf("task %d = %d, %v", i, y, err)
			}
		}
		if called.Load() > 0 {
			t.Error("a callback got through the gate")
		}
		works(t, ex)
		close(gate)
		closeWithin(t, ex)
		if called.Load() != n {
			t.Errorf("%d callbacks had run when Shutdown returned, want %d", called.Load(), n)
		}
	})
}

// quiet has what callbacks do reported nowhere.
func quiet(t *testing.T) *logged {
	t.Helper()
	l := new(logged)
	futures.SetLogger(slog.New(slog.NewTextHandler(l, nil)))
	t.Cleanup(func() { futures.SetLogger(nil) })
	return l
}

// gated submits a task that is not done before the gate opens, so that its callbacks run on the executor's goroutine.
func gated(t *testing.T, ex futures.Executor) (f *futures.Future[int], gate func()) {
	t.Helper()
	dir := t.TempDir()
	return submit(t, ex, hold, dir), func() { letGo(t, dir) }
}

func TestCallbacksThatPanicOrExitDoNotStopTheOthers(t *testing.T) {
	onEveryBackend(t, func(t *testing.T, b backend) {
		l := quiet(t)
		ex := b.open(t, futures.WithMaxWorkers(2))
		f, gate := gated(t, ex)
		g, _ := gated(t, ex)
		_ = g
		var called atomic.Int64
		for i := range 6 {
			f.AddDoneCallback(func(*futures.Future[int]) {
				called.Add(1)
				switch i {
				case 1:
					panic("in a callback")
				case 3:
					runtime.Goexit()
				}
			})
		}
		gate()
		if _, err := f.Result(limited(t)); err != nil {
			t.Fatal(err)
		}
		works(t, ex)
		if err := ex.Shutdown(limited(t), futures.NoWait(), futures.InterruptTasks()); err != nil {
			t.Error(err)
		}
		closeWithin(t, ex)
		if called.Load() != 6 {
			t.Errorf("%d callbacks ran, want 6", called.Load())
		}
		until(t, "the report of both", func() bool {
			return strings.Contains(l.String(), "in a callback") && strings.Contains(l.String(), "runtime.Goexit")
		})
	})
}

func TestACallbackMayUseTheExecutor(t *testing.T) {
	onEveryBackend(t, func(t *testing.T, b backend) {
		ex := b.open(t, futures.WithMaxWorkers(2))
		f, gate := gated(t, ex)
		got := make(chan error, 1)
		f.AddDoneCallback(func(*futures.Future[int]) {
			got <- func() error {
				next, err := futures.Submit(ex, inc, 1)
				if err != nil {
					return err
				}
				if _, err := next.ResultWithin(patience); err != nil {
					return err
				}
				for _, err := range futures.Map(context.Background(), ex, inc, []int{1, 2, 3}) {
					if err != nil {
						return err
					}
				}
				_, err = ex.NumWorkers(context.Background())
				ex.Stats()
				return err
			}()
		})
		gate()
		select {
		case err := <-got:
			if err != nil {
				t.Error(err)
			}
		case <-time.After(patience):
			t.Fatal("the callback hangs")
		}
	})
}

// To wait in a callback for the callbacks would be to wait for oneself.
func TestACallbackMayCloseTheExecutor(t *testing.T) {
	onEveryBackend(t, func(t *testing.T, b backend) {
		ex := b.open(t, futures.WithMaxWorkers(2))
		f, gate := gated(t, ex)
		closed := make(chan error, 1)
		f.AddDoneCallback(func(*futures.Future[int]) { closed <- ex.Close() })
		var after atomic.Bool
		f.AddDoneCallback(func(*futures.Future[int]) { after.Store(true) })
		gate()
		select {
		case err := <-closed:
			if err != nil {
				t.Error(err)
			}
		case <-time.After(patience):
			t.Fatal("Close hangs")
		}
		closeWithin(t, ex)
		if !after.Load() {
			t.Error("the callback behind it had not run when the second Close returned")
		}
		if _, err := futures.Submit(ex, inc, 1); !errors.Is(err, futures.ErrShutdown) {
			t.Errorf("Submit = %v", err)
		}
	})
}
