//go:build unix

package main

import (
	"bytes"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/rankpool/rankpool/futures"
)

// fate is what the program was told of a task.
type fate uint32

const (
	untold    fate = iota
	delivered      // its result
	failed         // its own error
	lost           // that its worker was lost
	cancelled
	dropped // nothing: its verb fails at once, and another task of it has failed
)

// retries is how often a task may run again that may.
const retries = 1000

// ledger has what became of every task.
type ledger struct {
	fates  []atomic.Uint32
	calls  []atomic.Uint32 // of the callbacks of its future
	again  []bool          // it may run again when its worker is lost
	each   []bool          // it runs on every worker
	ended  atomic.Int64    // how many tasks have a fate
	losses atomic.Int64    // what was told to be lost: tasks, elements, gangs
	called atomic.Int64    // tasks with a callback

	mu     sync.Mutex
	faults []error
}

func newLedger(n int) *ledger {
	return &ledger{
		fates: make([]atomic.Uint32, n), calls: make([]atomic.Uint32, n), again: make([]bool, n), each: make([]bool, n),
	}
}

// fault enters what must not be. The first twenty tell enough.
func (l *ledger) fault(format string, args ...any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.faults) < 20 {
		l.faults = append(l.faults, fmt.Errorf(format, args...))
	}
}

func (l *ledger) enter(n int, f fate) {
	if !l.fates[n].CompareAndSwap(uint32(untold), uint32(f)) {
		l.fault("task %d was told twice: %d, then %d", n, l.fates[n].Load(), f)
	}
	l.ended.Add(1)
}

// told enters what came of a task that is a unit of its own.
func (l *ledger) told(t task, a answer, err error) {
	if err != nil {
		l.failedWith(t, err)
		l.lostOne(err)
		return
	}
	if a.N != t.N || !bytes.Equal(a.Data, t.Data) {
		l.fault("task %d has the answer of task %d, with %d bytes for %d", t.N, a.N, len(a.Data), len(t.Data))
	}
	if t.Do.failing() || t.Do.crashing() {
		l.fault("task %d succeeded, and was told to fail (%d)", t.N, t.Do)
	}
	l.enter(t.N, delivered)
}

// failedWith enters the fate of a task that failed.
func (l *ledger) failedWith(t task, err error) {
	switch {
	case errors.Is(err, futures.ErrBroken):
		l.enter(t.N, lost)
	case errors.Is(err, futures.ErrCancelled):
		l.enter(t.N, cancelled)
	case t.Do.failing():
		l.enter(t.N, failed)
	default:
		l.fault("task %d failed: %v", t.N, err)
	}
}

// lostOne counts a unit if it was lost.
func (l *ledger) lostOne(err error) {
	switch {
	case errors.Is(err, futures.ErrBroken):
		l.losses.Add(1)
	case !errors.Is(err, futures.ErrCancelled) && !errors.As(err, new(*futures.RemoteError)):
		l.fault("an error of no known kind: %v", err)
	}
}

// drop enters those of a block of which nothing was told.
func (l *ledger) drop(b block) {
	for _, t := range b.tasks {
		if fate(l.fates[t.N].Load()) == untold {
			l.enter(t.N, dropped)
		}
	}
}

// balance compares what was told with what ran.
func (l *ledger) balance(s futures.Stats, workers, killed int) {
	runs := make([]int, len(l.fates))
	if err := read(func(n int) { runs[n]++ }); err != nil {
		l.fault("%v", err)
	}
	var count [dropped + 1]int
	extra := 0
	for n := range l.fates {
		f := fate(l.fates[n].Load())
		count[f]++
		least, most := 1, 1
		switch f {
		case untold:
			l.fault("task %d was not told", n)
			continue
		case cancelled:
			most, least = 0, 0
		case lost, dropped:
			least = 0
		}
		switch {
		case l.each[n]:
			most *= workers
		case l.again[n]:
			extra += max(runs[n]-1, 0)
			most = max(most, 1+retries)
		}
		if runs[n] < least || runs[n] > most {
			l.fault("task %d ran %d times; its fate is %d", n, runs[n], f)
		}
	}
	if uint64(l.losses.Load())+uint64(extra) > uint64(*cost)*s.Lost {
		l.fault("%d units were lost, %d ran again, with %d workers", l.losses.Load(), extra, s.Lost)
	}
	if s.Queued != 0 || s.Running != 0 {
		l.fault("the counters say that something is left: %+v", s)
	}
	fmt.Printf("tasks %d: delivered %d, failed %d, lost %d, cancelled %d, dropped with a verb that fails at once %d; "+
		"workers lost %d (killed %d); units lost %d, run again %d\n", len(l.fates), count[delivered], count[failed], count[lost],
		count[cancelled], count[dropped], s.Lost, killed, l.losses.Load(), extra)
}

// calledBack compares the callbacks that were added with those that have run. They may come later than the results, but
// not later than the end of their pool.
func (l *ledger) calledBack() {
	called := int64(0)
	for n := range l.calls {
		called += int64(l.calls[n].Load())
	}
	if called != l.called.Load() {
		l.fault("%d callbacks for %d futures", called, l.called.Load())
	}
}
