package behaviour_test

import (
	"slices"
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

// A map of very many elements holds up no call that is submitted after it.
func TestACallDoesNotWaitForAMapThatWasSubmittedBefore(t *testing.T) {
	on(t, 2, func(t *testing.T, _ backend, ex futures.Executor) { callsBesideMap(t, ex, ex) })
}

// callsBesideMap has an executor run a map that would take minutes, and calls of another one meanwhile: the calls are done before the map is. How
// much of the map is done by then says nothing, for a process that one of them waits for may be stopped for seconds.
func callsBesideMap(t *testing.T, maps, calls futures.Executor) {
	t.Helper()
	const elements, each, n = 1_000_000, 200, 20
	xs := slices.Repeat([]int{each}, elements)
	var done atomic.Int64
	results := futures.Map(t.Context(), maps, loops, xs, futures.WithArrivalCount(&done))
	for i := range n {
		if v, err := submit(t, calls, loops, i).Result(within(t)); err != nil || v != i {
			t.Fatal(v, err)
		}
	}
	if done.Load() == elements {
		t.Errorf("the map was over when %d calls were", n)
	}
	for v, err := range results { // in their order, and then the rest is not wanted
		if v != each || err != nil {
			t.Fatal(v, err)
		}
		break
	}
}

// Where the workers are the ranks of a world, both executors have the same.
func TestCallsOfASecondExecutorDoNotWaitForAMapOfTheFirst(t *testing.T) {
	each(t, func(t *testing.T, b backend) {
		first, second := b.start(t, max(b.workers, 1)), b.start(t, max(b.workers, 1))
		if err := second.Bootup(within(t)); err != nil {
			t.Fatal(err)
		}
		callsBesideMap(t, first, second)
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
