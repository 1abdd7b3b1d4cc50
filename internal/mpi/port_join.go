package mpi

// keptJoints is how many of those of a round keep their memory for the next one: more are rare, and there may be thousands of ranks.
const keptJoints = 64

// joint is what was joined for one rank and has not become an operation yet.
type joint struct {
	dest int32
	data []byte
}

// Join queues data for dest with the port's tag. All that was joined for a rank between two Polls leaves in one message, one behind
// the other, or in several when that would be longer than Longest; so the receiver must be able to tell where each ends. It waits for
// nothing: the next Poll sends it, as it does what Send has queued. The caller may use the memory again at once, and hears of the send
// only if it fails. The error is ErrPortClosed, or that dest is no rank of the communicator, that data alone is longer than Longest,
// or that there is no memory.
func (p *Port) Join(dest int, data []byte) error {
	if dest < 0 || dest >= len(p.joint) {
		return invalid("MPI_Isend", ClassRank, "rank %d is not in 0..%d", dest, len(p.joint)-1)
	}
	if len(data) > p.o.Longest {
		return invalid("MPI_Isend", ClassCount, "%d bytes cannot be joined, at most %d", len(data), p.o.Longest)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return ErrPortClosed
	}
	j := p.jointOf(dest)
	if len(j.data)+len(data) > p.o.Longest {
		if err := p.seal(j); err != nil {
			return err
		}
	}
	j.data = append(j.data, data...)
	p.kick.Store(1)
	return nil
}

// jointOf returns that of a rank, an empty one if there is none. The lock is held.
func (p *Port) jointOf(dest int) *joint {
	if p.joint[dest] == 0 {
		n := len(p.joined)
		if n < cap(p.joined) {
			p.joined = p.joined[:n+1] // with its memory
		} else {
			p.joined = append(p.joined, joint{})
		}
		p.joined[n].dest = int32(dest)
		p.joint[dest] = n + 1
	}
	return &p.joined[p.joint[dest]-1]
}

// seal makes one operation of what was joined. The lock is held.
func (p *Port) seal(j *joint) error {
	if len(j.data) == 0 {
		return nil
	}
	err := p.write(portOp{kind: opSend, peer: j.dest, tag: int32(p.o.Tag), inside: 1}, j.data, nil)
	j.data = j.data[:0]
	return err
}

// sealAll seals what was joined for every rank. The lock is held.
func (p *Port) sealAll() (err error) {
	for i := range p.joined {
		j := &p.joined[i]
		p.joint[j.dest] = 0
		if failed := p.seal(j); err == nil {
			err = failed
		}
	}
	if len(p.joined) > keptJoints {
		clear(p.joined[keptJoints:])
	}
	p.joined = p.joined[:0]
	return err
}
