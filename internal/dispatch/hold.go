package dispatch

import (
	"runtime"
	"time"
)

// Where workers are goroutines there may be thousands for a few processors. To wake another one for a quick unit costs more than the unit
// takes, and the unit would wait for a processor. So when as many workers as there are processors run quick units, such units stay in the
// queue until they are worth it, or one of these workers has ended its batch, which is soon. What was held goes out
// a millisecond later at the latest, and workers whose units take long after all are taken for what they are.
//
// More workers than mostQuick do not run units at the same time that are quick, or of a function of which little is known, whatever waits: what
// these take is known when the first have ended. If few have after a millisecond, twice as many may be next.

// What is held, and for how long.
const (
	mostHeld   = time.Millisecond
	mostQuick  = 256
	mostUntold = 32 // elements that were measured, from which on a function is known
)

// holding is what a master knows of units that are held. The lock guards it.
type holding struct {
	processors int
	quick      int    // workers that run quick units
	epoch      uint64 // how often they did not end soon, and one
	timer      *time.Timer
	armed      bool
	over       bool   // what is worth little is not held now
	more       int    // workers beside mostQuick that may run quick units
	ended      uint64 // units that had ended when the timer was started
}

// holds tells whether what is next stays in the queue although workers are idle.
func (m *Master) holds() bool {
	h, q := &m.holding, &m.queue
	if h.quick < h.processors || !m.kind.SharesMem || len(q.front)+len(q.gangs)+len(q.coming) > 0 || m.lending.lent > 0 {
		return false
	}
	p, ok := q.peek()
	if !ok || q.fair.active != 1 || q.current.changes > 0 || p.job.more().Gang || p.job.unwanted() { // else there may be something behind it that is to go out
		return false
	}
	ns, quick := m.quick(p.job)
	little := quick && !h.over && ns*float64(q.units) < float64(leastTime)
	if !little && (h.quick < mostQuick+h.more || !quick && !m.untold(p.job)) {
		return false
	}
	if !h.armed {
		h.armed, h.ended = true, m.stats.Done+m.stats.Failed
		if h.timer == nil {
			h.timer = time.AfterFunc(mostHeld, m.letGo)
		} else {
			h.timer.Reset(mostHeld)
		}
	}
	return true
}

// untold tells whether too little is known of what units of a job take.
func (m *Master) untold(j *Job) bool {
	f, more := m.times(j.Func), j.more()
	return f.known < mostUntold && !f.talks && more.Timeout == 0 && more.Grace == 0
}

// letGo hands out what is held, and counts the workers that run tiny units anew: these may run something else.
func (m *Master) letGo() {
	m.mu.Lock()
	defer m.unlock()
	h := &m.holding
	h.armed, h.processors = false, runtime.GOMAXPROCS(0)
	if few := m.stats.Done+m.stats.Failed-h.ended < mostQuick/2; few && h.quick >= mostQuick {
		h.more = 2*h.more + mostQuick
	} else {
		h.more = 0
	}
	h.epoch++
	h.quick = 0
	h.over = true
	m.handOut()
	h.over = false
	m.settleState()
}

// quickens notes that a worker begins with tiny units, or with others, or with none.
func (m *Master) quickens(w *worker, tiny bool) {
	h := &m.holding
	switch counted := w.quick == h.epoch; {
	case tiny && !counted:
		h.quick++
		w.quick = h.epoch
	case !tiny && counted:
		h.quick--
		w.quick = 0
	}
}

func (h *holding) stop() {
	if h.timer != nil {
		h.timer.Stop()
	}
}
