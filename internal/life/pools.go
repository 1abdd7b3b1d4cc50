// Package life is the life of a program that has pools: its main function, the signals that end it, and its end.
package life

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/rankpool/rankpool/internal/dispatch"
	"github.com/rankpool/rankpool/internal/status"
)

// Pool is an executor as the end of its program sees it.
type Pool interface {
	Master() *dispatch.Master
	Status(workers int) status.Executor // with so many workers at most; its number is set by others
	Drain()                             // what is queued fails, and nothing begins any more

	// These forbid further calls and wait for the workers to leave, or until ctx ends.
	Finish(ctx context.Context) error // when everything queued has run
	Cut(ctx context.Context) error    // what is queued is cancelled, and the contexts of what runs end
	GiveUp(ctx context.Context) error // what is queued is cancelled; what runs has the grace of the program
}

// open is the set of pools that have started, for the end of the program.
var open struct {
	sync.Mutex
	set     []*tracked
	made    int
	broken  []status.Executor // the last that were broken and have ended: somebody may look for why
	tests   bool              // the program runs tests
	badEnds []func() error    // of workers of pools that are closed: what the program's tests must not pass with. Each keeps its executor
}

// tracked is a pool that has started.
type tracked struct {
	Pool
	number int
	ended  chan struct{} // closed when there is nothing more to see to
}

// awaitEnd waits until all that the pool has to do after its workers have left is done, unless a signal ends the program.
func (t *tracked) awaitEnd() {
	told := make(chan struct{})
	defer onSignal(func() { close(told) })()
	select {
	case <-t.ended:
	case <-told:
	}
}

// Number counts the executors of the program that start.
func Number() int {
	open.Lock()
	defer open.Unlock()
	open.made++
	return open.made
}

// Track remembers a pool, which has this number, until closed is called, with what tells, when the program's tests are over, how badly its workers have ended; nil
// when they have not.
func Track(p Pool, number int) (closed func(badEnd func() error)) {
	open.Lock()
	defer open.Unlock()
	key := &tracked{p, number, make(chan struct{})}
	open.set = append(open.set, key)
	if draining.Load() { // it began while the others were told
		go p.Drain()
	}
	return func(badEnd func() error) {
		last := ended(key)
		open.Lock()
		defer open.Unlock()
		if badEnd != nil && open.tests {
			open.badEnds = append(open.badEnds, badEnd)
		}
		open.set = slices.DeleteFunc(open.set, func(o *tracked) bool { return o == key })
		if last != nil {
			open.broken = append(open.broken, *last)
			open.broken = slices.Delete(open.broken, 0, max(0, len(open.broken)-mostBroken))
		}
		close(key.ended)
	}
}

// mostBroken is how many broken pools that have ended are remembered.
const mostBroken = 10

// ended returns what is remembered of a pool that has ended: nothing, unless it is broken.
func ended(t *tracked) *status.Executor {
	if state, _ := t.Master().State(); state != dispatch.Broken {
		return nil
	}
	e := t.Status(0)
	e.Number, e.Ended = t.number, time.Now()
	e.Workers = status.Workers{Lost: e.Workers.Lost, Restarts: e.Workers.Restarts, Seconds: e.Workers.Seconds} // there are none any more
	return &e
}

// brokenPools returns those that have ended.
func brokenPools() []status.Executor {
	open.Lock()
	defer open.Unlock()
	return slices.Clone(open.broken)
}

// FinishOpen closes every pool that is open when everything queued has run, and returns what went wrong by the end of ctx. Those that are
// not closed by then are given up: the next call has nothing to do with them.
func FinishOpen(ctx context.Context) []error {
	all := openPools()
	errs := make([]error, len(all))
	var wg sync.WaitGroup
	for i, p := range all {
		wg.Go(func() { errs[i] = p.Finish(ctx) })
	}
	wg.Wait()
	open.Lock()
	defer open.Unlock()
	open.set = slices.DeleteFunc(open.set, func(o *tracked) bool { return slices.Contains(all, o) })
	return slices.DeleteFunc(errs, func(err error) bool { return err == nil })
}

func openPools() []*tracked {
	open.Lock()
	defer open.Unlock()
	return slices.Clone(open.set)
}
