package futures

import (
	"slices"
	"sync"
	"time"

	"github.com/rankpool/rankpool/internal/dispatch"
	"github.com/rankpool/rankpool/internal/status"
)

// stateNames are the words for the states of an executor.
var stateNames = map[dispatch.State]string{
	dispatch.Fresh: "not started", dispatch.Starting: "starting", dispatch.Serving: "serving", dispatch.Stopping: "shutting down",
	dispatch.Broken: "broken", dispatch.Closed: "closed",
}

// Status implements life.Pool.
func (p pool) Status(workers int) status.Executor {
	e, m := p.e, p.Master()
	at := time.Now()
	g := status.Gather{Most: workers}
	now := m.Look(func(w *dispatch.WorkerNow) { g.Add(e.workerStatus(w, at)) })
	e.mu.Lock()
	s := status.Executor{Backend: e.backend, State: stateNames[now.State], Begun: now.Begun}
	e.mu.Unlock()
	if now.Err != nil {
		s.Error = now.Err.Error()
	}
	n := &now.Stats
	s.Tasks = status.Tasks{Submitted: n.Submitted, Queued: n.Queued, Running: n.Running, Waiting: n.Waiting, Gangs: now.Gangs, Blocked: n.Blocked, Done: n.Done,
		Failed: n.Failed, Cancelled: n.Cancelled, Retried: n.Retried, Recalled: e.recalled.Load()}
	s.Workers.Lost, s.Workers.Restarts = n.Lost, n.Restarts
	g.Into(&s)
	s.Workers.Seconds += now.Vacated.Seconds()
	s.Maps = e.maps.status(at)
	s.Losses = []status.Loss{}
	for _, l := range slices.Backward(now.Losses) {
		s.Losses = append(s.Losses, status.Loss{At: l.At, Worker: l.Worker, Host: l.Hello.Host, Pid: l.Hello.Pid, Cause: l.Cause.Error()})
	}
	return s
}

// workerStatus is what a worker is at.
func (e *executor) workerStatus(w *dispatch.WorkerNow, at time.Time) status.Worker {
	s := status.Worker{Number: w.Worker, State: w.Phase, Host: w.Hello.Host, Pid: w.Hello.Pid, Rank: w.Hello.Rank, Attempt: w.Attempt, Tasks: w.Tasks,
		Seconds: w.Busy.Seconds()}
	if s.Pid == 0 {
		s.Rank = -1
	}
	if !w.Begun {
		return s
	}
	s.Runs = &status.Run{Function: e.nameOf(w.Func), Elements: w.Elements, Behind: w.Behind, Since: at.Add(-w.For), Seconds: w.For.Seconds(),
		Waits: w.Waits, GivenUp: w.GivenUp}
	if of, ok := w.Sink.(interface{ inMap() (number, base int) }); ok {
		number, base := of.inMap()
		s.Runs.Map, s.Runs.Index = number, base+w.First
	}
	return s
}

// mapTally is how far a map has come, for those that look on. The mapping's lock guards done, failed and total.
type mapTally struct {
	lock         *sync.Mutex
	number       int // among the executor's
	name         string
	function     string
	begun        time.Time
	total        int // -1: nobody knows yet
	done, failed int
	known        int // of these, what a journal had: it took no time
}

// add counts elements, and tells whether nothing more is to come: a map that was cut short ends with an error that is no element's.
func (t *mapTally) add(done, failed int, cut bool) (over bool) {
	t.done += done
	t.failed += failed
	return cut || t.total >= 0 && t.done+t.failed >= t.total
}

// mapsUnderWay are those of an executor whose elements have not all come in.
type mapsUnderWay struct {
	mu   sync.Mutex
	made int
	open map[*mapTally]struct{}
}

func (u *mapsUnderWay) begin(t *mapTally) {
	t.begun = time.Now()
	u.mu.Lock()
	defer u.mu.Unlock()
	u.made++
	t.number = u.made
	if u.open == nil {
		u.open = map[*mapTally]struct{}{}
	}
	u.open[t] = struct{}{}
}

func (u *mapsUnderWay) end(t *mapTally) {
	u.mu.Lock()
	delete(u.open, t)
	u.mu.Unlock()
}

// status returns what is under way, the oldest first.
func (u *mapsUnderWay) status(at time.Time) []status.Map {
	u.mu.Lock()
	open := make([]*mapTally, 0, len(u.open))
	for t := range u.open {
		open = append(open, t)
	}
	u.mu.Unlock()
	slices.SortFunc(open, func(a, b *mapTally) int { return a.number - b.number })
	all := make([]status.Map, 0, len(open))
	for _, t := range open {
		m := status.Map{Number: t.number, Name: t.name, Function: t.function, Begun: t.begun}
		t.lock.Lock()
		m.Total, m.Done, m.Failed, m.Recalled = t.total, t.done, t.failed, t.known
		t.lock.Unlock()
		m.Estimate(at)
		all = append(all, m)
	}
	return all
}
