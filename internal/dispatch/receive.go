package dispatch

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/rankpool/rankpool/internal/link"
	"github.com/rankpool/rankpool/internal/remote"
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
	drop     error  // the units will not run
	again    *piece // of a failed unit: it, if Again is to be asked
}

// news is a list of deliveries, and what is needed to decode the errors among them.
type news struct {
	list  []delivery
	kept  bool // the stream is still needed
	aside []func()
	slot  int
	hello Hello
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
			kept = m.tell(n.slot, &n.hello, d) || kept
		}
	}
	for _, f := range n.aside {
		m.cfg.Aside(f)
	}
	clear(n.list)
	clear(n.aside)
	n.list, n.aside, n.kept = n.list[:0], n.aside[:0], false
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
	m.cfg.Aside(func() { m.tell(slot, &hello, &d) })
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
		if r.again != nil && m.decide(*r.again, d.failure(p.Err)) {
			break
		}
		p.Data, p.Segments, p.Record = d.data, r.segments, d.record
		s.Part(d.first, p)
		kept = len(d.data) > 0
	}
	told = true
	return kept
}

// failure is the error of a failed unit: err, or what its sink knows.
func (d *delivery) failure(err error) error {
	if l, ok := d.job.Sink.(Local); ok && err == nil {
		return l.Failure(d.first)
	}
	return err
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
		m.remark(slog.LevelError, "rankpool: damaged message from worker", "worker", slot, "host", w.hello.Host, "err", err)
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
		m.grant(w, r.uint())
		return r.err
	case kindMade:
		w.made = w.direct
		return nil
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

// results takes a frame of results apart. Units that were answered before (a salvaged journal repeats what was sent) are
// passed over.
func (m *Master) results(w *worker, r *reader, segs [][]byte, out *news) error {
	seq := r.uint()
	buffers := segments{all: segs}
	from := len(out.list) // deliveries of this frame begin here: only those may be continued
	rec := recorder{m: m, w: w}
	defer rec.estimate()
	for len(r.b) > 0 {
		before := r.b
		if p := w.next(); p != nil && seq == p.seq+uint64(p.done) && !p.gone && p.over == 0 && !p.job.more().Gang {
			if n, size := successes(before, p.n-p.done); n > 0 { // the same as below for each of them
				unit := p.unit + p.done
				job, tries := p.job, p.tries
				all := job.elements(unit, n)
				rec.count(job.Func, elements{all, all})
				m.stats.Done += uint64(n)
				m.release(w, p, n)
				seq += uint64(n)
				r.b = before[size:]
				record := rec.record(tries)
				out.succeeded(from, delivery{job: job, first: unit, n: n, data: before[:size:len(before)], record: record})
				if job.single() {
					n, size = m.resultsAlike(w, seq, r.b, job.Func, record, out)
					rec.count(job.Func, elements{n, n})
					seq += uint64(n)
					r.b = r.b[size:]
				}
				continue
			}
		}
		v := r.uint()
		var coded []byte
		var nseg uint64
		part := entry{}
		switch v & 3 {
		case entryTime:
			rec.timed(time.Duration(v >> 2))
			continue
		case entryBuffers:
			nseg = r.uint()
		case entryPart:
			nseg = r.uint()
			part = entry{at: r.uint(), done: r.uint(), kind: r.byte()}
			v2 := r.uint()
			before = r.bytes(v >> 2) // what is not a whole unit has no header
			coded = r.bytes(v2)
		}
		if v&3 != entryPart {
			r.bytes(v >> 2)
			before = before[:len(before)-len(r.b)]
		}
		mine := buffers.take(nseg)
		if r.err != nil || buffers.err != nil {
			return cmp.Or(r.err, buffers.err)
		}
		p := w.next()
		more := v&3 == entryPart && part.more()
		if p == nil || seq < p.seq+uint64(p.done) || seq == p.seq+uint64(p.done) && more && part.at < uint64(p.over) {
			if !more {
				seq++
			}
			continue
		}
		if seq != p.seq+uint64(p.done) {
			return fmt.Errorf("result of task %d where %d was due", seq, p.seq+uint64(p.done))
		}
		unit, all := p.unit+p.done, p.job.elements(p.unit+p.done, 1)
		of, whole := Part{Done: all, Last: true}, v&3 != entryPart
		switch {
		case whole && p.over > 0:
			return fmt.Errorf("task %d ends as a whole, and %d elements of it have come before", seq, p.over)
		case !whole:
			if err := part.check(p.over, all, len(coded) > 0 || p.job.Local); err != nil {
				return fmt.Errorf("task %d %w", seq, err)
			}
			of = part.of(all)
		}
		if part.kind == partVoid {
			if !p.job.is(withdrawn) {
				return fmt.Errorf("task %d was passed over, and nobody had recalled it", seq)
			}
			seq++
			if !p.gone {
				m.stats.Cancelled++
			}
			m.release(w, p, 1)
			continue
		}
		w.parted.add(of.ran())
		if more {
			if of.Failed > 0 {
				p.job.fails()
			}
			p.over, p.bad, p.tries = of.At+of.Done+of.Failed, p.bad || of.Failed > 0, 0
			if !p.gone {
				out.part(delivery{job: p.job, first: unit, data: before}, mine, of, coded, nil)
			}
			continue
		}
		seq++
		rec.count(p.job.Func, w.parted)
		w.parted = elements{}
		record := rec.record(p.tries)
		job, gone := p.job, p.gone
		if job.more().Gang && !gone {
			m.left(w, of.Failed > 0, nil)
		}
		var again *piece
		if of.Failed > 0 {
			if again = m.failing(p); again == nil {
				p.job.fails()
			}
		}
		m.answered(w, p, of.Failed > 0 || p.bad, again != nil)
		if gone {
			continue
		}
		if !whole {
			out.part(delivery{job: job, first: unit, data: before, record: record}, mine, of, coded, again)
			continue
		}
		out.list = append(out.list, delivery{job: job, first: unit, n: 1, data: before, record: record, rest: &rest{segments: mine}})
	}
	w.long = false
	if len(out.list) > from {
		m.losses = 0
	}
	return r.err
}

// entry is a part as it travels.
type entry struct {
	at, done uint64
	kind     byte
}

// more tells whether more of the unit follows.
func (e entry) more() bool { return e.kind == partOne || e.kind == partNone }

// check compares an entry with the elements of its unit, of which so many are over.
func (e entry) check(over, elements int, hasError bool) error {
	left := uint64(elements - over)
	switch {
	case e.at != uint64(over):
		return fmt.Errorf("goes on with element %d where %d was due", e.at, over)
	case e.kind > partVoid || e.kind == partVoid && e.done > 0 || e.done > left || e.kind == partOne && e.done+1 >= left || e.kind == partNone && e.done == left ||
		e.kind == partLast && e.done != left:
		return fmt.Errorf("has a part (%d) of %d elements where %d are left", e.kind, e.done, left)
	case (e.kind == partRest || e.kind == partOne) && !hasError:
		return errors.New("failed without an error")
	}
	return nil
}

// of returns the part that an entry stands for.
func (e entry) of(elements int) Part {
	p := Part{At: int(e.at), Done: int(e.done), Last: !e.more()}
	switch e.kind {
	case partRest:
		p.Failed = elements - p.At - p.Done
	case partOne:
		p.Failed = 1
	}
	return p
}

// resultsAlike takes in the results of single jobs of one function at the start of data, of which the first is of unit seq,
// and returns how many there were, and their bytes. It is what results does for any other, without looking at what cannot be
// different for them.
func (m *Master) resultsAlike(w *worker, seq uint64, data []byte, fn uint32, record *Record, out *news) (n, size int) {
	for size < len(data) && w.head+n < len(w.out) {
		length, short := ShortResult(data[size])
		p := &w.out[w.head+n]
		if !short || length >= len(data)-size || p.seq != seq+uint64(n) || !p.job.single() || p.job.Func != fn || p.gone {
			break
		}
		end := size + 1 + length
		d := delivery{job: p.job, n: 1, record: record}
		if !p.job.Local {
			d.data = data[size:end:end]
		}
		out.list = append(out.list, d)
		size = end
		n++
	}
	if n == 0 {
		return 0, 0
	}
	// All but the last are taken off the list here, the last as any other: it brings the end of a frame, and of the work.
	last := n - 1
	clear(w.out[w.head : w.head+last])
	w.head += last
	w.units -= last
	w.served += last
	m.flying -= last
	w.stats.Tasks += uint64(last)
	m.stats.Done += uint64(n)
	m.release(w, &w.out[w.head], 1)
	return n, size
}

// successes counts the entries at the start of data that are successes without segments, up to so many, and their bytes.
func successes(data []byte, most int) (n, size int) {
	for n < most && size < len(data) {
		if length, short := ShortResult(data[size]); short && length < len(data)-size {
			size += 1 + length
			n++
			continue
		}
		v, k := uvarint(data[size:])
		if k <= 0 || v&3 != entryOK || v>>2 > uint64(len(data)-size-k) {
			break
		}
		size += k + int(v>>2)
		n++
	}
	return n, size
}

// succeeded adds units, whose data has the rest of the frame as its capacity, to the last delivery of this frame if they follow it
// directly.
func (out *news) succeeded(from int, s delivery) {
	if len(out.list) > from {
		d := &out.list[len(out.list)-1]
		if d.job == s.job && d.rest == nil && d.record == s.record && d.first+d.n == s.first && cap(d.data)-len(d.data) == cap(s.data) {
			d.n += s.n
			d.data = d.data[:len(d.data)+len(s.data)]
			return
		}
	}
	out.list = append(out.list, s)
}

// next returns the oldest piece at the worker that has unanswered units.
func (w *worker) next() *piece {
	if w.head == len(w.out) {
		return nil
	}
	return &w.out[w.head]
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
	w.stats.Tasks += uint64(n)
	p.done += n
	p.over, p.bad = 0, false
	seq := p.seq + uint64(p.done) - 1
	if p.gone {
		m.gone -= n
	}
	if p.done == p.n {
		if p.job.is(awaited) {
			m.answersAwaited(p.job)
		}
		*p = piece{}
		w.head++
		if w.head == len(w.out) {
			w.out, w.head = w.out[:0], 0
		}
	}
	w.units -= n
	m.flying -= n
	for len(w.ends) > 0 && w.ends[0] <= seq {
		w.ends = append(w.ends[:0], w.ends[1:]...)
		if w.units > 0 {
			w.since = time.Now() // of the frame that follows
		}
	}
	m.hush(w)
	w.served += n
	if w.units == 0 && w.state == busy {
		m.free(w)
	}
}

// handback puts the units from number on back in front of the queue, in their order.
func (m *Master) handback(w *worker, from uint64, out *news) {
	w.epoch++
	w.long = true
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
	if w.head >= len(w.out) {
		w.out, w.head = w.out[:0], 0
	}
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
		return
	}
	p.job.Sink.Unclaim(p.unit, p.n)
	if p.job.is(interrupted) {
		p.job.marks |= dropped
		m.stats.Cancelled += uint64(p.n)
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
		m.kill(w, err)
		return
	}
	p.gone = true
	m.gone++
	m.stats.Failed++
	if p.job.more().Gang {
		m.left(w, true, err)
	}
	out.failed(w, p, p.job.elements(p.unit, 1)-p.over, remote.Outward(w.broken(m.cfg.Name(p.job.Func), err)))
}

// part adds a part that a worker has sent.
func (out *news) part(d delivery, segs [][]byte, p Part, coded []byte, again *piece) {
	d.n, d.rest = 1, &rest{segments: segs, part: &p, coded: coded, again: again}
	out.list = append(out.list, d)
}

// failed adds that the next n elements of the first unit of p that is not answered have failed, on that worker.
func (out *news) failed(w *worker, p *piece, n int, err error) {
	p.job.fails()
	part := &Part{At: p.over, Failed: n, Err: err}
	part.Last = p.over+n == p.job.elements(p.unit+p.done, 1)
	record := &Record{Site: w.site, Attempt: p.tries + 1}
	out.list = append(out.list, delivery{job: p.job, first: p.unit + p.done, n: 1, record: record, rest: &rest{part: part}})
}
