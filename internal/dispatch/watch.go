package dispatch

import (
	"fmt"
	"log/slog"
	"time"

	"github.com/rankpool/rankpool/internal/link"
)

// A worker with work is asked after looks silent periods, each a quarter of the liveness, and lost after liveLooks.
const (
	askLooks  = 1
	sayLooks  = 2 // and the user is told
	liveLooks = 4

	leastPeriod = time.Millisecond // a worker has to have the time to answer
)

// watchdog looks after workers that have work. Its timer runs only while there are any.
type watchdog struct {
	timer *time.Timer
	armed bool
}

// arm starts the timer unless it runs. The master's lock is held.
func (d *watchdog) arm(m *Master) {
	if d.armed {
		return
	}
	d.armed = true
	if period := max(m.cfg.Liveness/liveLooks, leastPeriod); d.timer == nil {
		d.timer = time.AfterFunc(period, m.look)
	} else {
		d.timer.Reset(period)
	}
}

func (d *watchdog) stop() {
	if d.timer != nil {
		d.timer.Stop()
	}
}

// look asks silent workers whether they are there, and ends those that have not answered for the liveness time. A worker is not silent
// while bytes move: behind a large frame it neither hears nor answers.
func (m *Master) look() {
	moved := m.movements()
	m.mu.Lock()
	defer m.unlock()
	m.watch.armed = false
	if m.flying == 0 || m.leaving {
		return
	}
	for i, w := range m.workers {
		if i < len(moved) && moved[i] != w.moved {
			w.moved, w.heard = moved[i], true
		}
	}
	m.hearTogether()
	for _, w := range m.workers {
		if w.state != busy || w.heard {
			if w.silent >= sayLooks && w.state == busy {
				m.report(slog.LevelInfo, "rankpool: worker answers again", w.attributes())
			}
			w.heard, w.silent = false, 0
			continue
		}
		w.silent++
		switch {
		case w.silent >= liveLooks:
			m.killSilent(w, fmt.Errorf("silent for %v: it did not answer, because it is stopped or stuck or its host is cut off; given up (WithLiveness changes the limit)",
				m.cfg.Liveness))
		case w.silent >= askLooks:
			if w.silent == sayLooks {
				m.report(slog.LevelWarn, "rankpool: worker is silent", w.attributes(), "for", sayLooks*max(m.cfg.Liveness/liveLooks, leastPeriod), "given_up_after", m.cfg.Liveness)
			}
			m.send(w, append(link.GetBuffer(), kindPing))
		}
	}
	m.watch.arm(m)
}

// movements returns what the group tells of the frames on their way, by slot. It is called without the lock.
func (m *Master) movements() []uint64 {
	if m.mover == nil {
		return nil
	}
	m.mu.Lock()
	moved := make([]uint64, len(m.workers))
	m.mu.Unlock()
	for i := range moved {
		moved[i] = m.mover.Moved(i)
	}
	return moved
}
