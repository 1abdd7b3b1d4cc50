package behaviour_test

import (
	"context"
	"errors"
	"iter"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rankpool/rankpool/futures"
	"github.com/rankpool/rankpool/pool"
)

var endsWork = futures.RegisterContext("ends.work", func(ctx context.Context, x int) ([]byte, error) {
	switch x % 7 {
	case 3:
		return nil, errOdd
	case 5:
		select { // it ends at an interrupt
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		case <-time.After(time.Millisecond):
		}
	}
	return make([]byte, 64), nil
})

var errOdd = futures.RegisterSentinel("ends.odd", errors.New("odd"))

// Every verb beside every way in which an executor ends, under the race detector: Cancel beside Shutdown(CancelFutures) used to be a
// data race. What is asked for has one outcome, soon after the end.
func TestEveryVerbBesideEveryEndHasOneOutcome(t *testing.T) {
	ends := map[string]func(t *testing.T, ex futures.Executor){
		"Close": func(t *testing.T, ex futures.Executor) {
			if err := ex.Close(); err != nil {
				t.Error(err)
			}
		},
		"cancel": func(t *testing.T, ex futures.Executor) {
			if err := ex.Shutdown(within(t), futures.CancelFutures()); err != nil {
				t.Error(err)
			}
		},
		"cancel and interrupt, twice": func(t *testing.T, ex futures.Executor) {
			var wg sync.WaitGroup
			for range 2 {
				wg.Go(func() {
					if err := ex.Shutdown(within(t), futures.CancelFutures(), futures.InterruptTasks()); err != nil {
						t.Error(err)
					}
				})
			}
			wg.Wait()
		},
		"without waiting": func(t *testing.T, ex futures.Executor) {
			if err := ex.Shutdown(within(t), futures.NoWait(), futures.CancelFutures()); err != nil {
				t.Error(err)
			}
			if err := ex.Close(); err != nil {
				t.Error(err)
			}
		},
	}
	each(t, func(t *testing.T, b backend) {
		for name, end := range ends {
			t.Run(name, func(t *testing.T) {
				for range 3 {
					verbsBeside(t, b, end)
				}
			})
		}
	})
}

func verbsBeside(t *testing.T, b backend, end func(*testing.T, futures.Executor)) {
	workers := 2
	if b.workers > 0 {
		workers = b.workers
	}
	ex := b.start(t, workers)
	ctx := within(t)
	var submitted, called atomic.Int64
	var cancelled []*futures.Future[[]byte]
	for i := range 100 {
		f := submit(t, ex, endsWork, i)
		submitted.Add(1)
		f.AddDoneCallback(func(*futures.Future[[]byte]) { called.Add(1) })
		cancelled = append(cancelled, f)
	}
	fine := func(err error) { // every outcome that an end may have
		for _, is := range []error{nil, errOdd, futures.ErrCancelled, futures.ErrShutdown, context.Canceled} {
			if errors.Is(err, is) {
				return
			}
		}
		t.Error(err)
	}
	var wg sync.WaitGroup
	begun := make(chan struct{})
	beside := func(f func()) { wg.Go(func() { <-begun; f() }) }
	beside(func() {
		for _, f := range cancelled {
			f.Cancel()
		}
	})
	for _, ordered := range []bool{true, false} {
		var opts []futures.MapOption
		if !ordered {
			opts = append(opts, futures.Unordered())
		}
		beside(func() {
			for _, err := range futures.Map(ctx, ex, endsWork, make([]int, 200), opts...) {
				fine(err)
			}
		})
		beside(func() {
			var input iter.Seq[int] = func(yield func(int) bool) {
				for i := 0; i < 200 && yield(i); i++ {
				}
			}
			n := 0
			for _, err := range futures.Map(ctx, ex, endsWork, input, opts...) {
				fine(err)
				if n++; n == 20 {
					break
				}
			}
		})
	}
	beside(func() {
		for i := range 100 {
			f, err := futures.Submit(ex, endsWork, i)
			if err != nil {
				fine(err)
				continue
			}
			submitted.Add(1)
			f.AddDoneCallback(func(*futures.Future[[]byte]) { called.Add(1) })
			if i%2 == 0 {
				short, cancel := context.WithTimeout(ctx, time.Microsecond)
				_, _ = f.Result(short)
				cancel()
				f.Cancel()
			}
			_, err = f.Result(ctx)
			fine(err)
			f.AddDoneCallback(func(*futures.Future[[]byte]) { called.Add(1) })
			submitted.Add(1)
		}
	})
	beside(func() {
		for range 5 {
			f, err := futures.SubmitEach(ex, endsWork, 1)
			if err != nil {
				fine(err)
				continue
			}
			all := futures.Then(futures.Collect(f), func(v [][][]byte) (int, error) { return len(v), nil }, nil)
			_, err = all.Result(ctx)
			fine(err)
			ex.Stats()
		}
	})
	close(begun)
	end(t, ex)
	wg.Wait()
	for _, f := range cancelled {
		_, err := f.Result(ctx)
		fine(err)
	}
	if err := ex.Close(); err != nil { // waits for the callbacks
		t.Error(err)
	}
	if submitted.Load() != called.Load() {
		t.Errorf("%d callbacks were called for %d", called.Load(), submitted.Load())
	}
}

func TestEveryVerbOfAPoolBesideItsEnds(t *testing.T) {
	for name, end := range map[string]func(*pool.Pool){
		"Close":     func(p *pool.Pool) { p.Close() },
		"Terminate": func(p *pool.Pool) { p.Terminate() },
	} {
		t.Run(name, func(t *testing.T) {
			for range 5 {
				p, err := pool.New(pool.WithProcesses(2))
				if err != nil {
					t.Fatal(err)
				}
				ctx := within(t)
				var wg sync.WaitGroup
				begun := make(chan struct{})
				beside := func(f func() error) {
					wg.Go(func() {
						<-begun
						if err := f(); err != nil && !errors.Is(err, errOdd) && !errors.Is(err, futures.ErrCancelled) && !errors.Is(err, futures.ErrShutdown) && !errors.Is(err, context.Canceled) {
							t.Error(err)
						}
					})
				}
				beside(func() error { _, err := pool.Apply(ctx, p, endsWork, 1); return err })
				beside(func() error { _, err := pool.Map(ctx, p, endsWork, make([]int, 500)); return err })
				beside(func() error {
					for _, err := range pool.ImapUnordered(ctx, p, endsWork, make([]int, 500)) {
						if err != nil {
							return err
						}
					}
					return nil
				})
				beside(func() error {
					r, err := pool.MapAsync(ctx, p, endsWork, make([]int, 500))
					if err != nil {
						return err
					}
					_, err = r.Get(ctx)
					return err
				})
				close(begun)
				end(p)
				wg.Wait()
				p.Terminate()
				if err := p.Join(ctx); err != nil {
					t.Error(err)
				}
			}
		})
	}
}
