package dispatch

import (
	"errors"
	"fmt"
	"log/slog"
	"sync"

	"github.com/rankpool/rankpool/internal/link"
	"github.com/rankpool/rankpool/internal/remote"
	"github.com/rankpool/rankpool/internal/trace"
)

// delivery is news for a sink, collected under the lock and delivered without it. There may be thousands at once, so what
// is not a plain success has the rest elsewhere.
type delivery struct {
	job      *Job
	first, n int
	data     []byte
	record   *Record // of how they ran; nil if they have not
	rest     *rest   // nil: the units have succeeded, without segments
}

// rest is what only some deliveries have.
type rest struct {
	segments [][]byte
	part     *Part  // of a unit that has not succeeded as a whole: all but what stands elsewhere here
	coded    []byte // of a part: its error, as the worker encoded it
	number   uint64 // of a failure: that of its job in the recording
	drop     error  // the units will not run
	again    *piece // of a failed unit: it, if Again is to be asked
}

// news is a list of deliveries, and what is needed to decode the errors among them.
type news struct {
	list  []delivery
	kept  bool // the stream is still needed
	aside []func()
	slot  int
	hello *Hello
}

var newsPool = sync.Pool{New: func() any { return new(news) }}

// deliver tells the sinks, without the lock. It says whether a part of the stream is still needed.
func (m *Master) deliver(n *news) (kept bool) {
	kept = n.kept
	for i := range n.list {
		if d := &n.list[i]; d.foreign() {
			m.tellAside(n, *d)
			kept = true
		} else {
			kept = m.tell(n.slot, n.hello, d) || kept
		}
	}
	for _, f := range n.aside {
		m.cfg.Aside(f)
	}
	clear(n.list)
	clear(n.aside)
	n.list, n.aside, n.kept, n.hello = n.list[:0], n.aside[:0], false, nil
	newsPool.Put(n)
	return kept
}

// unlockAndDeliver delivers where no group waits for the end of it: close does then.
func (m *Master) unlockAndDeliver(n *news) {
	m.delivering++
	m.unlock()
	m.deliver(n)
	m.mu.Lock()
	m.deliveryEnded()
	m.unlock()
}

// deliveryEnded counts it. The lock is held.
func (m *Master) deliveryEnded() {
	if m.delivering--; m.delivering == 0 && m.delivered != nil {
		close(m.delivered)
		m.delivered = nil
	}
}

// foreign tells whether code of the user's may run when the sink is told.
func (d *delivery) foreign() bool {
	if d.rest == nil {
		return d.job.Foreign
	}
	if d.rest.again != nil {
		return true
	}
	return d.rest.drop == nil && (d.job.Foreign && d.rest.part == nil || len(d.rest.coded) > 0)
}

// tellAside tells a sink where the user's code keeps nobody waiting.
func (m *Master) tellAside(n *news, d delivery) {
	slot, hello := n.slot, n.hello
	m.cfg.Aside(func() { m.tell(slot, hello, &d) })
}

// tell tells one sink. A panic, of code that came with a type of the user's, is what the units have failed with.
func (m *Master) tell(slot int, hello *Hello, d *delivery) (kept bool) {
	told := false
	defer func() {
		if told {
			return
		}
		err := errors.New("what became of it could not be taken in: runtime.Goexit was called")
		if v := recover(); v != nil {
			err = fmt.Errorf("what became of it could not be taken in: panic: %v", v)
		}
		for i := range d.n {
			p := Part{Failed: d.job.elements(d.first+i, 1), Last: true, Err: err, Record: d.record}
			if d.rest != nil && d.rest.part != nil {
				p.At, p.Failed, p.Last = d.rest.part.At, d.rest.part.Done+d.rest.part.Failed, d.rest.part.Last
			}
			d.job.Sink.Part(d.first+i, p)
		}
		kept = true
	}()
	switch s, r := d.job.Sink, d.rest; {
	case r == nil:
		kept = s.Results(d.first, d.n, d.data, nil, d.record)
	case r.drop != nil:
		s.Drop(d.first, d.n, r.drop)
	case r.part == nil:
		kept = s.Results(d.first, d.n, d.data, r.segments, d.record)
	default:
		p := *r.part
		if p.Err == nil && len(r.coded) > 0 {
			p.Err = m.cfg.DecodeError(r.coded, d.job.Func, slot, *hello)
		}
		if p.Failed > 0 && m.trace != nil {
			d.failures(&p, func(element int, err error) { m.trace.failure(slot, d, element, err) })
		}
		if r.again != nil && m.decide(*r.again, d.failure(&p)) {
			break
		}
		p.Data, p.Segments, p.Record = d.data, r.segments, d.record
		s.Part(d.first, p)
		kept = len(d.data) > 0
	}
	told = true
	return kept
}

// failures calls f for each failure of a failed unit, with the element of the unit: that of its part, or those that its sink knows.
func (d *delivery) failures(p *Part, f func(element int, err error)) {
	if l, ok := d.job.Sink.(Local); ok && p.Err == nil {
		l.Failures(d.first, f)
		return
	}
	f(p.At+p.Done, p.Err)
}

// failure is the first of them.
func (d *delivery) failure(p *Part) (first error) {
	d.failures(p, func(_ int, err error) {
		if first == nil {
			first = err
		}
	})
	return first
}

// Receive takes a frame of a worker. It is called by the link.
func (m *Master) Receive(slot int, f link.Frame) {
	n := newsPool.Get().(*news)
	var g *greeting
	if len(f.Stream) > 0 && f.Stream[0] == kindHello {
		g = m.examine(slot, f.Stream[1:])
	}
	m.mu.Lock()
	w := m.workers[slot]
	w.heard = true
	var err error
	if len(f.Stream) == 0 {
		err = errShort
	} else {
		err = m.message(w, f, g, n)
	}
	if err != nil {
		m.report(slog.LevelError, "rankpool: damaged message from worker", w.attributes(), "err", err)
		m.kill(w, fmt.Errorf("it sent a damaged message: %w", err))
	}
	m.dropReturned(n)
	m.handOut()
	m.prefetch(w)
	m.settleState()
	n.slot, n.hello = slot, w.hello
	m.unlock()
	if !m.deliver(n) {
		link.PutBuffer(f.Stream)
	}
}

func (m *Master) message(w *worker, f link.Frame, g *greeting, n *news) error {
	r := reader{b: f.Stream[1:]}
	switch kind := f.Stream[0]; kind {
	case kindResults:
		return m.results(w, &r, f.Segments, n)
	case kindHandback:
		m.handback(w, r.uint(), n)
		return r.err
	case kindPong:
		return nil
	case kindAlone:
		m.alone(w)
		return nil
	case kindDirect:
		return m.direct(w, &r)
	case kindRetract:
		m.retract(w, r.uint())
		return r.err
	case kindMade:
		m.isMade(w, r.uint())
		return r.err
	case kindPeer:
		return m.relay(w, &r, f.Segments, n)
	case kindOverdue:
		m.overdue(w, r.uint(), n)
		return r.err
	case kindLeft:
		return m.farewell(w, &r, n)
	case kindHello:
		if g == nil { // out of a journal
			return errors.New("a hello among results")
		}
		return m.greet(w, g, n)
	case kindReady:
		m.isReady(w, r.b, n)
		return nil
	default:
		return fmt.Errorf("unknown kind %q", kind)
	}
}

// answered counts the next unit of p as done, unless it is open what becomes of it.
func (m *Master) answered(w *worker, p *piece, failed, open bool) {
	switch {
	case p.gone, open: // counted when it was given up, or will be
	case failed:
		m.stats.Failed++
	default:
		m.stats.Done++
	}
	m.release(w, p, 1)
}

// release takes the next n units of p off the worker's list.
func (m *Master) release(w *worker, p *piece, n int) {
	w.tasks += uint64(n)
	p.done += n
	p.over, p.bad = 0, false
	seq := p.seq + uint64(p.done) - 1
	w.last = seq
	if p.gone {
		m.gone -= n
	}
	if p.done == p.n {
		if p.job.is(awaited) {
			m.answersAwaited(p.job)
		}
		*p = piece{}
		w.head++
		m.settle(w)
	}
	w.units -= n
	m.flying -= n
	for len(w.ends) > 0 && w.ends[0] <= seq {
		w.ends = append(w.ends[:0], w.ends[1:]...)
		if w.units > 0 {
			w.since = m.now() // of the frame that follows
		}
	}
	m.clearTalk(w)
	w.served += n
	if w.units == 0 && w.state == busy {
		m.free(w)
	}
}

// handback puts the units from number on back in front of the queue, in their order.
func (m *Master) handback(w *worker, from uint64, out *news) {
	w.epoch++
	w.long = true
	m.quickens(w, false)
	for i := len(w.out) - 1; i >= w.head; i-- {
		p := w.out[i]
		if p.seq+uint64(p.n) <= from {
			break
		}
		keep := 0
		if p.seq < from {
			keep = int(from - p.seq)
		}
		keep = max(keep, p.done)
		back := piece{job: p.job, cursor: p.job.advance(p.cursor, keep), n: p.n - keep, tries: p.tries, lost: p.lost, alone: p.alone}
		if keep == 0 {
			back.over, back.bad = p.over, p.bad
		}
		m.refund(&p, back.n)
		w.units -= back.n
		m.flying -= back.n
		if keep == 0 {
			w.out[i] = piece{}
			w.out = w.out[:i]
		} else {
			w.out[i].n = keep
			if keep == p.done { // answered up to here
				w.out[i] = piece{}
				w.out = w.out[:i]
			}
		}
		m.takeBack(back, out)
	}
	m.settle(w)
	for n := len(w.ends); n > 0 && w.ends[n-1] >= from; n = len(w.ends) {
		w.ends = w.ends[:n-1]
	}
	if w.units > 0 {
		w.ends = append(w.ends, from-1)
	} else if w.state == busy {
		m.free(w)
	}
}

// takeBack puts units that did not run back in front of the queue, unless their job was withdrawn or interrupted.
func (m *Master) takeBack(p piece, out *news) {
	if p.job.is(withdrawn) {
		m.stats.Cancelled += uint64(p.n)
		m.trace.cancelled(p.job, p.n)
		return
	}
	p.job.Sink.Unclaim(p.unit, p.n)
	if p.job.is(interrupted) {
		p.job.marks |= dropped
		m.stats.Cancelled += uint64(p.n)
		m.trace.cancelled(p.job, p.n)
		out.list = append(out.list, delivery{job: p.job, first: p.unit, n: p.n, rest: &rest{drop: ErrInterrupted}})
		return
	}
	m.queue.unpop(p)
}

// overdue ends a worker whose task ignores the end of its time; where that is impossible the task is given up.
func (m *Master) overdue(w *worker, seq uint64, out *news) {
	if p := w.next(); p != nil && p.seq == seq && !p.gone {
		m.giveUp(w, p, &OverdueError{Timeout: p.job.more().Timeout, Grace: overdueGrace}, out)
	}
}

// giveUp ends a worker whose task, the next unit of p, ignores the end of its context; where that is impossible the task is given up.
func (m *Master) giveUp(w *worker, p *piece, err *OverdueError, out *news) {
	if m.kind.Kills {
		m.endFor(w, err)
		return
	}
	p.gone = true
	m.gone++
	m.stats.Failed++
	number := m.trace.lost(w, p, p.job.elements(p.unit, 1)-p.over, trace.GivenUp, true)
	if p.job.more().Gang {
		m.left(w, true, err)
	}
	out.failed(w, p, p.job.elements(p.unit, 1)-p.over, number, remote.Outward(w.broken(m.cfg.Name(p.job.Func), err)))
}

// part adds a part that a worker has sent.
func (out *news) part(d delivery, segs [][]byte, p Part, coded []byte, again *piece) {
	d.n, d.rest = 1, &rest{segments: segs, part: &p, coded: coded, again: again}
	out.list = append(out.list, d)
}

// failed adds that the next n elements of the first unit of p that is not answered have failed, on that worker.
func (out *news) failed(w *worker, p *piece, n int, number uint64, err error) {
	p.job.fails()
	part := &Part{At: p.over, Failed: n, Err: err}
	part.Last = p.over+n == p.job.elements(p.unit+p.done, 1)
	record := &Record{Site: w.site, Attempt: p.tries + 1}
	out.list = append(out.list, delivery{job: p.job, first: p.unit + p.done, n: 1, record: record, rest: &rest{part: part, number: number}})
}
