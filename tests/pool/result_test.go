package pool_test

import (
	"context"
	"errors"
	"runtime"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rankpool/rankpool/futures"
	"github.com/rankpool/rankpool/pool"
)

func TestAResultIsReadyWhenItIsDone(t *testing.T) {
	on(t, func(t *testing.T, p *pool.Pool) {
		g := newGate(t)
		r, err := pool.ApplyAsync(p, work, job{X: 6, Gate: g})
		if err != nil {
			t.Fatal(err)
		}
		if r.Ready() {
			t.Error("ready before the gate was opened")
		}
		if _, err := r.Successful(); !errors.Is(err, futures.ErrNotReady) {
			t.Errorf("Successful: %v, want ErrNotReady", err)
		}
		short, cancel := context.WithTimeout(context.Background(), 5*time.Millisecond)
		defer cancel()
		if r.Wait(short) {
			t.Error("Wait says it is ready")
		}
		for range 2 { // a Get that timed out may be repeated
			if _, err := r.Get(short); !errors.Is(err, futures.ErrTimeout) || !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("Get: %v, want ErrTimeout", err)
			}
			if _, err := r.GetWithin(time.Millisecond); !errors.Is(err, futures.ErrTimeout) {
				t.Errorf("GetWithin: %v, want ErrTimeout", err)
			}
		}
		g.open()
		await(t, "the result", r.DoneChan())
		if ok, err := r.Successful(); !ok || err != nil || !r.Ready() || !r.Wait(short) {
			t.Error("not ready, or not successful:", ok, err)
		}
		for _, d := range []time.Duration{0, -1, time.Hour} {
			if y, err := r.GetWithin(d); y != 36 || err != nil {
				t.Error(y, err)
			}
		}
		if y, err := r.Get(short); y != 36 || err != nil {
			t.Error("a finished result lost against an expired deadline:", y, err)
		}
	})
}

func TestAFailedResultIsReadyAndNotSuccessful(t *testing.T) {
	on(t, func(t *testing.T, p *pool.Pool) {
		r, err := pool.ApplyAsync(p, work, job{X: -1})
		if err != nil {
			t.Fatal(err)
		}
		if !r.Wait(within(t)) {
			t.Fatal("not ready")
		}
		if ok, err := r.Successful(); ok || err != nil {
			t.Error(ok, err)
		}
		for range 2 {
			if _, err := r.Get(within(t)); !errors.As(err, new(*InputError)) {
				t.Error(err)
			}
		}
	})
}

func TestOneOfTheCallbacksIsCalledOnce(t *testing.T) {
	on(t, func(t *testing.T, p *pool.Pool) {
		var values [][]int // not guarded: callbacks do not run together
		var failures []error
		watch := func(r *pool.MapResult[int]) {
			r.Callback(func(ys []int) { values = append(values, ys) })
			r.ErrorCallback(func(err error) { failures = append(failures, err) })
		}
		good, err := pool.MapAsync(within(t), p, work, jobs(3))
		if err != nil {
			t.Fatal(err)
		}
		watch(good)
		in := jobs(3)
		in[1].X = -1
		bad, err := pool.StarmapAsync(within(t), p, work, in)
		if err != nil {
			t.Fatal(err)
		}
		watch(bad)
		if !good.Wait(within(t)) || !bad.Wait(within(t)) {
			t.Fatal("not ready")
		}
		watch(good) // also when it is ready already
		one, err := pool.ApplyAsync(p, work, job{X: 4})
		if err != nil {
			t.Fatal(err)
		}
		one.Callback(func(y int) { values = append(values, []int{y}) }).ErrorCallback(func(err error) { failures = append(failures, err) })
		join(t, p)
		// Who waits is released before the callbacks are called, so the first may come after those that were added later.
		slices.SortFunc(values, slices.Compare)
		squares := [][]int{{0, 1, 4}, {0, 1, 4}, {16}}
		if diff := cmp.Diff(squares, values); diff != "" {
			t.Error(diff)
		}
		if len(failures) != 1 || !errors.As(failures[0], new(*InputError)) {
			t.Errorf("failures: %v", failures)
		}
	})
}

func TestAFailingElementCancelsTheRestOfAMap(t *testing.T) {
	on(t, func(t *testing.T, p *pool.Pool) {
		m, g := newMarks(t), newGate(t) // stays shut
		in := waiting(1000, m, g)
		in[0] = job{X: -1}
		r, err := pool.MapAsync(within(t), p, work, in, pool.WithChunkSize(1))
		if err != nil {
			t.Fatal(err)
		}
		calls := 0
		r.ErrorCallback(func(error) { calls++ })
		if _, err := r.Get(within(t)); !errors.As(err, new(*InputError)) {
			t.Error(err)
		}
		join(t, p)
		if n := m.count(t); n > 10*workers || calls != 1 {
			t.Errorf("%d of 999 others began, %d callbacks", n, calls)
		}
	})
}

// The error callbacks of a call and of a map agree.
func TestErrorCallbacksSeeThatTheTaskWasCancelled(t *testing.T) {
	on(t, func(t *testing.T, p *pool.Pool) {
		m, g := newMarks(t), newGate(t)
		if _, err := pool.MapAsync(within(t), p, work, waiting(workers, m, g), pool.WithChunkSize(1)); err != nil {
			t.Fatal(err)
		}
		eventually(t, "the workers are busy", func() bool { return m.count(t) == workers })
		var seen []error
		one, err := pool.ApplyAsync(p, work, job{})
		if err != nil {
			t.Fatal(err)
		}
		one.ErrorCallback(func(err error) { seen = append(seen, err) })
		all, err := pool.MapAsync(within(t), p, work, jobs(5))
		if err != nil {
			t.Fatal(err)
		}
		all.ErrorCallback(func(err error) { seen = append(seen, err) })
		p.Terminate()
		join(t, p)
		if len(seen) != 2 || !errors.Is(seen[0], futures.ErrCancelled) || !errors.Is(seen[1], futures.ErrCancelled) {
			t.Errorf("%v, want ErrCancelled twice", seen)
		}
	})
}

func TestACallbackThatMisbehavesHarmsNothing(t *testing.T) {
	quiet(t)
	on(t, func(t *testing.T, p *pool.Pool) {
		for _, misbehave := range []func(){func() { panic("callback") }, runtime.Goexit, func() { panic(nil) }} {
			for range 2 {
				r, err := pool.ApplyAsync(p, work, job{X: 2})
				if err != nil {
					t.Fatal(err)
				}
				called := make(chan struct{})
				r.Callback(func(int) { misbehave() }).Callback(func(int) { close(called) })
				await(t, "the other callback", called)
				if y, err := r.GetWithin(0); y != 4 || err != nil {
					t.Error(y, err)
				}
			}
			r, err := pool.MapAsync(within(t), p, work, jobs(2))
			if err != nil {
				t.Fatal(err)
			}
			r.Callback(func([]int) { misbehave() })
			if _, err := r.Get(within(t)); err != nil {
				t.Error(err)
			}
		}
	})
}

func TestACallbackThatBlocksHoldsUpNothingButCallbacks(t *testing.T) {
	on(t, func(t *testing.T, p *pool.Pool) {
		r, err := pool.ApplyAsync(p, work, job{X: 2})
		if err != nil {
			t.Fatal(err)
		}
		blocked, release := make(chan struct{}), make(chan struct{})
		defer close(release)
		r.Callback(func(int) { close(blocked); <-release })
		await(t, "the callback", blocked)
		if _, err := pool.Map(within(t), p, work, jobs(50)); err != nil {
			t.Error(err)
		}
		m, err := pool.MapAsync(within(t), p, work, jobs(50))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := m.Get(within(t)); err != nil {
			t.Error(err)
		}
		ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
		defer cancel()
		if err := p.Join(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Join: %v, want that it gives up with its context", err)
		}
	})
}

func TestACallbackMayCallBackIntoThePool(t *testing.T) {
	on(t, func(t *testing.T, p *pool.Pool) {
		done := make(chan struct{})
		r, err := pool.MapAsync(within(t), p, work, jobs(3))
		if err != nil {
			t.Fatal(err)
		}
		r.Callback(func([]int) {
			if ys, err := pool.Map(within(t), p, work, jobs(4)); len(ys) != 4 || err != nil {
				t.Error("Map in a callback:", ys, err)
			}
			inner, err := pool.ApplyAsync(p, work, job{X: 3})
			if err != nil {
				t.Error(err)
				return
			}
			if y, err := inner.Get(within(t)); y != 9 || err != nil {
				t.Error("Get in a callback:", y, err)
			}
			inner.Callback(func(int) { // Join waits for this one too
				p.Close()
				join(t, p) // does not wait for itself
				close(done)
			})
		})
		await(t, "the callback in a callback", done)
		join(t, p)
	})
}

func TestTwoHundredMapsAtOnce(t *testing.T) {
	on(t, func(t *testing.T, p *pool.Pool) {
		const maps = 200
		callbacks := 0
		rs := make([]*pool.MapResult[int], maps)
		var wg sync.WaitGroup
		for i := range rs {
			wg.Go(func() {
				r, err := pool.MapAsync(within(t), p, work, jobs(i))
				if err != nil {
					t.Error(err)
					return
				}
				rs[i] = r
				r.Callback(func([]int) { callbacks++ })
			})
		}
		wg.Wait()
		if t.Failed() {
			return
		}
		join(t, p)
		for i, r := range rs {
			ys, err := r.GetWithin(0)
			if diff := cmp.Diff(squares(i), ys); diff != "" || err != nil {
				t.Errorf("map %d: %v\n%s", i, err, diff)
			}
		}
		if callbacks != maps {
			t.Errorf("%d callbacks", callbacks)
		}
	})
}

func TestAsyncVerbsDoNotSeeLaterChangesOfTheirInput(t *testing.T) {
	each(t, func(t *testing.T, b backend) {
		if b.shares {
			t.Skip("a thread pool shares its arguments")
		}
		p := b.start(t)
		g := newGate(t)
		in := waiting(10, "", g)
		r, err := pool.MapAsync(within(t), p, work, in)
		if err != nil {
			t.Fatal(err)
		}
		for i := range in {
			in[i].X = -1
		}
		g.open()
		if ys, err := r.Get(within(t)); err != nil || !cmp.Equal(ys, squares(10)) {
			t.Error(ys, err)
		}
	})
}
