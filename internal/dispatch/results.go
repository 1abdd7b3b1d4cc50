package dispatch

import (
	"cmp"
	"errors"
	"fmt"
	"time"
)

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
				if p.price > 0 {
					rec.owes(m.queue.fair.flow(job), all, float64(p.price)*float64(n))
				}
				m.trace.ended(w, seq, job, unit, n, tries, endedAs{bytes: size})
				m.stats.Done += uint64(n)
				m.release(w, p, n)
				seq += uint64(n)
				r.b = before[size:]
				record := rec.record(tries)
				out.succeeded(from, delivery{job: job, first: unit, n: n, data: before[:size:len(before)], record: record})
				if job.single() {
					var price float64
					var priced int
					n, size, price, priced = m.resultsAlike(w, seq, r.b, job.Func, record, out)
					rec.count(job.Func, elements{n, n})
					if priced > 0 {
						rec.owes(m.queue.fair.flow(job), priced, price)
					}
					m.trace.endedAlike(w, seq, out.list[len(out.list)-n:], tries, size)
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
			clock := uint64(0)
			if m.trace != nil {
				clock = r.uint()
			}
			rec.timed(time.Duration(v>>2), clock)
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
				m.trace.cancelled(p.job, 1)
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
				out.list[len(out.list)-1].rest.number = m.trace.number(p.job)
			}
			continue
		}
		seq++
		rec.count(p.job.Func, w.parted)
		if p.price > 0 {
			rec.owes(m.queue.fair.flow(p.job), w.parted.all, float64(p.price))
		}
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
		bad := of.Failed > 0 || p.bad
		number := uint64(0)
		if of.Failed > 0 {
			number = m.trace.number(job)
		}
		if !gone {
			m.trace.ended(w, seq-1, job, unit, 1, p.tries, endedAs{bad: bad, open: again != nil, bytes: len(before), segments: mine})
		}
		m.answered(w, p, bad, again != nil)
		if gone {
			continue
		}
		if !whole {
			out.part(delivery{job: job, first: unit, data: before, record: record}, mine, of, coded, again)
			out.list[len(out.list)-1].rest.number = number
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

// resultsAlike takes in the results of single jobs of one function and attempt at the start of data, of which the first is of unit seq,
// and returns how many there were, their bytes, and what those were charged that were. It is what results does for any other, without looking at what cannot be
// different for them.
func (m *Master) resultsAlike(w *worker, seq uint64, data []byte, fn uint32, record *Record, out *news) (n, size int, price float64, priced int) {
	for size < len(data) && w.head+n < len(w.out) {
		length, short := ShortResult(data[size])
		p := &w.out[w.head+n]
		if !short || length >= len(data)-size || p.seq != seq+uint64(n) || !p.job.single() || p.job.Func != fn || p.gone || p.tries+1 != record.Attempt {
			break
		}
		end := size + 1 + length
		d := delivery{job: p.job, n: 1, record: record}
		if !p.job.Local {
			d.data = data[size:end:end]
		}
		out.list = append(out.list, d)
		if p.price > 0 {
			price += float64(p.price)
			priced++
		}
		size = end
		n++
	}
	if n == 0 {
		return 0, 0, 0, 0
	}
	// All but the last are taken off the list here, the last as any other: it brings the end of a frame, and of the work.
	last := n - 1
	clear(w.out[w.head : w.head+last])
	w.head += last
	w.units -= last
	w.served += last
	m.flying -= last
	w.tasks += uint64(last)
	m.stats.Done += uint64(n)
	m.release(w, &w.out[w.head], 1)
	return n, size, price, priced
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
