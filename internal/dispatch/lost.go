package dispatch

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/rankpool/rankpool/internal/link"
	"github.com/rankpool/rankpool/internal/remote"
	"github.com/rankpool/rankpool/internal/trace"
)

// Error names the worker and the cause.
func (e *BrokenError) Error() string {
	s := "the pool is broken"
	switch {
	case e.Task == "" && e.Worker >= 0 && e.Cause != nil && names(e.Cause.Error(), e.Worker):
		return s + ": " + e.Cause.Error()
	case e.Task != "":
		s = fmt.Sprintf("%s was lost with worker %d", e.Task, e.Worker)
	case e.Worker >= 0:
		s = fmt.Sprintf("the pool is broken: worker %d", e.Worker)
	}
	switch exit := (*link.ExitError)(nil); {
	case e.Thread:
		s += " (a goroutine of this program)"
	case e.Host != "" && !errors.As(e.Cause, &exit): // which would say it again
		rank := ""
		if e.Rank >= 0 {
			rank = fmt.Sprintf("rank %d, ", e.Rank)
		}
		s += fmt.Sprintf(" (%sprocess %d on %s)", rank, e.Pid, e.Host)
	}
	if e.Cause != nil {
		s += ": " + e.Cause.Error()
	}
	return s
}

// names tells whether a text says which worker it is about.
func names(text string, worker int) bool {
	_, rest, found := strings.Cut(text, "worker "+strconv.Itoa(worker))
	return found && (rest == "" || rest[0] < '0' || rest[0] > '9')
}

// ErrBroken is what errors.Is finds in every *BrokenError.
var ErrBroken = errors.New("the pool is broken")

// Is says that a *BrokenError is ErrBroken.
func (e *BrokenError) Is(target error) bool { return target == ErrBroken }

// Unwrap returns the cause.
func (e *BrokenError) Unwrap() error { return e.Cause }

// OverdueError is the cause when a task ignored the end of its context: after its time-out, or when that is 0, after the
// context was ended by the master.
type OverdueError struct {
	Timeout time.Duration
	Grace   time.Duration // for how long it was left alone then
}

// Is says that an *OverdueError is what the task's own context ended with: context.DeadlineExceeded after a time-out, else
// context.Canceled.
func (e *OverdueError) Is(target error) bool {
	if e.Timeout > 0 {
		return target == context.DeadlineExceeded
	}
	return target == context.Canceled
}

// Error says for how long.
func (e *OverdueError) Error() string {
	if e.Timeout == 0 {
		return fmt.Sprintf("the task went on for %v after the end of its context", e.Grace)
	}
	return fmt.Sprintf("the task ran beyond its time-out of %v and ignored the end of its context", e.Timeout)
}

// broken is an error about this worker, or about a task that is lost with it.
func (w *worker) broken(task string, cause error) *BrokenError {
	rank := w.hello.Rank
	if w.hello.Pid == 0 { // it has not said
		rank = -1
	}
	return &BrokenError{
		Worker: w.slot, Workers: w.hello.Workers, Host: w.hello.Host, Pid: w.hello.Pid, Rank: rank, Thread: w.thread, Task: task, Cause: cause,
	}
}

// Lost takes the end of a worker. It is called by the link.
func (m *Master) Lost(slot int, l link.Loss) {
	n := newsPool.Get().(*news)
	m.mu.Lock()
	w := m.workers[slot]
	n.slot, n.hello = slot, w.hello
	m.salvage(w, &l, n)
	was := w.state
	w.state = empty
	switch was {
	case idle, busy:
		m.ready--
		m.idle = slices.DeleteFunc(m.idle, func(s int) bool { return s == slot })
	case starting:
		w.stopTimer()
	}
	m.dissolve(w)
	cause := m.neighbours(w, w.reason(l, was))
	m.filled(w)
	m.quickens(w, false)
	m.clearTalk(w)
	m.breakNative(w, cause)
	if was == leaving || m.leaving && m.state != Broken { // the end takes along what was coming up
		m.trace.phase(w, trace.Left, l.Err)
	} else {
		m.trace.phase(w, trace.Died, cause)
	}
	failed := was == starting || was != leaving && w.idled(l, m.now()) && !isGivenUp(cause)
	worked := w.units > 0
	blamed := m.orphans(w, l, cause, n)
	m.warn(w, cause)
	m.settleLoss(ending{
		w: w, was: was, err: l.Err, failed: failed, counts: blamed || worked && !failed && !isGivenUp(cause), blamed: blamed, cause: cause,
	}, n)
	m.dropReturned(n)
	m.handOut()
	m.settleState()
	m.unlock()
	m.deliver(n)
}

// succeed has another worker take the place of a lost one, if it may.
func (m *Master) succeed(e ending, out *news) {
	w := e.w
	switch {
	case m.leaving:
	case e.was == leaving && m.extra(w):
		m.vacate(w, e.was)
	case e.was == leaving:
		m.renew(w)
	case m.state == Broken:
	default:
		m.stats.Lost++
		m.noteLoss(w, e.cause)
		who := w.attributes() // before the next start
		if m.extra(w) {
			m.vacate(w, e.was)
		} else {
			m.replace(w, e.failed, e.counts, e.blamed, e.cause, out)
		}
		m.reportLoss(who, w, e.was, e.cause)
	}
}

// reportLoss has logged that a worker was lost, as it was then, and what becomes of its slot. A loss that has broken the pool is named by what
// is logged about that.
func (m *Master) reportLoss(who []any, w *worker, was workerState, cause error) {
	if m.state == Broken {
		return
	}
	w.follows = true
	text, args := "rankpool: worker was lost", []any{"err", cause}
	if was == starting {
		text = "rankpool: worker did not start"
	}
	switch w.state {
	case pausing:
		args = append(args, "again_after", startPauses[min(w.fails, len(startPauses))-1])
	case dead:
		left := 0
		for _, other := range m.workers[:m.lending.size] {
			if !other.givenUp() {
				left++
			}
		}
		args = append(args, "workers_left", left)
	}
	m.report(slog.LevelWarn, text, who, args...)
}

// reason says why a worker was lost, and what it was doing.
func (w *worker) reason(l link.Loss, was workerState) error {
	err := l.Err
	exit, _ := err.(*link.ExitError) //nolint:errorlint // of the group's own making, or it is not ours to complete
	switch {
	case err == nil && (was != starting || w.hello.Pid != 0):
		return errors.New("its process left although it had not been told to")
	case err == nil:
		return errExited
	case exit == nil || exit.Cause != nil:
		return err
	}
	told := *exit
	switch {
	case was == starting && w.hello.Pid == 0 && exit.Code == 0:
		return fmt.Errorf("process %d on %s: %w", exit.Pid, exit.Host, errExited)
	case was == starting && w.hello.Pid == 0:
		told.During, told.Hint = "before futures.Main", "what a program does before that (package variables, init functions, main) every worker does too"
	case was == starting:
		told.During, told.Hint = "during its set-up", "an initializer must return an error, not end the process"
	case was == leaving:
		told.During = "after its last task"
	case w.units > 0 && l.Receiving > 0 && l.Picked <= l.Finished:
		told.During = "while it received what it was sent"
	case w.units > 0:
		told.During, told.Hint = "while it ran a task", "a task must return an error, not end the process; a panic in a goroutine that it has started does, with status 2"
	default:
		told.During, told.Hint = "with nothing to do", "a goroutine that a task or the initializer has started may have ended it"
	}
	return &told
}

var errExited = errors.New("it ended before it served: it called os.Exit, or main returned without calling futures.Main")

// salvage takes in the results that a lost worker's journal holds, and nothing else that may be there. Marks that contradict
// what the worker has answered prove nothing.
func (m *Master) salvage(w *worker, l *link.Loss, out *news) {
	if len(l.Salvage) > 1 && w.units > 0 {
		err := errNoResults
		if l.Salvage[0] == kindResults {
			err = m.message(w, link.Frame{Stream: l.Salvage}, nil, out)
		}
		if err != nil {
			m.report(slog.LevelWarn, "rankpool: damaged journal of a lost worker", w.attributes(), "err", err)
		}
		m.idle = slices.DeleteFunc(m.idle, func(s int) bool { return s == w.slot }) // it may have answered all it had
	}
	if l.Picked < w.last || l.Finished+1 < w.last { // an answer is marked when it has been sent, and before anything else is begun
		l.Proof = false
	}
}

// runs tells whether a lost worker ran a unit that it has not answered, as far as its marks can say that. One whose last answer is not
// marked yet had begun nothing after that.
func (w *worker) runs(l *link.Loss) bool { return l.Picked > l.Finished && l.Finished >= w.last }

var errNoResults = errors.New("it holds something that is no result")

// unreceived is how often a unit may be lost while its worker receives it.
const unreceived = 3

// orphans decides about the units a lost worker had: the one it was running fails, what it had not started goes back to
// the queue. Without proof of which is which, all fail. It tells whether a unit was given up because no worker had survived
// receiving it.
func (m *Master) orphans(w *worker, l link.Loss, cause error, out *news) (blamed bool) {
	running := w.runs(&l) // the first one after the last finished
	apart := uint64(0)    // up to which number units are to travel alone from now on
	var back []piece
	for i := w.head; i < len(w.out); i++ {
		p := w.out[i]
		m.refund(&p, p.n-p.done)
		for p.done < p.n {
			seq := p.seq + uint64(p.done)
			if l.Proof && seq > l.Finished && !p.job.more().Gang {
				if !running || seq > l.Picked {
					if seq == l.Receiving {
						if apart = w.frameEnd(seq); apart == seq {
							p.lost++
						}
					}
					break
				}
				running = false
				m.salvageElements(&p, &l, out)
			}
			m.orphan(w, &p, l.Proof, cause, &back, out)
			p.done++
			p.over, p.bad = 0, false
		}
		if p.done == p.n {
			continue
		}
		if p.lost == unreceived && !p.job.is(withdrawn) {
			blamed = true
			m.failLost(w, &p, unitRest, fmt.Errorf("it was lost while it was received, %d times; its arguments may take more memory than a worker has: %w",
				unreceived, cause), out)
			continue
		}
		back = append(back, piece{job: p.job, cursor: p.job.advance(p.cursor, p.done), n: p.n - p.done, tries: p.tries, lost: p.lost,
			over: p.over, bad: p.bad, alone: p.alone || p.seq+uint64(p.done) <= apart})
	}
	for _, p := range slices.Backward(back) {
		m.takeBack(p, out)
	}
	m.flying -= w.units
	clear(w.out)
	w.units, w.ends, w.head = 0, w.ends[:0], len(w.out)
	m.settle(w)
	return blamed
}

// frameEnd returns the number of the last unit of the frame that a unit was sent in.
func (w *worker) frameEnd(seq uint64) uint64 {
	for _, end := range w.ends {
		if end >= seq {
			return end
		}
	}
	return seq
}

// isOverdue tells whether a worker was ended because its task ignored the end of its context: that is the fault of the task, which
// would only repeat itself.
func isOverdue(cause error) bool {
	overdue := (*OverdueError)(nil)
	return errors.As(cause, &overdue)
}

// timedOut tells whether a unit was lost at the end of its time, and is to run again then.
func timedOut(p *piece, cause error) bool {
	a := p.job.more().Again
	return a != nil && a.Timeouts && errors.Is(cause, context.DeadlineExceeded)
}

// salvageElements takes in what a journal has of the elements of the unit that ran, the next of p.
func (m *Master) salvageElements(p *piece, l *link.Loss, out *news) {
	unit := p.unit + p.done
	if p.seq+uint64(p.done) != l.Finished+1 { // they are another unit's
		return
	}
	if l.Over <= p.over || l.Over >= p.job.elements(unit, 1) || p.job.Local {
		return
	}
	out.part(delivery{job: p.job, first: unit, data: l.Results}, nil, Part{At: p.over, Done: l.Over - p.over}, nil, nil)
	p.over, p.tries = l.Over, 0
	m.losses = 0
}

// orphan fails the next unit of p, which was lost while it ran, or queues it again. With proof of how far it had come, only the
// element that ran is at fault, and those after it go back.
func (m *Master) orphan(w *worker, p *piece, proof bool, cause error, back *[]piece, out *news) {
	if p.gone {
		m.gone--
		return
	}
	if p.job.more().Gang {
		m.left(w, true, cause)
	}
	if !p.job.more().Gang && m.repeats(p) && (!isOverdue(cause) || timedOut(p, cause)) {
		m.trace.lost(w, p, p.job.elements(p.unit+p.done, 1)-p.over, trace.Lost, false)
		m.repeat(piece{job: p.job, cursor: p.job.advance(p.cursor, p.done), n: 1, tries: p.tries, over: p.over, bad: p.bad}, back)
		return
	}
	if !proof || p.job.Local || p.job.is(withdrawn) || m.state == Broken || isOverdue(cause) {
		m.failLost(w, p, unitRest, cause, out)
		return
	}
	if m.failLost(w, p, 1, cause, out) {
		*back = append(*back, piece{job: p.job, cursor: p.job.advance(p.cursor, p.done), n: 1, over: p.over, bad: true})
	}
}

// unitRest is all elements of a unit that are left.
const unitRest = math.MaxInt

// failLost fails the next elements of p's next unit, which were lost with its worker. It tells whether there are elements left.
func (m *Master) failLost(w *worker, p *piece, n int, cause error, out *news) (left bool) {
	rest := p.job.elements(p.unit+p.done, 1) - p.over
	n = min(n, rest)
	left = n < rest
	number := m.trace.lost(w, p, n, trace.Lost, !left)
	out.failed(w, p, n, number, remote.Outward(w.broken(m.cfg.Name(p.job.Func), cause)))
	if p.over += n; !left {
		m.stats.Failed++
	}
	return left
}

// breakDown breaks the pool from a place that has no news to add to.
func (m *Master) breakDown(err *BrokenError) {
	n := newsPool.Get().(*news)
	m.breakWith(n, err)
	m.delivering++
	go func() {
		m.deliver(n)
		m.mu.Lock()
		m.deliveryEnded()
		m.unlock()
	}()
}

// breakWith ends the pool: everything queued is dropped with the reason, the workers are ended.
func (m *Master) breakWith(out *news, why *BrokenError) {
	if m.state == Broken || m.state == Closed {
		return
	}
	err := remote.Outward(why)
	m.endStorms(false)
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
	for _, j := range m.dropGangs() {
		m.dropOne(out, j, why)
	}
	m.dropBlocked(out, why)
	for j := range m.again.pauses {
		for _, p := range m.again.endPauses(j) {
			m.queue.unpop(p)
		}
	}
	for {
		p, ok := m.queue.peek()
		if !ok {
			return
		}
		m.queue.take(p.n, cursor{})
		p.job.marks |= dropped
		m.stats.Cancelled += uint64(p.n)
		m.trace.cancelled(p.job, p.n)
		out.list = append(out.list, delivery{job: p.job, first: p.unit, n: p.n, rest: &rest{drop: why}})
	}
}
