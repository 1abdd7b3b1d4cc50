package dispatch

import (
	"encoding/binary"
	"slices"

	"github.com/rankpool/rankpool/internal/link"
)

// gang is the job that runs on all workers together. There is one at a time: it begins when every worker is idle, and
// until all its units have ended none is idle again.
type gang struct {
	id     uint64         // counts gangs from 1; 0 stands for tasks that are in none
	job    *Job           // nil when none runs
	live   int            // units that have not ended
	absent []int          // slots that were given up before it began, in order: they are not in it
	out    map[int]string // workers whose unit has ended, with the reason if it failed
}

// next returns what the next worker is to be given. Gangs that have come to the head are put aside to wait for all
// workers; meanwhile nothing passes them but what is in front of the queue: what came back, which had passed already, and what tasks
// wait for that have lent their slots. The rest of the queue passes only for the sake of a running task that waits for another,
// where only what follows in the queue may bring that.
func (m *Master) next() (piece, bool) {
	for {
		m.trimGangs()
		p, ok := m.queue.peek()
		if ok && p.job.unwanted() {
			m.withdraw(p.job)
			continue
		}
		if len(m.queue.coming) > 0 && len(m.queue.front) == 0 && m.queue.advance() {
			continue
		}
		return p, ok && (len(m.queue.gangs) == 0 || len(m.queue.front) > 0 || m.talking > 0 || m.needed())
	}
}

// needed tells whether the queue behind a gang may hold what a task that runs depends on, where slots are lent. A task that has lent
// its slot needs nothing: a gang begins beside it, and the queue follows. But one that has a slot and began before the gang was first
// may wait, in a way that the pool does not see, for another that has lent its slot and itself waits for the queue. What has passed the gang does
// not count, or it could go on like this without end.
func (m *Master) needed() bool {
	return m.lending.open > 0 && slices.ContainsFunc(m.workers, func(w *worker) bool { return w.state == busy && !w.loan.lent && !w.passed })
}

// pending tells whether anything waits to be run, or may be run again.
func (m *Master) pending() bool {
	m.trimGangs()
	_, more := m.queue.peek()
	return more || len(m.queue.gangs)+len(m.queue.coming) > 0 || m.again.any()
}

// trimGangs forgets gangs that were withdrawn and would be next.
func (m *Master) trimGangs() {
	for len(m.queue.coming) > 0 && m.queue.coming[0].gang.is(withdrawn) {
		m.queue.disband()
	}
	for len(m.queue.gangs) > 0 && m.queue.gangs[0].is(withdrawn) {
		m.queue.gangs = m.queue.gangs[1:]
	}
}

// gather starts the first gang that waits if every worker is idle.
func (m *Master) gather() {
	for {
		m.trimGangs()
		if len(m.queue.gangs) == 0 {
			return
		}
		n, ok := m.mustered()
		if !ok {
			return
		}
		j := m.queue.gangs[0]
		m.queue.gangs = m.queue.gangs[1:]
		if j.Sink.Claim(0, n) {
			m.start(j, n)
			return
		}
	}
}

// mustered tells whether the workers for a gang are there, and how many they are: all. A worker whose task waits, and has lent its
// slot, has another in its place, which is started if need be.
func (m *Master) mustered() (n int, ok bool) {
	for _, w := range m.workers[:m.lending.size] {
		switch {
		case w.givenUp():
		case w.state == idle, w.state == busy && w.loan.lent:
			n++
		default: // it works, or comes up
			return 0, false
		}
	}
	if n == 0 || m.active() > 0 || len(m.lending.claims) > 0 {
		return 0, false
	}
	for len(m.idle)+m.lending.coming < n {
		m.startExtra()
	}
	return n, len(m.idle) >= n
}

// start hands the units of a gang out, the first to the first worker and so on.
func (m *Master) start(j *Job, n int) {
	m.stats.Submitted += uint64(n - 1)
	j.Units, j.at = n, taken
	m.gang = gang{id: m.gang.id + 1, job: j, live: n, out: map[int]string{}}
	for _, w := range m.workers { // the next gang is another
		w.passed = false
	}
	for _, w := range m.workers[:m.lending.size] {
		if w.givenUp() {
			m.gang.absent = append(m.gang.absent, w.slot)
		}
	}
	slots := slices.Sorted(slices.Values(m.idle))[:n]
	m.idle = slices.DeleteFunc(m.idle, func(slot int) bool { return slices.Contains(slots, slot) })
	flow := m.queue.fair.flow(j)
	price := m.price(flow, j)
	m.charge(flow, j, n, price)
	for unit, slot := range slots {
		w := m.workers[slot]
		h := run{fn: j.Func, units: 1, timeout: j.more().Timeout, flags: runGang | runIdle, gang: m.gang.id, absent: m.gang.absent}
		if j.more().Timeout > 0 {
			h.flags |= runTimeout
		}
		if j.Buffers {
			h.flags |= runBuffers
		}
		f := link.Frame{Stream: binary.AppendUvarint(number(kindTasks, w.seq+1), w.epoch), Segments: j.more().Segments, Mark: w.seq + 1}
		if j.Local {
			h.flags |= runLocal
			f.Local = &localRuns{[]localRun{{j, unit, 1}}}
		}
		f.Stream, _ = appendRun(f.Stream, h)
		w.seq++
		m.give(w, piece{job: j, cursor: cursor{unit: unit}, n: 1, seq: w.seq, price: price})
		w.units, w.state, w.since = 1, busy, m.now()
		w.sent()
		m.flying++
		m.order(w, order{frame: f, inserts: []insert{{at: len(f.Stream), b: j.Data}}})
	}
	m.watch.arm(m)
}

// left takes the end of a worker's unit of the gang, and tells those who may wait for it.
func (m *Master) left(w *worker, failed bool, cause error) {
	if m.cfg.Home != nil { // nobody there talks to others, and there may be a gang whose tasks wait for another
		return
	}
	why := ""
	switch {
	case cause != nil:
		why = "it was lost: " + cause.Error()
	case failed:
		why = "its task failed"
	}
	g := &m.gang
	g.out[w.slot] = why
	if g.live--; g.live == 0 {
		g.job, g.out, g.absent = nil, nil, nil
		return
	}
	for _, v := range m.workers {
		if v.talks && v != w { // a task that is not of the gang passes it over
			m.tellGone(v, g.id, w.slot, why)
		}
	}
}

// alone takes a worker's word that its task waits for the tasks of others.
func (m *Master) alone(w *worker) {
	p := w.next()
	if p == nil {
		return
	}
	m.times(p.job.Func).talks = true
	if w.talks {
		return
	}
	w.talks = true
	m.talking++
	if p.job.more().Gang {
		for slot, why := range m.gang.out {
			m.tellGone(w, m.gang.id, slot, why)
		}
		return
	}
	for _, v := range m.workers {
		if v.givenUp() {
			m.tellGone(w, 0, v.slot, lostBefore)
		}
	}
}

const lostBefore = "it was lost before, and cannot be replaced"

// hush takes the end of a task, which waits for nobody any more.
func (m *Master) hush(w *worker) {
	m.settleLoan(w)
	if w.talks {
		w.talks, w.direct, w.made = false, false, false
		m.talking--
	}
}

// warn tells the tasks that may wait for a lost worker, and are in no gang, that it is gone.
func (m *Master) warn(lost *worker, cause error) {
	if m.talking == 0 {
		return
	}
	for _, w := range m.workers {
		if p := w.next(); w.talks && p != nil && !p.job.more().Gang {
			m.tellGone(w, 0, lost.slot, "it was lost: "+cause.Error())
		}
	}
}

func (m *Master) tellGone(w *worker, gang uint64, slot int, why string) {
	b := binary.AppendUvarint(number(kindGone, gang), uint64(slot))
	m.send(w, append(b, why...))
}

// relay passes a message from one worker to another. It is dropped when that one has gone: its sender is told, or finds
// out.
func (m *Master) relay(from *worker, r *reader, segs [][]byte, n *news) error {
	to := r.uint()
	if r.err != nil || to >= uint64(len(m.workers)) {
		return errShort
	}
	if w := m.workers[to]; w.state == idle || w.state == busy {
		b := number(kindPeer, uint64(from.slot))
		m.order(w, order{frame: link.Frame{Stream: b, Segments: segs}, inserts: []insert{{at: len(b), b: r.b}}})
		n.kept = true
	}
	return nil
}
