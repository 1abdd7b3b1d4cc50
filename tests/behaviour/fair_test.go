package behaviour_test

import (
	"sync/atomic"
	"testing"
	"time"

	"github.com/rankpool/rankpool/futures"
	"github.com/rankpool/rankpool/pool"
)

// loops keeps a worker at work for so many microseconds.
var loops = futures.Register("loops", func(us int) (int, error) {
	for begin := time.Now(); time.Since(begin) < time.Duration(us)*time.Microsecond; {
	}
	return us, nil
})

// A map of very many elements holds up no call that is submitted after it. What is counted is what ran in between, for the machine may be busy.
func TestACallDoesNotWaitForAMapThatWasSubmittedBefore(t *testing.T) {
	const elements = 200_000
	on(t, 2, func(t *testing.T, _ backend, ex futures.Executor) {
		xs := make([]int, elements)
		for i := range xs {
			xs[i] = 50
		}
		var done atomic.Int64
		results := futures.Map(t.Context(), ex, loops, xs, futures.WithArrivalCount(&done))
		const calls = 20
		before := done.Load()
		for i := range calls {
			f, err := futures.Submit(ex, loops, i)
			if err != nil {
				t.Fatal(err)
			}
			if v, err := f.Result(within(t)); err != nil || v != i {
				t.Fatal(v, err)
			}
		}
		if n := done.Load() - before; n > elements/2 {
			t.Errorf("%d elements of the map were done when %d calls after it were", n, calls)
		}
		for v, err := range results { // in their order, and then the rest is not wanted
			if v != 50 || err != nil {
				t.Fatal(v, err)
			}
			break
		}
	})
}

// Where the workers are the ranks of a world, both executors have the same.
func TestCallsOfASecondExecutorDoNotWaitForAMapOfTheFirst(t *testing.T) {
	const elements = 200_000
	each(t, func(t *testing.T, b backend) {
		first, second := b.start(t, max(b.workers, 1)), b.start(t, max(b.workers, 1))
		if err := second.Bootup(within(t)); err != nil {
			t.Fatal(err)
		}
		xs := make([]int, elements)
		for i := range xs {
			xs[i] = 50
		}
		var done atomic.Int64
		results := futures.Map(t.Context(), first, loops, xs, futures.WithArrivalCount(&done))
		const calls = 20
		before := done.Load()
		for i := range calls {
			f, err := futures.Submit(second, loops, i)
			if err != nil {
				t.Fatal(err)
			}
			if v, err := f.Result(within(t)); err != nil || v != i {
				t.Fatal(v, err)
			}
		}
		if n := done.Load() - before; n > elements/2 {
			t.Errorf("%d elements of the map were done when %d calls of the second executor were", n, calls)
		}
		for v, err := range results {
			if v != 50 || err != nil {
				t.Fatal(v, err)
			}
			break
		}
	})
}

func TestAHigherPriorityComesBeforeEverythingThatWaits(t *testing.T) {
	on(t, 1, func(t *testing.T, _ backend, ex futures.Executor) {
		g := newGate(t)
		first, err := futures.Submit(ex, clocked, clockedArg{g, 20 * time.Millisecond})
		if err != nil {
			t.Fatal(err)
		}
		var order [4]*futures.Future[clockedCall]
		for i, opts := range [][]futures.TaskOption{{futures.WithPriority(-1)}, nil, {futures.WithPriority(2)}, {futures.WithPriority(1)}} {
			if order[i], err = futures.Submit(ex, clocked, clockedArg{g, 20 * time.Millisecond}, opts...); err != nil {
				t.Fatal(err)
			}
		}
		g.open()
		if _, err := first.Result(within(t)); err != nil {
			t.Fatal(err)
		}
		for _, pair := range [][2]int{{0, 1}, {1, 3}, {3, 2}} { // whoever has come back first ran first: there is one worker
			if _, err := order[pair[0]].Result(within(t)); err != nil {
				t.Fatal(err)
			}
			if !order[pair[1]].Done() {
				t.Errorf("call %d was done before call %d, which has the higher priority", pair[0], pair[1])
			}
		}
	})
}

func TestPrioritiesOutOfRangeAreRefusedByEveryVerb(t *testing.T) {
	on(t, 1, func(t *testing.T, _ backend, ex futures.Executor) {
		for _, n := range []int{-101, 101} {
			if f, err := futures.Submit(ex, loops, 1, futures.WithPriority(n)); err == nil {
				t.Error(f)
			}
			for v, err := range futures.Map(t.Context(), ex, loops, []int{1}, futures.WithPriority(n)) {
				if err == nil {
					t.Error(v)
				}
			}
		}
		for _, n := range []int{-100, 100} {
			for v, err := range futures.Map(t.Context(), ex, loops, []int{1, 2}, futures.WithPriority(n)) {
				if err != nil {
					t.Error(v, err)
				}
			}
		}
	})
	if p, err := pool.New(futures.WithPriority(101)); err == nil {
		t.Error(p)
	}
}
