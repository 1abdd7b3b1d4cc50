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
	slots  []int          // in the order of its ranks
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
	ask, number := r.uint(), r.uint()
	var slots []int
	if number > 0 {
		slots = r.slots(len(m.workers))
	}
	g, p := w.gang, w.next()
	switch {
	case r.err != nil:
		return r.err
	case p == nil: // its task has ended
		return nil
	case p.gone:
		m.answer(w, ask, grant{missing: -1, why: "the task has been given up"})
		return nil
	case number == 0 && (g == nil || !g.some):
		m.grant(w, ask)
		return nil
	case g == nil:
		m.answer(w, ask, grant{missing: -1, why: "MPI has no communicator of its own for what was made by Split or Dup outside of a gang: use SubmitEach"})
		return nil
	case number == 0:
		for rank := range g.members.size() {
			slots = append(slots, g.members.slot(rank))
		}
	}
	return m.ask(w, g, common{number: number, slots: slots}, ask)
}

// ask notes that a worker has asked, and answers if it is the last, or if one of them is missing.
func (m *Master) ask(w *worker, g *gang, want common, ask uint64) error {
	i := slices.IndexFunc(g.commons, func(c *common) bool { return c.number == want.number })
	if i < 0 {
		if err := g.has(want.slots); err != nil {
			return err
		}
		for _, slot := range want.slots {
			if why, out := g.out[slot]; out {
				m.answer(w, ask, grant{missing: slot, why: why})
				return nil
			}
		}
		want.asks, want.made = map[int]uint64{}, map[int]bool{}
		i = len(g.commons)
		g.commons = append(g.commons, &want)
	}
	c := g.commons[i]
	if !slices.Contains(want.slots, w.slot) || !slices.Equal(c.slots, want.slots) || c.serial > 0 {
		return errNoCommon
	}
	c.asks[w.slot] = ask
	if len(c.asks) < len(c.slots) {
		return nil
	}
	m.serials++
	c.serial = m.serials
	for _, slot := range c.slots {
		m.answer(m.workers[slot], c.asks[slot], grant{serial: c.serial, missing: -1})
	}
	return nil
}

// has says what is wrong with slots that are to be members of the gang.
func (g *gang) has(slots []int) error {
	for i, slot := range slots {
		if g.members.rank(slot) < 0 || slices.Contains(slots[:i], slot) {
			return errNoCommon
		}
	}
	return nil
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
		if asked, waits := c.asks[w.slot]; waits && asked == ask && c.serial == 0 {
			delete(c.asks, w.slot)
			m.answer(w, ask, grant{missing: -1, why: "it was taken back"})
			return
		}
	}
}

// deny refuses what a member of a gang will take no part in, as its task has ended.
func (m *Master) deny(g *gang, left int) {
	g.commons = slices.DeleteFunc(g.commons, func(c *common) bool {
		if c.serial > 0 || !slices.Contains(c.slots, left) {
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
	if w.gang == nil {
		return
	}
	for _, c := range w.gang.commons {
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
		if w.gang == nil || w == lost {
			continue
		}
		for _, c := range w.gang.commons {
			if _, in := c.asks[w.slot]; in && c.serial > 0 && slices.Contains(c.slots, lost.slot) {
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
