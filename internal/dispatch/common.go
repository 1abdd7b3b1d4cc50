package dispatch

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
)

// common is what some workers of a gang have in common beside the master, or will have when all of them have asked for it. That of all
// workers is none: it is kept for later gangs, and nobody counts who has asked.
type common struct {
	number uint64         // of the communicator, as the tasks count them; 0: that of all members
	serial uint64         // by which the workers know it; 0 until all have asked
	slots  []int          // in the order of its ranks; nil for number 0
	in     func(int) bool // tells whether it has a slot
	size   int            // how many it has
	asks   map[int]uint64 // of each slot that has asked, the number of its question
	made   map[int]bool   // the slots that do not wait for the others any more
}

// appendSlots appends how many slots there are, and these.
func appendSlots(b []byte, slots []int) []byte {
	b = binary.AppendUvarint(b, uint64(len(slots)))
	for _, slot := range slots {
		b = binary.AppendUvarint(b, uint64(slot))
	}
	return b
}

// slots reads what appendSlots has written, at most so many.
func (r *reader) slots(most int) (slots []int) {
	n := r.uint()
	if n > uint64(most) {
		r.fail()
		return nil
	}
	for range n {
		slots = append(slots, int(r.uint()))
	}
	return slots
}

var errNoCommon = errors.New("it asks for a communicator that it is not in, or not as others of its gang do")

// direct takes a worker's question whether its task may talk to others without the master.
func (m *Master) direct(w *worker, r *reader) error {
	ask, unit, number := r.uint(), r.uint(), r.uint()
	var slots []int
	if number > 0 {
		slots = r.slots(len(m.workers))
	}
	g, p := w.gang, w.next()
	switch {
	case r.err != nil:
		return r.err
	case p == nil || unit < p.seq+uint64(p.done): // a goroutine that the task has left behind asks for it
		m.disagree(w, ask, "its task has ended")
	case p.gone:
		m.disagree(w, ask, "the task has been given up")
	case number == 0 && (g == nil || !g.some):
		m.grant(w, ask)
	case g == nil:
		m.disagree(w, ask, "MPI has no communicator of its own for what was made by Split or Dup outside of a gang: use SubmitEach")
	default:
		return m.ask(w, g, number, slots, ask)
	}
	return nil
}

// ask notes that a worker has asked, and answers if it is the last, or if one of them is missing.
func (m *Master) ask(w *worker, g *gang, number uint64, slots []int, ask uint64) error {
	i := slices.IndexFunc(g.commons, func(c *common) bool { return c.number == number })
	if i < 0 {
		c, err := g.newCommon(number, slots)
		if err != nil {
			return err
		}
		for slot, why := range g.out {
			if c.in(slot) {
				m.answer(w, ask, grant{missing: slot, why: why})
				return nil
			}
		}
		i = len(g.commons)
		g.commons = append(g.commons, c)
	}
	c := g.commons[i]
	if !c.in(w.slot) || !slices.Equal(c.slots, slots) {
		return errNoCommon
	}
	c.asks[w.slot] = ask
	if len(c.asks) < c.size {
		return nil
	}
	m.serials++
	c.serial = m.serials
	g.commons = slices.Delete(g.commons, i, i+1)
	for slot, ask := range c.asks {
		v := m.workers[slot]
		v.shares = append(v.shares, c)
		m.answer(v, ask, grant{serial: c.serial, missing: -1})
	}
	return nil
}

// newCommon returns what these slots are to have in common, or all members, and what is wrong with them.
func (g *gang) newCommon(number uint64, slots []int) (*common, error) {
	c := &common{number: number, slots: slots, asks: map[int]uint64{}, made: map[int]bool{}}
	if number == 0 {
		c.in, c.size = func(slot int) bool { return g.members.rank(slot) >= 0 }, g.members.size()
		return c, nil
	}
	in := make(map[int]bool, len(slots))
	for _, slot := range slots {
		if g.members.rank(slot) < 0 || in[slot] {
			return nil, errNoCommon
		}
		in[slot] = true
	}
	c.in, c.size = func(slot int) bool { return in[slot] }, len(slots)
	return c, nil
}

func (m *Master) disagree(w *worker, ask uint64, why string) {
	m.answer(w, ask, grant{missing: -1, why: why})
}

func (m *Master) answer(w *worker, ask uint64, g grant) {
	b := binary.AppendUvarint(number(kindGrant, ask), g.serial)
	m.send(w, append(binary.AppendUvarint(b, uint64(g.missing+1)), g.why...))
}

// retract takes a question back that has not been answered, and answers it.
func (m *Master) retract(w *worker, ask uint64) {
	if w.gang == nil { // who is in none has been answered
		return
	}
	for _, c := range w.gang.commons {
		if asked, waits := c.asks[w.slot]; waits && asked == ask {
			delete(c.asks, w.slot)
			m.disagree(w, ask, "it was taken back")
			return
		}
	}
}

// deny refuses what a member of a gang will take no part in, as its task has ended.
func (m *Master) deny(g *gang, left int) {
	g.commons = slices.DeleteFunc(g.commons, func(c *common) bool {
		if !c.in(left) {
			return false
		}
		for slot, ask := range c.asks {
			if w := m.workers[slot]; w.state == busy || w.state == idle { // not the one that is lost
				m.answer(w, ask, grant{missing: left, why: g.out[left]})
			}
		}
		return true
	})
}

// isMade takes a worker's word that it does not wait for others any more.
func (m *Master) isMade(w *worker, serial uint64) {
	if serial == 0 {
		w.made = w.direct
		return
	}
	for _, c := range w.shares {
		if c.serial == serial {
			c.made[w.slot] = true
		}
	}
}

// grant answers a worker whose task wants to talk to all others: not when one of them is missing already.
func (m *Master) grant(w *worker, ask uint64) {
	why := m.whyNot(w)
	w.direct = why == "" && w.talks
	m.answer(w, ask, grant{missing: -1, why: why})
}

// whyNot says why a worker's task may not talk to all others directly; empty if it may.
func (m *Master) whyNot(w *worker) (why string) {
	for _, v := range m.workers {
		if w.gang != nil && w.gang.members.rank(v.slot) < 0 { // it was given up before the gang began
			continue
		}
		if v.state != idle && v.state != busy {
			why = fmt.Sprintf("worker %d was lost, and all of them would have to take part", v.slot)
		}
	}
	return why
}

// breakNative wakes the tasks that may wait in MPI for a lost worker, of which the master sees nothing. Where that is impossible
// it calls Stuck: a communicator that is not made yet cannot be revoked, and Open MPI 5 never ends MPI_Comm_create_group when one of its ranks is lost.
func (m *Master) breakNative(lost *worker, cause error) {
	if m.talking == 0 { // a worker that is direct talks, and so does a member that has asked
		return
	}
	var broken []waiter
	for _, w := range m.workers {
		if w.direct {
			broken = append(broken, waiter{w, 0, w.made})
		}
		for _, c := range w.shares {
			if w != lost && c.in(lost.slot) {
				broken = append(broken, waiter{w, c.serial, c.made[w.slot]})
			}
		}
	}
	if slices.ContainsFunc(broken, func(b waiter) bool { return !m.breaks || !b.made }) {
		if m.cfg.Stuck != nil {
			go m.cfg.Stuck(fmt.Errorf("worker %d (process %d on %s) was lost while tasks on other workers talk to it by MPI, which "+
				"would wait without end: %w", lost.slot, lost.hello.Pid, lost.hello.Host, cause))
		}
		return
	}
	for _, b := range broken {
		m.send(b.w, number(kindBreak, b.serial))
	}
}

// waiter is a worker whose task may wait for a lost one.
type waiter struct {
	w      *worker
	serial uint64
	made   bool
}
