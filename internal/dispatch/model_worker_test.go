package dispatch

import "github.com/rankpool/rankpool/internal/link"

func receiverStep(e *explorer, m *model) bool {
	r := &m.recv
	switch r.at {
	case recvWaits:
		if m.toWorkers == 0 {
			return false
		}
		r.frame = m.toWorker[0]
		copy(m.toWorker[:], m.toWorker[1:])
		m.toWorkers--
		m.toWorker[m.toWorkers] = modelFrame{}
		if r.frame.cancel > 0 {
			m.cancelTasks(e)
			break
		}
		r.at = recvDecide
		if e.fault.early && uint64(r.frame.epoch) < m.proto.epoch {
			r.at, r.frame = recvWaits, modelFrame{}
		}
	case recvDecide:
		f := arrival{first: uint64(r.frame.first), units: uint64(r.frame.units), epoch: uint64(r.frame.epoch), idle: r.frame.idle}
		if e.fault.early {
			f.epoch = m.proto.epoch
		}
		var v verdict
		var from uint64
		e.with(m, func(j *link.Journal) { v, from = e.fault.admit(&m.proto, f, j) })
		switch v {
		case toWait:
			return false
		case toRun:
			m.run = model{}.run
			m.run.at, m.run.frame, m.run.unit = runPick, r.frame, r.frame.first-1
			m.recv = model{}.recv
		case toReturn:
			r.at, r.from, r.frame = recvFlush, byte(from), modelFrame{}
		case toDrop:
			r.at, r.frame = recvWaits, modelFrame{}
		default:
			m.wrong("the frame that begins with number %d was refused", f.first)
		}
	case recvFlush:
		r.at, r.last = recvFlushUpTo, byte(m.proto.last)
	case recvFlushUpTo:
		return m.flushMarked(1, r.last, &r.mark, &r.at, e)
	case recvFlushing:
		m.flushedMarked(r.mark)
		r.at, r.mark = recvReturn, 0
	case recvHaltFlush:
		r.at, r.last = recvHaltFlushUpTo, byte(m.proto.last)
	case recvHaltFlushUpTo:
		return m.flushMarked(1, r.last, &r.mark, &r.at, e)
	case recvHaltFlushing:
		m.flushedMarked(r.mark)
		r.at, r.mark = recvHalt, 0
	case recvHalt:
		var from uint64
		e.with(m, func(j *link.Journal) { from = e.fault.halt(&m.proto, uint64(r.from), j) })
		r.at, r.from, r.last = recvReturn, byte(from), 0
		if from == 0 {
			r.at = recvWaits
		}
	case recvReturn:
		m.say(modelWord{kind: 'b', first: r.from})
		r.at, r.from, r.last = recvWaits, 0, 0
	default:
		return false
	}
	return true
}

// cancelTasks is server.cancelTasks.
func (m *model) cancelTasks(e *explorer) {
	r := &m.recv
	f := r.frame
	r.frame = modelFrame{}
	for seq := f.cancel; seq <= f.upto; seq++ {
		if f.recall {
			m.recalls |= 1 << seq
		}
		if m.run.at != away {
			m.cancelled |= 1 << seq
		}
	}
	var finished uint64
	e.with(m, func(j *link.Journal) { finished, _ = j.Unsent() })
	if m.run.frame.units > 0 && uint64(f.upto) > finished+1 {
		r.at, r.from = recvHaltFlush, m.run.frame.first
	}
}

// blocked tells whether the unit that runs goes on until its context ends, which it has not.
func (m *model) blocked() bool {
	x := &m.run
	id := x.frame.id[x.unit-x.frame.first]
	return m.blocks && id == 0 && m.passed[id] == 0 && m.cancelled>>x.unit&1 == 0
}

// passOver is server.passOver, up to the mark that the unit has ended.
func (m *model) passOver(e *explorer) {
	x := &m.run
	switch e.fault.passed {
	case isAnswered:
		x.unit++
		m.passed[x.frame.id[x.unit-x.frame.first]]++
		x.at = runEnd
	case comesBack:
		if !m.proto.halted {
			m.proto.halted, m.proto.last = true, uint64(x.unit)
			m.proto.epoch++
			m.say(modelWord{kind: 'b', first: x.unit + 1})
		}
		fallthrough
	case isForgotten:
		x.stop, x.at = true, runClose
	}
}

// flushMarked is the first half of outbox.flushMarked, up to the message: what it is to say is read from the mark.
func (m *model) flushMarked(who, last byte, mark, at *byte, e *explorer) bool {
	if m.flushing != 0 {
		return false
	}
	var seq uint64
	var n int
	e.with(m, func(j *link.Journal) { seq, n = j.Unsent() })
	if n == 0 || byte(seq) <= m.run.flushed || byte(seq) >= last {
		*at += 2
		return true
	}
	m.flushing, *mark = who, byte(seq)
	*at++
	return true
}

// flushedMarked is the other half.
func (m *model) flushedMarked(mark byte) {
	m.say(modelWord{'R', m.run.flushed + 1, mark})
	m.run.flushed, m.flushing = mark, 0
}

func runnerStep(e *explorer, m *model) bool {
	x := &m.run
	final := x.frame.first + x.frame.units - 1
	switch x.at {
	case runSetup:
		m.proto.close()
		x.at = runSetupAnswer
	case runSetupAnswer:
		m.say(modelWord{kind: 'r'})
		x.at = runLetGo
	case runPick:
		e.with(m, func(j *link.Journal) { j.Picked(uint64(final)) })
		x.at = runOpen
	case runOpen, runReopen: // outbox.open
		if m.flushing != 0 {
			return false
		}
		x.stream, x.flushed = x.unit+1, x.unit
		e.with(m, func(j *link.Journal) { x.halted = j.Finished(uint64(x.unit), 0) || x.halted })
		x.at = runBegin
		if x.stop {
			x.at = runClose
		}
	case runBegin:
		if m.recalls>>(x.unit+1)&1 != 0 {
			m.passOver(e)
			break
		}
		x.unit++
		m.ran[x.frame.id[x.unit-x.frame.first]]++
		x.at = runEnd
	case runEnd: // the results stay in the journal
		if m.blocked() {
			return false
		}
		e.with(m, func(j *link.Journal) { x.stop = j.Finished(uint64(x.unit), int(x.unit-x.stream)+1) || x.halted })
		x.at = runBegin
		if x.stop || x.unit == final {
			x.at = runClose
		}
	case runFlush: // outbox.flush
		if m.flushing != 0 {
			return false
		}
		m.flushing = 2
		m.say(modelWord{'R', x.flushed + 1, x.unit})
		x.at = runFlushMark
	case runFlushMark:
		e.with(m, func(j *link.Journal) { x.stop = j.Finished(uint64(x.unit), 0) || x.halted })
		x.flushed, m.flushing = x.unit, 0
		x.at = runReopen
	case runClose:
		m.proto.close()
		x.at = runLast
	case runLast:
		if m.flushing != 0 {
			return false
		}
		m.flushing = 2
		m.say(modelWord{'R', x.flushed + 1, x.unit}) // with the time; it may have no results
		x.at = runLastMark
	case runLastMark:
		e.with(m, func(j *link.Journal) { j.Finished(uint64(x.unit), 0) })
		x.flushed, m.flushing = x.unit, 0
		x.at = runLetGo
	case runLetGo:
		first := x.unit
		m.run = model{}.run
		m.run.flushed = first // of the stream, which the next batch opens anew
		if m.proto.ended() {
			if m.recv.at != away {
				m.wrong("two goroutines receive")
			}
			m.recv.at = recvWaits
		}
	default:
		return false
	}
	return true
}

// runnerFull is the end of a unit whose results cannot stay in the journal, or come with segments.
func runnerFull(_ *explorer, m *model) bool {
	x := &m.run
	if x.at != runEnd || !m.full || m.blocked() {
		return false
	}
	x.at = runFlush
	if x.unit == x.frame.first+x.frame.units-1 {
		x.at, x.stop = runClose, true
	}
	return true
}

// lookComes is the start of server.look, or of Alone in a task.
func (m *model) lookComes(l int) bool {
	k := &m.look[l]
	if byte(l) >= m.looks || k.at != away || m.run.at == away {
		return false
	}
	if m.proto.relieve() {
		if m.recv.at != away {
			m.wrong("two goroutines receive")
		}
		m.recv.at = recvWaits
	}
	if m.run.frame.units > 0 {
		k.at, k.first = lookFlush, m.run.frame.first
	}
	return true
}

func lookStep(e *explorer, m *model, l int) bool {
	k := &m.look[l]
	switch k.at {
	case lookFlush:
		k.at, k.last = lookFlushUpTo, byte(m.proto.last)
	case lookFlushUpTo:
		return m.flushMarked(3+byte(l), k.last, &k.mark, &k.at, e)
	case lookFlushing:
		m.flushedMarked(k.mark)
		k.at, k.mark = lookHalt, 0
	case lookHalt:
		var from uint64
		e.with(m, func(j *link.Journal) { from = e.fault.halt(&m.proto, uint64(k.first), j) })
		k.at, k.first, k.last, k.from = lookSend, 0, 0, byte(from)
		if from == 0 {
			k.at = away
		}
	case lookSend:
		m.say(modelWord{kind: 'b', first: k.from})
		k.at, k.from = away, 0
	default:
		return false
	}
	return true
}
