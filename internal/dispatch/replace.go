package dispatch

import (
	"errors"
	"fmt"
	"time"

	"github.com/rankpool/rankpool/internal/link"
)

// startPauses is how long a slot waits before its next start after one start in a row has failed, two, and so on. After the
// last the slot counts as given up: it is still tried, but the pool breaks when no other slot has a worker either.
var startPauses = [...]time.Duration{100 * time.Millisecond, time.Second, 5 * time.Second}

const (
	// settled is after what time a worker that ends without having begun a task has not failed to start.
	settled = 30 * time.Second

	// lossesInARow is how often in a row running tasks may be lost, over the whole pool, with nothing finished in between.
	// Workers that were there at one such loss count together, so a pool of n workers loses up to n times as many.
	lossesInARow = 30
)

// idled tells whether a lost worker had begun none of the tasks it was given, and was not there for long.
func (w *worker) idled(l link.Loss, now time.Duration) bool {
	if !l.Proof && w.units > 0 { // nobody knows
		return false
	}
	return w.served == 0 && l.Picked == 0 && now-w.readied < settled
}

// givenUp tells whether a slot has no worker and is not expected to have one soon.
func (w *worker) givenUp() bool {
	return w.state == dead || (w.state == pausing || w.state == starting) && w.fails > len(startPauses)
}

// replace starts a new worker in a slot that lost its own, at once or after a pause, or gives the slot or the pool up.
// failed says that the lost one did not begin to work, counts that tasks were lost with it, blamed that a task was given up because
// no worker had survived receiving it.
func (m *Master) replace(w *worker, failed, counts, blamed bool, cause error, out *news) {
	m.shrunk = true
	broken := w.broken("", cause)
	if exit := (*link.ExitError)(nil); broken.Pid == 0 && errors.As(cause, &exit) { // it died before it could say
		broken.Host, broken.Pid = exit.Host, exit.Pid
	}
	if !m.isBooted {
		m.breakWith(out, broken) // a pool that does not come up whole has something wrong with it
		return
	}
	if !m.kind.Replaces {
		w.state = dead
		if m.deserted() {
			m.breakWith(out, broken)
		}
		return
	}
	if counts {
		if w.reign == m.reign { // else it was there at the last loss, and counts with that
			m.reign++
			m.losses++
		}
		if m.losses >= lossesInARow {
			broken.Cause = fmt.Errorf("workers were lost with their tasks %d times in a row, and nothing finished in between; the last one: %w", m.losses, cause)
			m.breakWith(out, broken)
			return
		}
	}
	if blamed {
		for _, w := range m.workers { // what it was is known now
			w.fails = 0
		}
	}
	if blamed || !failed {
		w.fails = 0
		m.stats.Restarts++
		m.startWorker(w)
		return
	}
	pause := startPauses[min(w.fails, len(startPauses)-1)]
	w.state = pausing
	if w.fails++; w.fails > len(startPauses) && m.deserted() {
		broken.Cause = fmt.Errorf("%d starts in a row have failed; the last one: %w", w.fails, cause)
		m.breakWith(out, broken)
		return
	}
	m.after(pause, w, func() {
		if !m.leaving {
			m.stats.Restarts++
			m.startWorker(w)
		}
	})
}

// deserted tells whether no slot has a worker, or will have one soon.
func (m *Master) deserted() bool {
	for _, w := range m.workers[:m.lending.size] {
		if !w.givenUp() {
			return false
		}
	}
	return true
}
