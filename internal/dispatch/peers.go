package dispatch

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"

	"github.com/rankpool/rankpool/internal/link"
	"github.com/rankpool/rankpool/internal/remote"
)

// Peers is how a task talks to the tasks on the other workers of its pool. Its methods may be called together.
type Peers struct {
	Rank, Size int // the worker's number, and how many there are, without those that were given up before the gang began

	s      *server
	seq    uint64 // of the unit
	gang   uint64 // 0: the unit is in none
	absent []int  // slots that are not in the gang, in order
	losses int    // of workers, when the unit asked for the others

	heard map[int]uint64 // of each worker, the last of its units that this one has read a letter of; under the server's lock

	count atomic.Uint64
}

// slot returns the slot of a rank.
func (p *Peers) slot(rank int) int {
	for _, a := range p.absent {
		if a <= rank {
			rank++
		}
	}
	return rank
}

// rank returns the rank of a slot.
func (p *Peers) rank(slot int) int {
	n, _ := slices.BinarySearch(p.absent, slot)
	return slot - n
}

// Next counts the task's operations with all its peers, which they number alike.
func (p *Peers) Next() uint64 { return p.count.Add(1) }

// Letter is a message from one task to another.
type Letter struct {
	Source   int // a rank; in a mailbox, a slot
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
	Reason string // empty: its task returned
}

// Error names the worker and the reason.
func (e *PeerError) Error() string {
	if e.Reason == "" {
		return fmt.Sprintf("worker %d says nothing more in this parallel task: its call has returned", e.Worker)
	}
	return fmt.Sprintf("worker %d has dropped out of this parallel task: %s", e.Worker, e.Reason)
}

// Unwrap says that a *PeerError is ErrBroken, in other processes too.
func (e *PeerError) Unwrap() error { return ErrBroken }

// ErrNoPeers is returned outside of a task that has peers.
var ErrNoPeers = errors.New("no workers' communicator here: ask for it inside a task, with the task's context")

// mailbox is what has come for the tasks of a worker, under the server's lock.
type mailbox struct {
	letters []Letter
	changed chan struct{} // closed, and made anew, when anything below or above changes
	grants  uint64        // how often kindDirect was sent
	grant   *string       // the answer to the last
	losses  int           // of workers, as far as tasks in no gang have to know
	lost    *PeerError    // the last of them
	over    uint64        // the last gang that has ended here
	gang    uint64        // the gang that out is about
	out     map[int]*PeerError
}

// end drops what a task has left unread. That of a gang is what has its number. In no gang, a worker that is ahead may have
// written to this one's next task already: of a worker whose letters the task has read, those of later tasks are kept, and of
// another one those that came while the task ran.
func (b *mailbox) end(gang uint64, p *Peers) {
	b.over = max(b.over, gang)
	b.letters = slices.DeleteFunc(b.letters, func(l Letter) bool {
		if l.gang > 0 || p == nil || gang > 0 {
			return l.gang > 0 && l.gang <= gang
		}
		last, heard := p.heard[l.Source]
		return heard && l.unit <= last || !heard && l.early
	})
	if len(b.letters) == 0 {
		b.letters = nil
	}
}

// put takes a letter, unless it is for a gang that is over here.
func (b *mailbox) put(l Letter) {
	if l.gang > 0 && l.gang <= b.over {
		return
	}
	b.letters = append(b.letters, l)
	b.notify()
}

func (b *mailbox) notify() {
	if b.changed != nil {
		close(b.changed)
		b.changed = nil
	}
}

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
	p := &Peers{Size: s.size - len(s.absent), s: s, seq: s.cancelSeq, gang: s.gang, absent: s.absent, losses: s.mail.losses, heard: map[int]uint64{}}
	p.Rank = p.rank(s.rank)
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

// Send sends a message to the task on worker dest and returns when it has left. The segments are read until then.
func (p *Peers) Send(dest int, tag uint64, text []byte, segs [][]byte) error {
	if dest < 0 || dest >= p.Size {
		return fmt.Errorf("rank %d is out of range: there are %d workers", dest, p.Size)
	}
	if dest == p.Rank {
		l := Letter{Source: p.s.rank, Tag: tag, Text: slices.Clone(text), gang: p.gang, unit: p.seq}
		for _, s := range segs {
			l.Segments = append(l.Segments, slices.Clone(s))
		}
		p.s.mu.Lock()
		p.s.mail.put(l)
		p.s.mu.Unlock()
		return nil
	}
	b := binary.AppendUvarint(number(kindPeer, uint64(p.slot(dest))), p.gang)
	b = binary.AppendUvarint(binary.AppendUvarint(b, p.seq), tag)
	return p.s.ep.Send(link.Frame{Stream: append(b, text...), Segments: segs})
}

// Recv returns the first message from worker source, or from any if that is -1, whose tag fits. It blocks until one is
// there, until ctx ends, or until none can come any more (a *PeerError).
func (p *Peers) Recv(ctx context.Context, source int, fits func(tag uint64) bool) (Letter, error) {
	if source < -1 || source >= p.Size {
		return Letter{}, fmt.Errorf("rank %d is out of range: there are %d workers", source, p.Size)
	}
	if source >= 0 {
		source = p.slot(source)
	}
	s := p.s
	for {
		s.mu.Lock()
		for i, l := range s.mail.letters {
			if l.gang == p.gang && (source == -1 || l.Source == source) && fits(l.Tag) {
				s.mail.letters = slices.Delete(s.mail.letters, i, i+1)
				p.heard[l.Source] = max(p.heard[l.Source], l.unit)
				s.mu.Unlock()
				l.Source = p.rank(l.Source)
				return l, nil
			}
		}
		err := p.hopeless(source)
		if s.mail.changed == nil {
			s.mail.changed = make(chan struct{})
		}
		changed := s.mail.changed
		s.mu.Unlock()
		if err != nil {
			return Letter{}, err
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return Letter{}, context.Cause(ctx)
		case <-s.done:
			return Letter{}, ErrNoPeers
		}
	}
}

// hopeless says why a wait for a worker will never end, or nil.
func (p *Peers) hopeless(source int) error {
	b := &p.s.mail
	if p.gang == 0 {
		if b.losses != p.losses {
			return remote.Outward(b.lost)
		}
		return nil
	}
	if b.gang != p.gang {
		return nil
	}
	for _, e := range b.out {
		if e.Reason != "" || e.Worker == source {
			return remote.Outward(e)
		}
	}
	if source == -1 && len(b.out) == p.Size-1 {
		for _, e := range b.out {
			return remote.Outward(e)
		}
	}
	return nil
}

// letter takes a message of another worker's task.
func (s *server) letter(f link.Frame, r *reader) {
	l := Letter{Source: int(r.uint()), gang: r.uint(), unit: r.uint(), Tag: r.uint(), Text: r.b, Segments: f.Segments}
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
	e := &PeerError{Worker: slot, Reason: string(r.b)}
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
	s.mail.notify()
}
