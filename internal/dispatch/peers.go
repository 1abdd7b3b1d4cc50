package dispatch

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"

	"github.com/rankpool/rankpool/internal/lane"
	"github.com/rankpool/rankpool/internal/link"
)

// Peers is how a task talks to the tasks on the other workers of its pool. Its methods may be called together.
type Peers struct {
	Rank, Size int // the worker's number, and how many there are; in a gang, of its members

	s       *server
	seq     uint64 // of the unit
	gang    uint64 // 0: the unit is in none
	members team   // the slots that are its ranks
	losses  int    // of workers, when the unit asked for the others

	heard map[int]uint64 // of each worker, the last of its units that this one has read a letter of; under the server's lock

	count   atomic.Uint64
	later   lane.Lane          // sends what SendLater was given
	natives map[uint64]*native // by the numbers of the communicators; under the server's lock
	ended   bool               // likewise
}

// slot returns the slot of a rank.
func (p *Peers) slot(rank int) int {
	return p.members.slot(rank)
}

// rank returns the rank of a slot.
func (p *Peers) rank(slot int) int {
	return p.members.rank(slot)
}

// Next counts the task's operations with all its peers, which they number alike.
func (p *Peers) Next() uint64 { return p.count.Add(1) }

// Together tells whether the task and its peers were started together and nothing of earlier tasks can meet them.
func (p *Peers) Together() bool { return p.gang > 0 }

// Number returns a number for a communicator that no worker of the pool returns again. That of all workers has the number 0.
func (p *Peers) Number() uint64 {
	p.s.mu.Lock()
	defer p.s.mu.Unlock()
	p.s.mail.numbers++
	return (p.s.mail.numbers-1)*uint64(p.s.size) + uint64(p.s.rank) + 1
}

// Letter is a message from one task to another.
type Letter struct {
	Source   int    // a rank; in a mailbox, a slot
	Comm     uint64 // the number of the communicator that it was sent in
	Tag      uint64
	Text     []byte
	Segments [][]byte

	gang  uint64
	unit  uint64 // of the sender
	early bool   // it was there when the task asked for the others
}

// PeerError says that a worker will never send what is waited for. Package futures declares it for users, with the same fields.
type PeerError struct {
	Worker int
	Rank   int    // in the communicator
	Reason string // empty: its task returned
}

// Error names the worker and the reason.
func (e *PeerError) Error() string {
	who := fmt.Sprintf("worker %d", e.Worker)
	if e.Rank != e.Worker {
		who = fmt.Sprintf("rank %d (worker %d)", e.Rank, e.Worker)
	}
	if e.Reason == "" {
		return who + " says nothing more in this parallel task: its call has returned"
	}
	return who + " has dropped out of this parallel task: " + e.Reason
}

// Unwrap says that a *PeerError is ErrBroken, in other processes too.
func (e *PeerError) Unwrap() error { return ErrBroken }

// ErrNoPeers is returned outside of a task that has peers.
var ErrNoPeers = errors.New("no workers' communicator here: ask for it inside a task, with the task's context")

// Workers returns the peers of the task whose context this is. It is what Alone is, besides. The same ones come back at
// each call in one task.
func Workers(ctx context.Context) (*Peers, error) {
	s := serverOf(ctx)
	if s == nil || s.svc.NoPeers || ctx.Err() != nil {
		return nil, ErrNoPeers
	}
	s.mu.Lock()
	if p := s.peers; p != nil && p.seq == s.cancelSeq {
		s.mu.Unlock()
		return p, nil
	}
	if s.cancelSeq == 0 || s.work == nil {
		s.mu.Unlock()
		return nil, ErrNoPeers
	}
	p := &Peers{s: s, seq: s.cancelSeq, gang: s.gang, members: s.members, losses: s.mail.losses, heard: map[int]uint64{}}
	if p.gang == 0 {
		p.members = team{{0, s.size}}
	}
	p.Rank, p.Size = p.rank(s.rank), p.members.size()
	s.peers = p
	p.heard[s.rank] = p.seq // what it sends to itself
	for i := range s.mail.letters {
		s.mail.letters[i].early = true
	}
	if s.proto.relieve() {
		go s.lead()
	}
	s.mu.Unlock()
	Alone(ctx)
	s.turn.give() // another pool's task on this worker may be what a peer's worker waits for
	return p, nil
}

// Send sends a message to the task on worker dest, which is one of Size, and returns when it has left, behind those of SendLater. The
// segments are read until then.
func (p *Peers) Send(dest int, comm, tag uint64, text []byte, segs [][]byte) error {
	if dest == p.Rank {
		p.keep(comm, tag, text, segs)
		return nil
	}
	if p.later.Len() == 0 {
		return p.transmit(dest, comm, tag, text, segs)
	}
	sent := make(chan error, 1)
	p.later.Add(func() { sent <- p.transmit(dest, comm, tag, text, segs) })
	return <-sent
}

// SendLater is Send that does not block: then is called when the message has left, on a goroutine that sends what is behind it.
// The task's end waits for that.
func (p *Peers) SendLater(dest int, comm, tag uint64, text []byte, segs [][]byte, then func(error)) {
	if dest == p.Rank {
		p.keep(comm, tag, text, segs)
		then(nil)
		return
	}
	p.later.Add(func() { then(p.transmit(dest, comm, tag, text, segs)) })
}

// keep sends a message to the task itself.
func (p *Peers) keep(comm, tag uint64, text []byte, segs [][]byte) {
	l := Letter{Source: p.s.rank, Comm: comm, Tag: tag, Text: slices.Clone(text), gang: p.gang, unit: p.seq}
	for _, s := range segs {
		l.Segments = append(l.Segments, slices.Clone(s))
	}
	p.s.mu.Lock()
	p.s.mail.put(l)
	p.s.mu.Unlock()
}

func (p *Peers) transmit(dest int, comm, tag uint64, text []byte, segs [][]byte) error {
	b := binary.AppendUvarint(number(kindPeer, uint64(p.slot(dest))), p.gang)
	b = binary.AppendUvarint(binary.AppendUvarint(binary.AppendUvarint(b, p.seq), comm), tag)
	return p.s.ep.Send(link.Frame{Stream: append(b, text...), Segments: segs})
}

// letter takes a message of another worker's task.
func (s *server) letter(f link.Frame, r *reader) {
	l := Letter{Source: int(r.uint()), gang: r.uint(), unit: r.uint(), Comm: r.uint(), Tag: r.uint(), Text: r.b, Segments: f.Segments}
	if r.err != nil {
		s.finish(r.err)
		return
	}
	s.mu.Lock()
	s.mail.put(l)
	s.mu.Unlock()
}

// goneFrame takes the news that a worker says no more.
func (s *server) goneFrame(r *reader) {
	gang, slot := r.uint(), int(r.uint())
	e := &PeerError{Worker: slot, Rank: slot, Reason: string(r.b)}
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case gang == 0:
		s.mail.losses++
		s.mail.lost = e
	case gang != s.mail.gang:
		s.mail.gang, s.mail.out = gang, map[int]*PeerError{slot: e}
	default:
		s.mail.out[slot] = e
	}
	s.mail.giveUp()
}

// sendRest waits until what the task that ends has sent later has left: its peers hear of its end behind that.
func (s *server) sendRest() {
	s.mu.Lock()
	p := s.peers
	s.mu.Unlock()
	if p != nil {
		_ = p.later.Drain(context.Background()) // ends with the endpoint
	}
}

// ranked returns the error about a member of the task's gang, with its rank.
func (p *Peers) ranked(e *PeerError) *PeerError {
	return &PeerError{Worker: e.Worker, Rank: p.rank(e.Worker), Reason: e.Reason}
}
