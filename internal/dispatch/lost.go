package dispatch

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/rankpool/rankpool/internal/link"
)

// startsInARow is how often a slot's worker may die before it is ready until the slot is given up.
const startsInARow = 3

// Error names the worker and the cause.
func (e *BrokenError) Error() string {
	s := "the pool is broken"
	switch {
	case e.Task != "":
		s = fmt.Sprintf("%s was lost with worker %d", e.Task, e.Worker)
	case e.Worker >= 0:
		s = fmt.Sprintf("the pool is broken: worker %d", e.Worker)
	}
	if exit := (*link.ExitError)(nil); e.Host != "" && !errors.As(e.Cause, &exit) { // which would say it again
		rank := ""
		if e.Rank >= 0 {
			rank = fmt.Sprintf("rank %d, ", e.Rank)
		}
		s += fmt.Sprintf(" (%sprocess %d on %s)", rank, e.Pid, e.Host)
	}
	return s + ": " + e.Cause.Error()
}

// ErrBroken is what errors.Is finds in every *BrokenError.
var ErrBroken = errors.New("the pool is broken")

// Is says that a *BrokenError is ErrBroken.
func (e *BrokenError) Is(target error) bool { return target == ErrBroken }

// Unwrap returns the cause.
func (e *BrokenError) Unwrap() error { return e.Cause }

// OverdueError is the cause when a task ignored the end of its context after its time-out.
type OverdueError struct {
	Timeout time.Duration
}

// Is says that an *OverdueError is context.DeadlineExceeded: the task's own context ended with that.
func (e *OverdueError) Is(target error) bool { return target == context.DeadlineExceeded }

// Error names the time-out.
func (e *OverdueError) Error() string {
	return fmt.Sprintf("the task ran beyond its time-out of %v and ignored the end of its context", e.Timeout)
}

// broken is an error about this worker, or about a task that is lost with it.
func (w *worker) broken(task string, cause error) *BrokenError {
	rank := w.hello.Rank
	if w.hello.Pid == 0 { // it has not said
		rank = -1
	}
	return &BrokenError{Worker: w.slot, Host: w.hello.Host, Pid: w.hello.Pid, Rank: rank, Task: task, Cause: cause}
}

var errExited = errors.New("it ended before it served: it called os.Exit, or main returned without calling futures.Main")

// Lost takes the end of a worker. It is called by the link.
func (m *Master) Lost(slot int, l link.Loss) {
	n := newsPool.Get().(*news)
	m.mu.Lock()
	w := m.workers[slot]
	n.slot, n.hello = slot, w.hello
	if len(l.Salvage) > 1 && w.units > 0 {
		if err := m.message(w, link.Frame{Stream: l.Salvage}, nil, n); err != nil {
			m.remark(slog.LevelWarn, "rankpool: damaged journal of a lost worker", "worker", slot, "err", err)
		}
		m.idle = slices.DeleteFunc(m.idle, func(s int) bool { return s == slot }) // it may have answered all it had
	}
	was := w.state
	w.state = empty
	switch was {
	case idle, busy:
		m.ready--
		m.idle = slices.DeleteFunc(m.idle, func(s int) bool { return s == slot })
	case starting:
		w.start.Stop()
	}
	cause := l.Err
	if cause == nil {
		cause = errExited
		if was != starting {
			cause = errors.New("its process left although it had not been told to")
		}
	}
	exit := (*link.ExitError)(nil)
	if was == starting && w.hello.Pid == 0 && errors.As(cause, &exit) && exit.Code == 0 && exit.Cause == nil {
		cause = fmt.Errorf("process %d on %s: %w", exit.Pid, exit.Host, errExited)
	}
	m.hush(w)
	m.doom(w, cause)
	m.orphans(w, l, cause, n)
	m.warn(w, cause)
	switch {
	case m.leaving:
	case was == leaving:
		m.renew(w)
	case m.state == Broken:
	default:
		m.stats.Lost++
		m.remark(slog.LevelWarn, "rankpool: worker was lost", "worker", slot, "host", w.hello.Host, "pid", w.hello.Pid, "err", cause)
		m.replace(w, was == starting, cause, n)
	}
	m.dropReturned(n)
	m.handOut()
	m.settleState()
	m.unlock()
	m.deliver(n)
}

// orphans decides about the units a lost worker had: the one it was running fails, what it had not started goes back to
// the queue. Without proof of which is which, all fail.
func (m *Master) orphans(w *worker, l link.Loss, cause error, out *news) {
	running := true // the first one after the last finished
	var back []piece
	for i := w.head; i < len(w.out); i++ {
		p := w.out[i]
		for p.done < p.n {
			seq := p.seq + uint64(p.done)
			if l.Proof && seq > l.Finished && !p.job.more().Gang {
				if !running || seq > l.Picked {
					break
				}
				running = false
			}
			m.orphan(w, p, cause, &back, out)
			p.done++
		}
		if p.done < p.n {
			back = append(back, piece{job: p.job, cursor: p.job.advance(p.cursor, p.done), n: p.n - p.done, tries: p.tries})
		}
	}
	for _, p := range slices.Backward(back) {
		m.takeBack(p)
	}
	m.flying -= w.units
	w.units, w.ends, w.out, w.head = 0, w.ends[:0], w.out[:0], 0
}

// orphan fails one unit that was lost while it ran, or queues it again.
func (m *Master) orphan(w *worker, p piece, cause error, back *[]piece, out *news) {
	if p.gone {
		m.gone--
		return
	}
	if p.job.more().Gang {
		m.left(w, true, cause)
	}
	overdue := (*OverdueError)(nil) // its own fault, which would only repeat itself
	if p.tries < p.job.more().Retries && !p.job.more().Gang && m.state != Broken && !errors.As(cause, &overdue) {
		*back = append(*back, piece{job: p.job, cursor: p.job.advance(p.cursor, p.done), n: 1, tries: p.tries + 1})
		m.stats.Retried++
		return
	}
	m.stats.Failed++
	out.list = append(out.list, delivery{job: p.job, first: p.unit + p.done, n: 1,
		rest: &rest{failed: true, fault: w.broken(m.cfg.Name(p.job.Func), cause)}})
}

// replace starts a new worker in a slot that lost its own, or gives the slot or the pool up.
func (m *Master) replace(w *worker, early bool, cause error, out *news) {
	if early {
		w.fails++
	}
	broken := w.broken("", cause)
	if exit := (*link.ExitError)(nil); broken.Pid == 0 && errors.As(cause, &exit) { // it died before it could say
		broken.Host, broken.Pid = exit.Host, exit.Pid
	}
	switch {
	case !m.isBooted:
		m.breakWith(out, broken) // a pool that does not come up whole has something wrong with it
	case m.kind.Replaces && w.fails < startsInARow:
		m.stats.Restarts++
		m.startWorker(w)
	default:
		w.state = dead
		if !slices.ContainsFunc(m.workers, func(w *worker) bool { return w.state != dead }) {
			m.breakWith(out, broken)
		}
	}
}

// breakDown breaks the pool from a place that has no news to add to.
func (m *Master) breakDown(err *BrokenError) {
	n := newsPool.Get().(*news)
	m.breakWith(n, err)
	go m.deliver(n)
}

// breakWith ends the pool: everything queued is dropped with err, the workers are ended.
func (m *Master) breakWith(out *news, err *BrokenError) {
	if m.state == Broken || m.state == Closed {
		return
	}
	m.remark(slog.LevelError, "rankpool: the pool is broken", "err", err)
	m.state, m.err = Broken, err
	m.dropQueue(out, err)
	m.bootDone()
	for _, w := range m.workers {
		if w.state == idle || w.state == busy || w.state == starting {
			m.kill(w, errors.New("the pool broke"))
		}
	}
	m.leave()
}

// dropReturned drops what workers gave or left back unstarted after the pool had broken, or after a shutdown that cancels.
func (m *Master) dropReturned(out *news) {
	switch {
	case m.state == Broken:
		m.dropQueue(out, m.err)
	case m.dropping != nil:
		m.dropQueue(out, m.dropping)
	}
}

// dropQueue tells the sinks of everything queued that it will not run.
func (m *Master) dropQueue(out *news, why error) {
	for _, j := range m.queue.gangs {
		if !j.withdrawn {
			j.dropped = true
			m.stats.Cancelled++
			out.list = append(out.list, delivery{job: j, n: 1, rest: &rest{drop: why}})
		}
	}
	m.queue.gangs = nil
	for {
		p, ok := m.queue.peek()
		if !ok {
			return
		}
		m.queue.take(p.n, cursor{})
		p.job.dropped = true
		m.stats.Cancelled += uint64(p.n)
		out.list = append(out.list, delivery{job: p.job, first: p.unit, n: p.n, rest: &rest{drop: why}})
	}
}
