package dispatch

// allowed returns how many more units may be handed to a worker before it is replaced.
func (m *Master) allowed(w *worker) int {
	p := m.process(w)
	switch {
	case p.ends():
		return 0
	case m.cfg.MaxTasks == 0:
		return batchUnits
	case p != nil:
		return m.cfg.MaxTasks - p.units()
	}
	return m.cfg.MaxTasks - w.served - w.units
}

// free makes a worker that has answered all it had idle, or replaces it if it has served its time.
func (m *Master) free(w *worker) {
	m.filled(w)
	m.quickens(w, false)
	if m.allowed(w) > 0 && !m.surplus(w) {
		w.state = idle
		m.idle = append(m.idle, w.slot)
		return
	}
	m.retire(w)
	m.exhaust(w)
}

// renew starts the next worker in the slot of one that has served its time and left, unless a shutdown has nothing more
// for it to do.
func (m *Master) renew(w *worker) {
	w.stopTimer()
	if m.pending() || m.state == Serving {
		m.stats.Restarts++
		m.startWorker(w)
	}
}
