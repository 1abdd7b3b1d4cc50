package futures

import (
	"time"
)

// Stats counts the tasks and workers of an executor since it started. A task is a submitted call, or one chunk of a [Map].
type Stats struct {
	Submitted uint64 // tasks queued so far
	Queued    int    // tasks that wait now
	Running   int    // tasks handed to workers now, without those that wait
	Waiting   int    // tasks of a ThreadPoolExecutor that wait for others of it and have lent their slot
	Blocked   int    // calls of SubmitAfter that wait for their input now; they are not in Queued
	Recalled  uint64 // calls and elements of maps that did not run, because a journal had their result or failure; they count nowhere else
	Done      uint64 // tasks that succeeded
	Failed    uint64 // tasks that failed, lost ones included
	Cancelled uint64 // tasks that never ran: cancelled, or dropped by a shutdown or a broken pool
	Retried   uint64 // tasks queued again: see WithRetries
	Lost      uint64 // workers that died
	Restarts  uint64 // workers started in place of lost ones, or of those that had run WithMaxTasksPerChild tasks
	Workers   []WorkerStats
}

// WorkerStats has the counters of one worker, including those of its predecessors.
type WorkerStats struct {
	Worker int           // its number, from 0
	Host   string        // where it runs
	Pid    int           // its process; 0 while another is being started (for kill(2), 0 is your own process group)
	Tasks  uint64        // tasks it answered
	Busy   time.Duration // time spent in tasks that are finished
}

// Stats implements [Executor].
func (e *executor) Stats() Stats {
	m := e.master.Load()
	if m == nil { // then nothing was submitted
		return Stats{}
	}
	d := m.Stats()
	s := Stats{Submitted: d.Submitted, Queued: d.Queued, Running: d.Running, Waiting: d.Waiting, Blocked: d.Blocked, Done: d.Done, Failed: d.Failed,
		Recalled: e.recalled.Load(), Cancelled: d.Cancelled, Retried: d.Retried, Lost: d.Lost, Restarts: d.Restarts}
	for _, w := range d.Workers {
		s.Workers = append(s.Workers, WorkerStats(w))
	}
	return s
}
