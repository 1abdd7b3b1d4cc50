package dispatch

import (
	"errors"
	"fmt"
	"slices"

	"github.com/rankpool/rankpool/internal/link"
)

// Workers can be slots of one process, see link.Traits.Slots. Where the group ends processes they are started together and lost together, so
// what concerns the process is decided once for all of them: when it has served its time, what its loss means, and when a task is reason
// enough to end it. In ranks, which nothing ends or replaces, each is started and lost by itself; but one that is heard answers for all, and
// one that is silent for too long takes the others along, as nothing else would be different with them.

// process is what its slots have in common.
type process struct {
	slots   []*worker
	lost    []ending  // those whose loss has been told, while that of others is still to come
	silent  bool      // it is given up, where it cannot be ended
	overdue []overdue // those whose tasks ignore the end of their contexts: it ends as soon as the others have left
}

// ending is what the loss of a worker was.
type ending struct {
	w      *worker
	was    workerState
	err    error // what its process ended with
	failed bool  // it did not begin to work
	counts bool  // running tasks were lost, for a reason that may come again
	blamed bool  // a task was given up because no worker had survived receiving it
	cause  error
}

// overdue is a worker and why it has to end.
type overdue struct {
	w   *worker
	err *OverdueError
}

// newProcesses makes the processes of all workers, where they have several each.
func (m *Master) newProcesses() {
	n := m.kind.Slots
	if n < 2 {
		return
	}
	for slots := range slices.Chunk(m.workers, n) {
		m.processes = append(m.processes, process{slots: slots})
	}
}

// process returns that of a worker; nil where each has its own, or is lost by itself.
func (m *Master) process(w *worker) *process {
	if m.processes == nil || !m.kind.Kills {
		return nil
	}
	return &m.processes[w.slot/m.kind.Slots]
}

// killSilent gives up a worker that has been silent for too long, and with it the other slots of its process.
func (m *Master) killSilent(w *worker, cause error) {
	if m.processes == nil || m.kind.Kills { // that ends the process
		m.kill(w, cause)
		return
	}
	p := &m.processes[w.slot/m.kind.Slots]
	if p.silent { // on account of another slot
		return
	}
	p.silent = true
	for _, v := range p.slots {
		if v.state == idle || v.state == busy {
			m.kill(v, cause)
		}
	}
}

// ends tells whether the process is to end before its time.
func (p *process) ends() bool { return p != nil && len(p.overdue) > 0 }

// units counts what its slots have been handed.
func (p *process) units() (n int) {
	for _, w := range p.slots {
		n += w.served + w.units
	}
	return n
}

// exhaust sends the idle slots of a process away that may be handed nothing more, or it would not end before they were.
func (m *Master) exhaust(w *worker) {
	p := m.process(w)
	if p == nil || m.allowed(w) > 0 {
		return
	}
	for _, v := range p.slots {
		if i := slices.Index(m.idle, v.slot); i >= 0 && v.state == idle {
			m.idle = slices.Delete(m.idle, i, i+1)
			m.retire(v)
		}
	}
}

// retire tells a worker that it has served its time. Its process has the time to leave from when the last slot was told.
func (m *Master) retire(w *worker) {
	m.ready--
	m.dismiss(w)
	if p := m.process(w); p != nil && slices.ContainsFunc(p.slots, func(v *worker) bool { return v.state == starting || v.state == idle || v.state == busy }) {
		return
	}
	m.after(m.leaveLimit(), w, func() { m.kill(w, errors.New("it did not leave after its last task")) })
}

// endFor ends a worker whose task ignores the end of its context. If its process has other slots these are handed nothing more, and have
// the time of a stop to finish what they run and to leave.
func (m *Master) endFor(w *worker, err *OverdueError) {
	p := m.process(w)
	if p == nil {
		m.kill(w, err)
		return
	}
	first := len(p.overdue) == 0
	p.overdue = append(p.overdue, overdue{w, err})
	if first {
		m.exhaust(w)
		m.after(m.cfg.Stop, w, func() { m.kill(w, err) })
	}
	m.endLeft(p)
}

// endLeft ends a process that is to end when nothing else goes on in it.
func (m *Master) endLeft(p *process) {
	for _, w := range p.slots {
		if w.state == busy && !p.isOverdue(w) || w.state == leaving && !w.away {
			return
		}
	}
	if p.ends() {
		m.kill(p.overdue[0].w, p.overdue[0].err)
	}
}

func (p *process) isOverdue(w *worker) bool {
	return slices.ContainsFunc(p.overdue, func(o overdue) bool { return o.w == w })
}

// dissolve takes the first news of a lost process: none of its slots is handed anything.
func (m *Master) dissolve(w *worker) {
	if p := m.process(w); p != nil && len(p.lost) == 0 {
		m.idle = slices.DeleteFunc(m.idle, func(s int) bool { return m.workers[s] != w && m.process(m.workers[s]) == p })
	}
}

// NeighbourError is the cause when a worker was ended with its process, because of a task on another slot of that.
type NeighbourError struct {
	Worker int // which ran that task
	Cause  error
}

// Error names the other worker.
func (e *NeighbourError) Error() string {
	return fmt.Sprintf("its process was ended because of the task on worker %d, another slot of it: %v", e.Worker, e.Cause)
}

// neighbours replaces the cause of a loss that is another slot's.
func (m *Master) neighbours(w *worker, cause error) error {
	p := m.process(w)
	if !p.ends() || !isOverdue(cause) {
		return cause
	}
	for _, o := range p.overdue {
		if o.w != w {
			continue
		}
		if exit, ok := cause.(*link.ExitError); ok { //nolint:errorlint // of the group's own making
			own := *exit
			own.Cause = o.err
			return &own
		}
		return cause
	}
	other := &NeighbourError{p.overdue[0].w.slot, p.overdue[0].err}
	if exit, ok := cause.(*link.ExitError); ok { //nolint:errorlint // likewise
		own := *exit
		own.Cause = other
		return &own
	}
	return other
}

// isGivenUp tells whether a worker was ended because a task of its process ignored the end of its context, which is no sign of a
// program that is wrong.
func isGivenUp(cause error) bool {
	other := (*NeighbourError)(nil)
	return isOverdue(cause) || errors.As(cause, &other)
}

// settleLoss goes on in the place of a lost worker. Slots of one process do when all of them are lost.
func (m *Master) settleLoss(e ending, out *news) {
	p := m.process(e.w)
	if p == nil {
		if e.was == leaving {
			m.noteEnd(e.w, e.err)
		}
		m.succeed(e, out)
		return
	}
	p.lost = append(p.lost, e)
	if len(p.lost) < len(p.slots) {
		return
	}
	all := p.lost
	p.lost, p.overdue = nil, nil
	whole := ending{failed: true}
	for _, e := range all {
		whole.failed = whole.failed && e.failed
		whole.counts = whole.counts || e.counts && !e.failed
		whole.blamed = whole.blamed || e.blamed
	}
	if !slices.ContainsFunc(all, func(e ending) bool { return e.was != leaving }) { // else one had not been told to leave yet
		m.noteEnd(all[0].w, all[0].err)
	}
	for _, e := range all {
		e.failed, e.counts, e.blamed = whole.failed, whole.counts, whole.blamed
		m.succeed(e, out)
	}
}

// hearTogether has a worker count as heard when another slot of its process was: that answers for all.
func (m *Master) hearTogether() {
	for i := range m.processes {
		slots := m.processes[i].slots
		if slices.ContainsFunc(slots, func(w *worker) bool { return w.heard }) {
			for _, w := range slots {
				w.heard = true
			}
		}
	}
}
