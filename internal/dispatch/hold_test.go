package dispatch_test

import (
	"context"
	"runtime"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rankpool/rankpool/internal/dispatch"
)

// batches notes on which workers the units of jobs ran.
type batches struct {
	*sink
	mu      sync.Mutex
	workers map[int]int
}

func (b *batches) Results(first, n int, data []byte, segs [][]byte, r *dispatch.Record) bool {
	b.mu.Lock()
	b.workers[r.Site.Index] += n
	b.mu.Unlock()
	return b.sink.Results(first, n, data, segs, r)
}

// ran returns how many units have run, and on how many workers.
func (b *batches) ran() (units, workers int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, n := range b.workers {
		units += n
	}
	return units, len(b.workers)
}

// As many workers as there are processors are taken for ones that end soon, and do not. What waits for them goes out a moment later, and
// together.
func TestTinyUnitsWaitAMomentForWorkersThatEndSoon(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newWaiting()
		p := newPool(t, 2*runtime.GOMAXPROCS(0)+4, nil, func(ctx context.Context, x uint64) (uint64, error) {
			if x > 0 {
				return f.call(ctx, x)
			}
			return x, nil
		})
		p.submit(0, 0).wait(t) // no time passes here, so the function is a tiny one now
		synctest.Wait()
		var blocked []*sink
		for range runtime.GOMAXPROCS(0) {
			blocked = append(blocked, p.submit(0, 1))
			<-f.begun
		}
		b := &batches{sink: newSink(50), workers: map[int]int{}}
		j, _ := job(0, make([]uint64, 50)...)
		j.Sink = b
		if err := p.Submit(j); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if ran, _ := b.ran(); ran > 0 {
			t.Errorf("%d of 50 tiny units have run at once", ran)
		}
		time.Sleep(2 * time.Millisecond)
		synctest.Wait()
		if ran, workers := b.ran(); ran != 50 || workers != 1 {
			t.Errorf("2 ms later %d of 50 units have run on %d workers, want all on one", ran, workers)
		}
		close(f.release)
		for _, s := range blocked {
			s.wait(t)
		}
	})
}

// Nothing of that holds what takes longer, or nothing is known of.
func TestUnitsThatAreNotTinyGoToIdleWorkersAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newWaiting()
		p := newPool(t, 4*runtime.GOMAXPROCS(0), nil, f.call)
		var all []*sink
		for i := range 4 * runtime.GOMAXPROCS(0) {
			all = append(all, p.submit(0, uint64(i)))
		}
		synctest.Wait()
		if n := len(f.begun); n != len(all) {
			t.Errorf("%d of %d run", n, len(all))
		}
		close(f.release)
		for _, s := range all {
			s.wait(t)
		}
	})
}

// Of a function that was never run nobody knows that it is tiny. A large pool finds out before it has given a unit to each worker.
func TestTinyUnitsOfAnUnknownFunctionDoNotWakeALargePool(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPool(t, 1024, nil, func(_ context.Context, x uint64) (uint64, error) { return x, nil })
		b := &batches{sink: newSink(5000), workers: map[int]int{}}
		j, _ := job(0, make([]uint64, 5000)...)
		j.Sink = b
		if err := p.Submit(j); err != nil {
			t.Fatal(err)
		}
		b.wait(t)
		if ran, workers := b.ran(); ran != 5000 || workers > 512 {
			t.Errorf("%d of 5000 units have run, on %d workers of 1024", ran, workers)
		}
	})
}

// Units that take long are with all workers of a large pool after a few milliseconds.
func TestLongUnitsOfAnUnknownFunctionHaveALargePoolSoon(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &waiting{begun: make(chan uint64, 2048), release: make(chan struct{})}
		p := newPool(t, 2048, nil, f.call)
		var all []*sink
		for i := range 2048 {
			all = append(all, p.submit(0, uint64(i)))
		}
		time.Sleep(10 * time.Millisecond) // of the bubble
		synctest.Wait()
		if n := len(f.begun); n != len(all) {
			t.Errorf("%d of %d run", n, len(all))
		}
		close(f.release)
		for _, s := range all {
			s.wait(t)
		}
	})
}

// blocked is a pool of which as many workers as there are processors run a function that was tiny, and wait in it: of arguments above 0.
func blocked(t *testing.T, f *waiting, more ...func(context.Context, uint64) (uint64, error)) (p *pool, release func()) {
	t.Helper()
	quick := func(ctx context.Context, x uint64) (uint64, error) {
		if x > 0 {
			return f.call(ctx, x)
		}
		return x, nil
	}
	p = newPool(t, 2*runtime.GOMAXPROCS(0)+4, nil, append([]func(context.Context, uint64) (uint64, error){quick}, more...)...)
	p.submit(0, 0).wait(t) // no time passes here, so the function is a tiny one now
	synctest.Wait()
	var sinks []*sink
	for range runtime.GOMAXPROCS(0) {
		sinks = append(sinks, p.submit(0, 1))
		<-f.begun
	}
	return p, func() {
		close(f.release)
		for _, s := range sinks {
			s.wait(t)
		}
	}
}

func TestWorkersThatDoNotEndSoonHoldTinyUnitsUpOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, release := blocked(t, newWaiting())
		begin := time.Now()
		for range 100 {
			p.submit(0, 0).wait(t)
		}
		if took := time.Since(begin); took > 2*time.Millisecond { // of the bubble's time, which passes in waits alone
			t.Errorf("100 tiny calls, one after the other, took %v beside idle workers", took)
		}
		release()
	})
}

func TestWhatIsBehindATinyUnitIsNotHeld(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		other := newWaiting()
		p, release := blocked(t, newWaiting(), other.call)
		tiny := p.submit(0, 0)
		unknown := p.submit(1, 7)
		synctest.Wait()
		if len(other.begun) != 1 {
			t.Error("a unit of which nothing is known waits behind a tiny one, beside idle workers")
		}
		close(other.release)
		unknown.wait(t)
		tiny.wait(t)
		release()
	})
}

// What nobody wants any more when it is to be handed out takes no room in the batch.
func TestUnitsThatWereCancelledDoNotKeepOthersInTheQueue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newWaiting()
		p := newPool(t, 1, nil, func(ctx context.Context, x uint64) (uint64, error) {
			if x > 0 {
				return f.call(ctx, x)
			}
			time.Sleep(45 * time.Microsecond)
			return x, nil
		})
		for range 20 {
			p.submit(0, 0).wait(t)
		}
		first := p.submit(0, 1)
		<-f.begun
		for range 7 {
			j, s := job(0, 0)
			s.cancelled.Store(true) // and the master is about to hear of it
			if err := p.Submit(j); err != nil {
				t.Fatal(err)
			}
		}
		last := p.submit(0, 0)
		close(f.release)
		first.wait(t)
		last.wait(t)
	})
}
