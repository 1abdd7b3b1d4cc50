package dispatch

import (
	"encoding/binary"
	"slices"

	"github.com/rankpool/rankpool/internal/link"
)

// gang is the units of one job that run on several workers together. Several gangs run side by side; each worker is in one at most.
type gang struct {
	id      uint64         // counts from 1; 0 stands for tasks that are in none
	members team           //
	live    int            // units that have not ended
	out     map[int]string // slots of members whose unit has ended, with the reason if it failed
	some    bool           // when it began there were other workers too
	commons []*common      // that some of its members have asked for, and not all
}

// ofAll tells whether a job is a gang of all workers.
func (j *Job) ofAll() bool { return j.more().Gang && j.more().Workers == 0 }

// start hands the units of a gang out, the first to the first worker and so on.
func (m *Master) start(b band, slots []int) {
	j, n := b.job, len(slots)
	m.stats.Submitted += uint64(n - 1)
	j.Units, j.at = n, taken
	m.trace.grew(j, n)
	m.gangs++
	g := &gang{id: m.gangs, members: teamOf(slots), live: n, out: map[int]string{}}
	g.some = slices.ContainsFunc(m.workers, func(w *worker) bool { return !w.givenUp() && g.members.rank(w.slot) < 0 })
	if m.cfg.Home != nil {
		for _, w := range m.workers { // the next gang is another
			w.passed = false
		}
	}
	if j.ofAll() {
		flow := m.queue.fair.flow(j)
		b.price = m.price(flow, j)
		m.charge(flow, j, n, b.price)
	}
	for unit, slot := range slots {
		w := m.workers[slot]
		h := run{fn: j.Func, units: 1, timeout: j.more().Timeout, flags: runGang | runIdle, gang: g.id, members: g.members}
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
		m.give(w, piece{job: j, cursor: cursor{unit: unit}, n: 1, seq: w.seq, price: b.price})
		w.units, w.state, w.since = 1, busy, m.now()
		if m.cfg.Home == nil { // else nobody talks to others, and there may be a gang whose tasks wait for another
			w.gang = g
		}
		w.sent()
		m.trace.sent(w, w.seq, len(j.Data))
		m.flying++
		m.equip(w, j.generation(), w.seq)
		m.order(w, order{frame: f, inserts: []insert{{at: len(f.Stream), b: j.Data}}})
	}
	for _, slot := range slots {
		if m.cfg.MaxTasks > 0 {
			m.exhaust(m.workers[slot])
		}
	}
	m.watch.arm(m)
}

// left takes the end of a worker's unit of the gang, and tells those who may wait for it.
func (m *Master) left(w *worker, failed bool, cause error) {
	g := w.gang
	if g == nil {
		return
	}
	w.gang = nil
	why := ""
	switch {
	case cause != nil:
		why = "it was lost: " + cause.Error()
	case failed:
		why = "its task failed"
	}
	g.out[w.slot] = why
	m.deny(g, w.slot)
	if g.live--; g.live == 0 {
		return
	}
	for _, b := range g.members {
		for _, v := range m.workers[b.first : b.first+b.n] {
			if v.gang == g && v.talks {
				m.tellGone(v, g.id, w.slot, why)
			}
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
		if g := w.gang; g != nil {
			for slot, why := range g.out {
				m.tellGone(w, g.id, slot, why)
			}
		}
		return
	}
	w.asks = true
	m.asking++
	for _, v := range m.workers {
		if v.givenUp() {
			m.tellGone(w, 0, v.slot, lostBefore)
		}
	}
}

const lostBefore = "it was lost before, and cannot be replaced"

// clearTalk forgets that a task, which has ended now, talked to others.
func (m *Master) clearTalk(w *worker) {
	m.settleLoan(w)
	w.shares = nil
	if w.talks {
		w.talks, w.direct, w.made = false, false, false
		m.talking--
	}
	if w.asks {
		w.asks = false
		m.asking--
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
