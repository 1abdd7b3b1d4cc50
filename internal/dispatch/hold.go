package dispatch

import (
	"runtime"
	"time"
)

// Where workers are goroutines there may be thousands for a few processors. To wake another one for a tiny unit costs more than the unit
// takes, and the unit would wait for a processor. So when as many workers as there are processors run tiny units, tiny ones stay in the
// queue until they are worth it, or one of these workers has ended its batch, which is soon. If they take long after all, what was held goes out
// a millisecond later, and these workers are taken for what they are.

// mostHeld is how long a unit is held.
const mostHeld = time.Millisecond

// holding is what a master knows of units that are held. The lock guards it.
type holding struct {
	processors int
	quick      int    // workers that run tiny units
	epoch      uint64 // how often they did not end soon, and one
	timer      *time.Timer
	armed      bool
	over       bool // nothing is held now
}

// holds tells whether what is next stays in the queue although workers are idle.
func (m *Master) holds() bool {
	h, q := &m.holding, &m.queue
	if h.quick < h.processors || h.over || !m.kind.SharesMem || len(q.front)+len(q.gangs)+len(q.coming) > 0 || m.lending.lent > 0 {
		return false
	}
	p, ok := q.peek()
	if !ok || q.fair.active != 1 || q.current.changes > 0 || p.job.more().Gang || p.job.unwanted() { // else there may be something behind it that is to go out
		return false
	}
	if ns, tiny := m.unitTime(p.job); !tiny || ns*float64(q.units) >= float64(leastTime) {
		return false
	}
	if !h.armed {
		h.armed = true
		if h.timer == nil {
			h.timer = time.AfterFunc(mostHeld, m.letGo)
		} else {
			h.timer.Reset(mostHeld)
		}
	}
	return true
}

// letGo hands out what is held, and counts the workers that run tiny units anew: these may run something else.
func (m *Master) letGo() {
	m.mu.Lock()
	defer m.unlock()
	h := &m.holding
	h.armed, h.processors = false, runtime.GOMAXPROCS(0)
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
