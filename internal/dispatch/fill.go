package dispatch

import (
	"encoding/binary"
	"slices"
	"sync"
	"time"

	"github.com/rankpool/rankpool/internal/link"
)

// What makes a function tiny, and how much of it travels at once.
const (
	tinyUnit    = 600 * time.Microsecond // a unit shorter than this on average is worth coalescing: its result would wake somebody, and its worker wait for the next
	batchTime   = time.Millisecond       // how much work a batch aims at
	quickUnit   = 50 * time.Microsecond  // one shorter than this is over before another goroutine has a processor
	leastTime   = 20 * time.Microsecond  // a worker is not woken for less work than this, if its units are tiny and there is more
	batchBytes  = 32 << 10               // a batch of more than one unit is no larger
	batchUnits  = 4096                   // nor has more units
	prefetching = 2                      // batches at a worker, when all of them are tiny or short
	shortUnit   = 2 * time.Millisecond   // one shorter than this may wait at a worker behind another, which gives it back if that is long
)

// funcTimes is what is known about the run time of one function.
type funcTimes struct {
	mean     float64 // nanoseconds per element, a moving average
	measured bool
	talks    bool // has asked for the workers' communicator
	known    int  // elements that were measured, up to mostUntold
}

// add notes that n elements took d together. One slow unit weighs little, a batch up to half of what is known.
func (f *funcTimes) add(d time.Duration, n int) {
	each := float64(d) / float64(n)
	f.known = min(f.known+n, mostUntold)
	if !f.measured {
		f.mean, f.measured = each, true
		return
	}
	f.mean += min(0.5, 0.05*float64(n)) * (each - f.mean)
}

func (m *Master) times(fn uint32) *funcTimes {
	for int(fn) >= len(m.funcs) {
		m.funcs = append(m.funcs, funcTimes{})
	}
	return &m.funcs[fn]
}

// unit estimates the nanoseconds that so many elements of a function take together. Not tiny means that they go out alone.
func (m *Master) unit(fn uint32, elements int) (ns float64, tiny bool) {
	f := m.times(fn)
	if !f.measured || f.talks {
		return 0, false
	}
	ns = f.mean * float64(elements)
	return ns, ns < float64(tinyUnit)
}

// unitTime is unit for the units of a job.
func (m *Master) unitTime(j *Job) (ns float64, tiny bool) {
	if more := j.more(); more.Timeout > 0 || more.Grace > 0 { // it may be ended with its worker
		return 0, false
	}
	return m.unit(j.Func, j.chunk())
}

// quick is unitTime, and tells whether the units are so short that no other goroutine would get to them sooner.
func (m *Master) quick(j *Job) (ns float64, quick bool) {
	ns, tiny := m.unitTime(j)
	return ns, tiny && ns < float64(quickUnit)
}

// Together returns how many units of so many elements of a function travel together: one, if they have not proven short enough.
func (m *Master) Together(fn uint32, elements int) int {
	m.mu.Lock()
	defer m.unlock()
	ns, tiny := m.unit(fn, elements)
	if !tiny {
		return 1
	}
	return int(min(float64(batchTime)/max(ns, 1), batchUnits))
}

// handOut gives what is queued to idle workers, a batch to each, in order.
func (m *Master) handOut() {
	if m.waiting > 0 || m.state != Serving && m.state != Stopping {
		return
	}
	m.grantSlots()
	for gangs := -1; gangs != len(m.queue.gangs); { // grow may come upon a gang
		for m.gather() || m.feed() {
		}
		gangs = len(m.queue.gangs)
		m.grow()
	}
}

// feed gives one idle worker a batch. It returns true if there may be more to do: it has, or a gang has come to the head of the queue.
func (m *Master) feed() bool {
	waiting := len(m.queue.gangs)
	if len(m.idle) > 0 && m.holds() {
		return false
	}
	for i := 0; i < len(m.idle) && m.hasRoom(); i++ {
		slot := m.idle[i]
		switch {
		case m.fill(m.workers[slot]):
			m.takeIdle(slot)
			return true
		case len(m.queue.gangs) > waiting:
			return true
		case len(m.queue.gangs) == 0 || m.queue.gangs[0].host == "": // what one cannot have no other can
			return false
		}
	}
	return false
}

// takeIdle removes a worker from the list of the idle ones, mostly the first. A short list stays where it is, or it would need new memory
// every few tasks.
func (m *Master) takeIdle(slot int) {
	i := slices.Index(m.idle, slot) // others of its process may have left
	if i == 0 && len(m.idle) > mostMoved {
		m.idle = m.idle[1:]
		return
	}
	m.idle = slices.Delete(m.idle, i, i+1)
}

// mostMoved is how many numbers are moved rather than left behind.
const mostMoved = 32

// prefetch sends a busy worker one more batch: of tiny units if there is enough to be worth a frame, or one unit of a short
// function if there is enough for the others, so that the worker need not wait for it. While a gang waits nothing is sent ahead of
// it.
func (m *Master) prefetch(w *worker) {
	if w.state != busy || w.long || w.loan.waits > 0 || len(w.ends) >= prefetching || m.waiting > 0 || len(m.queue.gangs) > 0 {
		return
	}
	runs, tiny := m.unitTime(w.out[len(w.out)-1].job)
	if !tiny && !m.short(runs) {
		return
	}
	p, ok := m.next(w)
	if !ok {
		return
	}
	switch ns, alike := m.unitTime(p.job); {
	case tiny && alike:
		ok = ns*float64(m.queue.units) >= float64(batchTime)/4 && (ns < float64(quickUnit) || m.queue.units > m.ready)
	case m.short(ns):
		ok = m.queue.units > m.ready && !p.job.Buffers && len(p.job.Data) <= batchBytes*p.job.Units
	default:
		ok = false
	}
	if ok {
		m.fill(w)
	}
}

// short tells whether units that take so many nanoseconds are worth being sent ahead: where a frame has a way to go.
func (m *Master) short(ns float64) bool {
	return ns > 0 && ns < float64(shortUnit) && !m.kind.SharesMem
}

// batch is a frame of tasks in the making.
type batch struct {
	frame   link.Frame
	inserts []insert   // of the frame's stream
	bytes   int        // they have together
	local   *localRuns // nil: none
	units   int
	left    float64     // nanoseconds of work it may still take
	used    float64     // and those of what it has
	share   int         // units it may still take
	allowed int         // units that the worker may still be handed
	head    run         // the last run, to be continued if the next piece is like it
	of      *Generation // that all its units need
	at      int         // where its number of units stands
}

// localRuns is what a frame of tasks carries by reference. The worker gives it back when it is through with it.
type localRuns struct{ list []localRun }

var localPool = sync.Pool{New: func() any { return new(localRuns) }}

func (l *localRuns) release() {
	clear(l.list)
	l.list = l.list[:0]
	localPool.Put(l)
}

// localRun is some units of one job.
type localRun struct {
	job      *Job
	first, n int
}

// fill sends worker w the next batch. It returns false if nothing was queued that could be claimed.
func (m *Master) fill(w *worker) bool {
	b := batch{left: float64(batchTime), share: m.queue.units, allowed: m.allowed(w)}
	if m.ready > 1 {
		b.share = max(1, (m.queue.units+2*m.ready-1)/(2*m.ready))
	}
	if b.share < 1 || b.allowed < 1 {
		return false
	}
	first, flags := w.seq+1, 0
	quick := false
	late := false // a job was interrupted after its sink could be cancelled
	for {
		p, ok := m.next(w)
		if !ok {
			break
		}
		if b.units == 0 {
			_, quick = m.quick(p.job)
			quick = quick || len(m.workers) > mostQuick && m.untold(p.job)
			b.of = p.job.generation()
		} else if b.of != p.job.generation() {
			break
		}
		before := b
		n, end, tiny := m.room(&b, &p)
		if n == 0 {
			break
		}
		if !p.job.Sink.Claim(p.unit, n) {
			m.queue.take(p.n, cursor{})
			b = before // it takes nothing
			continue
		}
		if b.units == 0 {
			b.frame.Stream = binary.AppendUvarint(number(kindTasks, first), w.epoch)
			flags = len(b.frame.Stream)
			b.frame.Mark = first
		}
		b.add(&p, n, end)
		flow := m.queue.fair.flow(p.job)
		p.price = m.price(flow, p.job)
		m.queue.take(n, end)
		m.charge(flow, p.job, n, p.price)
		p.n, p.seq = n, w.seq+1
		w.seq += uint64(n)
		m.give(w, p)
		late = late || p.job.is(interrupted)
		if !tiny {
			break
		}
		if p.job.single() {
			m.fillAlike(w, &b)
		}
	}
	if b.units == 0 {
		return false
	}
	if w.state == idle {
		b.frame.Stream[flags] |= runIdle
		if len(m.queue.gangs) > 0 {
			m.fillsIn(w)
		}
		w.state, w.passed = busy, len(m.queue.gangs) > 0
		w.since = m.now()
	} else {
		m.filled(w)
	}
	m.quickens(w, quick)
	w.units += b.units
	w.sent()
	if m.trace != nil {
		m.trace.sent(w, first, b.traffic())
	}
	m.flying += b.units
	if b.local != nil {
		b.frame.Local = b.local
	}
	m.watch.arm(m)
	m.equip(w, b.of, first)
	m.order(w, order{frame: b.frame, inserts: b.inserts})
	if m.cfg.MaxTasks > 0 {
		m.exhaust(w)
	}
	if late {
		for i := w.head; i < len(w.out); i++ {
			if p := &w.out[i]; p.seq >= first && p.job.is(interrupted) {
				m.endContexts(w, p, 0)
			}
		}
	}
	return true
}

// single tells whether the job is one call that needs nothing more.
func (j *Job) single() bool {
	return j.plain() && j.Units == 1 && !j.Buffers && j.marks&(withdrawn|awaited|interrupted) == 0
}

// fillAlike goes on with the single jobs whose turn it is that are like the last in the batch. It is what fill does
// for any other, without looking at what cannot be different for them.
func (m *Master) fillAlike(w *worker, b *batch) {
	q := &m.queue
	if b.head.flags&^runLocal != 0 || len(q.gangs)+len(q.coming) > 0 || len(q.front) > 0 || q.fair.active == 0 {
		return
	}
	ns, _ := m.unit(b.head.fn, 1)
	f := q.fair.turn(q.cost)
	price := float32(0)
	if q.fair.contested(f) {
		price = float32(max(ns, leastUnit))
	}
	local := b.head.flags&runLocal != 0
	n := 0
	for b.left > 0 && b.most(ns) > 0 && b.units+n < batchUnits {
		j := f.head
		if j == nil || j.at != nil || !j.single() || j.generation() != b.of || j.Func != b.head.fn || j.Local != local || b.size()+len(j.Data) > batchBytes {
			break
		}
		q.takeOf(f, 1, cursor{})
		if !j.Sink.Claim(0, 1) {
			continue
		}
		w.seq++
		m.give(w, piece{job: j, n: 1, seq: w.seq, price: price})
		if local {
			b.local.list = append(b.local.list, localRun{j, 0, 1})
		} else {
			b.append(j.Data)
		}
		b.spend(ns, 1)
		n++
	}
	if price > 0 && n > 0 {
		q.fair.charge(f, float64(price)*float64(n))
	}
	b.units += n
	b.head.units += uint32(n)
	binary.LittleEndian.PutUint32(b.frame.Stream[b.at:], b.head.units)
}

// room says how many units of p the batch takes, and where they end. The first unit always fits.
func (m *Master) room(b *batch, p *piece) (n int, end cursor, tiny bool) {
	ns, tiny := m.unitTime(p.job)
	if !tiny || p.alone || p.over > 0 {
		if b.units > 0 {
			return 0, p.cursor, false
		}
		return 1, p.job.advance(p.cursor, 1), false
	}
	limit := min(p.n, b.most(ns), batchUnits-b.units, 1+int(b.left/max(ns, 1)))
	if b.units == 0 {
		limit = max(limit, 1)
	}
	if limit <= 0 || b.left <= 0 {
		return 0, p.cursor, true
	}
	if p.job.Local {
		n, end = limit, p.job.advance(p.cursor, limit)
	} else {
		room := batchBytes - b.size()
		for end = p.cursor; n < limit; n++ {
			next := p.job.advance(end, 1)
			if next.off-p.off > room && (n > 0 || b.units > 0) || next.seg > p.seg && n > 0 {
				break
			}
			end = next
		}
	}
	b.spend(ns, n)
	return n, end, true
}

// most is how many units of so many nanoseconds the batch may still take: its share of what is queued, and more as long as that is less work than a worker
// is woken for.
func (b *batch) most(ns float64) int {
	return min(max(b.share, int((float64(leastTime)-b.used)/max(ns, 1))), b.allowed)
}

// spend notes that the batch has n more units of so many nanoseconds.
func (b *batch) spend(ns float64, n int) {
	b.left -= ns * float64(n)
	b.used += ns * float64(n)
	b.share -= n
	b.allowed -= n
}

// add appends the units of p up to end to the frame.
func (b *batch) add(p *piece, n int, end cursor) {
	j := p.job
	h := run{fn: j.Func, units: uint32(n), timeout: j.more().Timeout}
	if j.more().Timeout > 0 {
		h.flags |= runTimeout
	}
	if j.Buffers {
		h.flags |= runBuffers
	}
	if j.Local {
		h.flags |= runLocal
	}
	if c := j.chunk(); c > 1 {
		h.flags |= runChunks
		h.chunk, h.last = c, j.elements(p.unit+n-1, 1)
	}
	if p.tries > 0 {
		h.flags |= runAgain
		h.again = p.tries
	}
	if p.over > 0 {
		h.flags |= runSkip
		h.skip = p.over
	}
	if b.units > 0 && h.flags&^runLocal == 0 && h.flags == b.head.flags && h.fn == b.head.fn {
		b.head.units += h.units
		binary.LittleEndian.PutUint32(b.frame.Stream[b.at:], b.head.units)
	} else {
		b.frame.Stream, b.at = appendRun(b.frame.Stream, h)
		b.head = h
	}
	b.units += n
	if j.Local {
		if b.local == nil {
			b.local = localPool.Get().(*localRuns)
		}
		b.local.list = append(b.local.list, localRun{j, p.unit, n})
		return
	}
	b.append(j.Data[p.off:end.off])
	b.frame.Segments = append(b.frame.Segments, j.more().Segments[p.seg:end.seg]...)
}

// size returns how long the frame's stream will be.
func (b *batch) size() int { return len(b.frame.Stream) + b.bytes }

// append appends units to the frame's stream.
func (b *batch) append(units []byte) {
	if len(units) <= smallInsert {
		b.frame.Stream = append(b.frame.Stream, units...)
		return
	}
	b.inserts = append(b.inserts, insert{at: len(b.frame.Stream), b: units})
	b.bytes += len(units)
}

// number returns a frame's stream of one kind and one number.
func number(kind byte, n uint64) []byte {
	return binary.AppendUvarint(append(link.GetBuffer(), kind), n)
}
