package dispatch

import "time"

// Stats counts what became of tasks and workers since the start. A task is a unit: a call, or a chunk of a map.
type Stats struct {
	Submitted uint64 // tasks queued so far
	Queued    int    // tasks that wait now
	Running   int    // tasks handed to workers now, but for those that wait
	Waiting   int    // tasks that wait for others of their pool and have lent their slot
	Blocked   int    // jobs that were expected and have no arguments yet
	Done      uint64 // tasks that succeeded
	Failed    uint64 // tasks that failed, lost ones included
	Cancelled uint64 // tasks that never ran: cancelled, or dropped by a shutdown or a broken pool
	Retried   uint64 // tasks queued again after their worker was lost, or after a failure
	Lost      uint64 // workers that died
	Restarts  uint64 // workers started in place of lost ones, and of those that had served MaxTasks
	Workers   []WorkerStats
}

// WorkerStats is the part of one worker, those before it in the same slot included.
type WorkerStats struct {
	Worker int
	Host   string
	Pid    int
	Tasks  uint64        // tasks it answered
	Busy   time.Duration // time spent in tasks that are finished
}

// Stats returns the counters as they are now.
func (m *Master) Stats() Stats {
	m.mu.Lock()
	defer m.unlock()
	s := m.counters()
	s.Workers = make([]WorkerStats, 0, len(m.workers))
	for _, w := range m.workers {
		s.Workers = append(s.Workers, WorkerStats{Worker: w.slot, Host: w.hello.Host, Pid: w.hello.Pid, Tasks: w.tasks, Busy: w.spent})
	}
	return s
}

// counters returns those of tasks and workers. The lock is held.
func (m *Master) counters() Stats {
	s := m.stats
	s.Running, s.Waiting = m.flying-m.lending.lent, m.lending.lent
	s.Blocked = len(m.blocked)
	s.Queued = max(0, int(s.Submitted)-int(s.Done+s.Failed+s.Cancelled)-m.flying-s.Blocked)
	return s
}
