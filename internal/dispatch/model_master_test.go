package dispatch

import "github.com/rankpool/rankpool/internal/link"

// send hands out so many units, as fill and start do.
func (m *model) send(n byte) bool {
	if !m.ready || n > m.queued || m.toWorkers == byte(len(m.toWorker)) {
		return false
	}
	gang := m.queue[0] == modelGang
	if m.outs > 0 && (m.long || m.frames >= prefetching || gang) || gang && n > 1 {
		return false
	}
	f := modelFrame{first: m.seq + 1, units: n, epoch: m.epoch, idle: m.outs == 0}
	for i := range n {
		f.id[i] = m.queue[i]
		if m.queue[i] == modelGang && n > 1 {
			return false
		}
		m.seq++
		m.out[m.outs] = modelPiece{m.seq, m.queue[i], f.idle && i == 0}
		m.outs++
	}
	copy(m.queue[:], m.queue[n:])
	clear(m.queue[modelUnits-n:])
	m.queued -= n
	m.ends[m.frames] = m.seq
	m.frames++
	m.toWorker[m.toWorkers] = f
	m.toWorkers++
	return true
}

// withdraw takes a unit back that waits, or recalls it.
func (m *model) withdraw(id byte) bool {
	if m.withdraws == 0 || m.withdrawn>>id&1 != 0 || m.told[id] > 0 || id >= m.units || m.gang && id == m.units-1 || m.toWorkers == byte(len(m.toWorker)) {
		return false
	}
	m.withdraws--
	m.withdrawn |= 1 << id
	for i, q := range m.queue[:m.queued] {
		if q == id {
			m.unqueue(i)
			return true
		}
	}
	for _, p := range m.out[:m.outs] {
		if p.id == id {
			if !m.far {
				m.recalls |= 1 << p.seq
			}
			m.toWorker[m.toWorkers] = modelFrame{cancel: p.seq, upto: p.seq, recall: true}
			m.toWorkers++
		}
	}
	return true
}

// unqueue tells of a unit that waits that it will not run.
func (m *model) unqueue(i int) {
	m.told[m.queue[i]]++
	copy(m.queue[i:], m.queue[i+1:m.queued])
	m.queued--
	m.queue[m.queued] = 0
}

// interrupt has contexts end once the unit is out that needs it. That one came to a worker that had nothing else, so it does not come
// back.
func (m *model) interrupt(recall bool) bool {
	if m.interrupts == 0 || m.outs == 0 || m.out[0].id != 0 || !m.out[0].first || m.toWorkers == byte(len(m.toWorker)) {
		return false
	}
	m.interrupts--
	m.toWorker[m.toWorkers] = modelFrame{cancel: m.out[0].seq, upto: m.out[m.outs-1].seq}
	m.toWorkers++
	if recall {
		for _, p := range m.out[:m.outs] {
			m.recalls |= 1 << p.seq
		}
	}
	return true
}

// drop is a shutdown that cancels.
func (m *model) drop() bool {
	if !m.drops || m.dropping {
		return false
	}
	m.dropping = true
	for m.queued > 0 {
		m.unqueue(0)
	}
	return true
}

// elsewhere has the unit at the head of the queue done by another worker.
func (m *model) elsewhere() bool {
	if !m.other || !m.ready || m.queued == 0 || m.queue[0] == modelGang || m.blocks && m.queue[0] == 0 {
		return false
	}
	id := m.queue[0]
	m.queued--
	copy(m.queue[:], m.queue[1:])
	m.queue[m.queued] = 0
	m.ran[id]++
	m.told[id]++
	return true
}

// take takes in the next message, as Receive does.
func (m *model) take() bool {
	if m.toMasters == 0 {
		return false
	}
	w := m.toMaster[0]
	copy(m.toMaster[:], m.toMaster[1:])
	m.toMaster[len(m.toMaster)-1] = modelWord{}
	m.toMasters--
	switch w.kind {
	case 'r':
		m.ready = true
	case 'R':
		m.results(w.first, w.last)
		m.long = false
	case 'b':
		m.epoch++
		m.long = true
		m.handback(w.first)
	}
	return true
}

func (m *model) results(first, last byte) {
	for seq := first; seq <= last; seq++ {
		if m.outs == 0 || seq < m.out[0].seq {
			continue // answered before
		}
		if seq != m.out[0].seq {
			m.wrong("result of number %d where %d was due", seq, m.out[0].seq)
			return
		}
		id := m.out[0].id
		if m.passed[id] > 0 && m.withdrawn>>id&1 == 0 {
			m.wrong("unit %d was passed over, and nobody had withdrawn it", id)
		}
		if m.ran[id]+m.passed[id] != 1 {
			m.wrong("unit %d was answered after it ran %d times", id, m.ran[id])
		}
		m.answer()
	}
}

// answer takes the oldest unit off the list.
func (m *model) answer() {
	p := m.out[0]
	m.told[p.id]++
	copy(m.out[:], m.out[1:])
	m.outs--
	m.out[m.outs] = modelPiece{}
	for m.frames > 0 && m.ends[0] <= p.seq {
		copy(m.ends[:], m.ends[1:])
		m.frames--
		m.ends[m.frames] = 0
	}
}

func (m *model) handback(from byte) {
	for m.outs > 0 && m.out[m.outs-1].seq >= from {
		m.outs--
		m.back(m.out[m.outs].id)
		m.out[m.outs] = modelPiece{}
	}
	for m.frames > 0 && m.ends[m.frames-1] >= from {
		m.frames--
		m.ends[m.frames] = 0
	}
	if m.outs > 0 {
		m.ends[m.frames] = from - 1
		m.frames++
	}
}

// back puts a unit in front of the queue.
func (m *model) back(id byte) {
	if id == modelGang {
		m.wrong("the unit of a gang was given back")
		return
	}
	if m.dropping || m.withdrawn>>id&1 != 0 {
		m.told[id]++
		return
	}
	copy(m.queue[1:], m.queue[:m.queued])
	m.queue[0] = id
	m.queued++
}

// lose takes the worker away. What it said before arrives: all of it where the journal does, else so many messages.
func (e *explorer) lose(m *model, heard int, proof bool) bool {
	if m.losses == 0 {
		return false
	}
	m.losses--
	for range heard {
		m.take()
	}
	var finished, picked uint64
	var unsent int
	e.with(m, func(j *link.Journal) {
		finished, unsent = j.Unsent()
		_, picked, _ = j.Read()
	})
	if proof && unsent > 0 {
		m.results(m.run.stream, byte(finished))
	}
	running := true
	var back []byte
	if proof {
		m.mayFail++
	} else {
		m.mayFail += m.outs
	}
	for m.outs > 0 {
		p := m.out[0]
		if proof && uint64(p.seq) > finished && p.id != modelGang {
			if !running || uint64(p.seq) > picked {
				back = append(back, p.id)
				m.outs--
				copy(m.out[:], m.out[1:])
				m.out[m.outs] = modelPiece{}
				continue
			}
			running = false
		}
		m.failed++
		m.answer()
	}
	for i := len(back) - 1; i >= 0; i-- {
		m.back(back[i])
	}
	m.boot()
	return true
}
