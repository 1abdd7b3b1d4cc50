package dispatch

import (
	"runtime"
	"time"
)

// Where workers are goroutines there may be thousands for a few processors. To wake another one for a tiny unit costs more than the unit
// takes, and the unit would wait for a processor. So when as many workers as there are processors run tiny units, tiny ones stay in the
// queue until they are worth it, or one of these workers takes them. That is soon, for it ends its batch; if it takes long after all, what
// was held goes out a millisecond later.

// mostHeld is how long a unit is held.
const mostHeld = time.Millisecond

// holding is what a master knows of units that are held. The lock guards it.
type holding struct {
	processors int
	quick      int // workers that run tiny units
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
	if !ok {
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

// letGo hands out what is held.
func (m *Master) letGo() {
	m.mu.Lock()
	defer m.unlock()
	m.holding.armed = false
	m.holding.over = true
	m.handOut()
	m.holding.over = false
}

// quickens notes that a worker begins with tiny units, or with others.
func (m *Master) quickens(w *worker, tiny bool) {
	if w.quick == tiny {
		return
	}
	if w.quick = tiny; tiny {
		m.holding.quick++
	} else {
		m.holding.quick--
	}
}

func (h *holding) stop() {
	if h.timer != nil {
		h.timer.Stop()
	}
}

// processors is how many goroutines run at the same time.
func processors() int { return runtime.GOMAXPROCS(0) }
