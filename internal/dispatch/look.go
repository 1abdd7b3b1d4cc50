package dispatch

import "time"

// Now is what goes on in a pool at a moment.
type Now struct {
	State  State
	Err    error // why it is Broken
	Begun  time.Time
	Stats  Stats // without Workers
	Gangs  int   // that wait for workers
	Losses []Loss

	Vacated time.Duration // in finished tasks, in places that visit is not told of
}

// Loss is the loss of a worker.
type Loss struct {
	At     time.Time
	Worker int
	Hello  *Hello
	Cause  error
}

// mostLosses is how many losses a Master remembers: the last ones.
const mostLosses = 10

// WorkerNow is what one worker is at.
type WorkerNow struct {
	Worker  int
	Phase   string
	Hello   *Hello // all zero until it has said hello
	Thread  bool   // it is a goroutine of this process
	Attempt int    // starts in its place, this one included; 0: none yet
	Tasks   uint64 // units that were answered in this place
	Busy    time.Duration
	Begun   bool // a task is at it, which is told of by the rest

	Func     uint32
	Sink     Sink // of the job
	First    int  // which of its elements
	Elements int  // how many of them belong to the unit, or to the tiny units that are told of together
	Behind   int  // units that it has beside these
	For      time.Duration
	Waits    bool // the task waits for others and has lent its slot
	GivenUp  bool // nobody waits for it any more
}

// lookedAt is how many workers are copied before others may have the lock: that takes some microseconds.
const lookedAt = 128

var phaseNames = [...]string{empty: "empty", starting: "starting", idle: "idle", busy: "busy", leaving: "leaving", pausing: "pausing", dead: "lost"}

// Look returns what goes on, and tells visit of each worker, in order. Visit is called without the scheduler's lock, which is released
// after every few workers: what is told of one may be a moment older than what is told of the next. The argument is only good
// until visit returns.
func (m *Master) Look(visit func(*WorkerNow)) Now {
	m.mu.Lock()
	n := Now{State: m.state, Err: m.err, Begun: m.begun, Stats: m.counters(), Gangs: len(m.queue.coming) + len(m.queue.gangs)}
	n.Losses = append(n.Losses, m.lastLosses...)
	m.unlock()
	part := make([]WorkerNow, 0, lookedAt)
	for first, more := 0, true; more; first += lookedAt {
		part = part[:0]
		m.mu.Lock()
		now := m.now()
		for _, w := range m.workers[min(first, len(m.workers)):min(first+lookedAt, len(m.workers))] {
			if w.state != empty || !m.extra(w) { // a place that lending has left is nothing
				part = append(part, m.lookAt(w, now))
			} else {
				n.Vacated += w.spent
			}
		}
		more = first+lookedAt < len(m.workers)
		m.unlock()
		for i := range part {
			visit(&part[i])
		}
	}
	return n
}

// lookAt is what a worker is at. The lock is held.
func (m *Master) lookAt(w *worker, now time.Duration) WorkerNow {
	s := WorkerNow{Worker: w.slot, Phase: phaseNames[w.state], Hello: w.hello, Thread: w.thread, Attempt: w.starts, Tasks: w.tasks, Busy: w.spent}
	p := w.next()
	if p == nil || w.state != busy {
		return s
	}
	j, unit, left := p.job, p.unit+p.done, p.n-p.done
	s.Begun, s.Func, s.Sink, s.For = true, j.Func, j.Sink, max(now-w.since, 0)
	s.First, s.Elements = unit*j.chunk()+p.over, j.elements(unit, left)-p.over
	s.Behind, s.Waits, s.GivenUp = w.units-left, w.loan.lent, p.gone
	if j.more().Gang { // each member has one unit of it, and that is the whole call
		s.First, s.Elements = 0, 1
	}
	return s
}

// noteLoss remembers the loss of a worker.
func (m *Master) noteLoss(w *worker, cause error) {
	if len(m.lastLosses) == mostLosses {
		m.lastLosses = append(m.lastLosses[:0], m.lastLosses[1:]...)
	}
	m.lastLosses = append(m.lastLosses, Loss{At: time.Now(), Worker: w.slot, Hello: w.hello, Cause: cause})
}
