package dispatch

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"github.com/rankpool/rankpool/internal/link"
)

// ErrNotNative is the error of Native where the workers have nothing in common but the master.
var ErrNotNative = errors.New("dispatch: these workers have nothing in common but the master")

// native is one communicator of a task that talks to others without the master.
type native struct {
	turn chan struct{} // holds a token while a goroutine of the task asks for it or makes it

	serial uint64 // 0 until the master has agreed, and for that of all workers; written under the server's lock too
	made   any    // if serial is not 0
	err    error
}

// Native returns what the workers with these ranks have in common beside the master, see link.Native; nil are all peers. number is that of
// the communicator of these ranks, as Number returns it, or 0 for nil. The tasks on all of these workers call it, and it blocks until they do, or
// until ctx ends before the master has agreed.
//
// If there are more workers than these, or number is not 0, the master agrees when all of them have asked. When one of their tasks ends
// before, the error is a *PeerError. Otherwise the master agrees at once, if no worker is lost.
//
// Once it has agreed, and until this task ends, the loss of one of the workers breaks it, where the group can (link.Breaker) and it is made;
// else that is the end of everything, as nobody could wake the tasks that wait for it.
func (p *Peers) Native(ctx context.Context, number uint64, ranks []int) (any, error) {
	ep, ok := p.s.ep.(link.Native)
	if !ok {
		return nil, ErrNotNative
	}
	slots := p.slots(ranks)
	if err := p.s.crowded(slots); err != nil {
		return nil, err
	}
	n, err := p.turn(ctx, number)
	if err != nil {
		return nil, err
	}
	defer func() { <-n.turn }()
	if n.serial > 0 {
		return n.made, n.err
	}
	serial, err := p.consent(ctx, number, slots)
	if err != nil {
		return nil, err
	}
	defer p.s.send(kindMade, serial)
	if serial == 0 {
		return ep.Native(0, slots)
	}
	p.s.mu.Lock()
	n.serial = serial
	ended := p.ended
	p.s.mu.Unlock()
	n.made, n.err = ep.Native(serial, slots) // also if the task has ended: the others wait for that
	if ended {
		ep.FreeNative(serial, false)
		return nil, ErrNoPeers
	}
	return n.made, n.err
}

// slots are those of ranks, or of all.
func (p *Peers) slots(ranks []int) (slots []int) {
	if ranks == nil {
		for rank := range p.Size {
			slots = append(slots, p.slot(rank))
		}
	}
	for _, rank := range ranks {
		slots = append(slots, p.slot(rank))
	}
	return slots
}

// crowded says why what these slots want cannot be, if several of them are of one process.
func (s *server) crowded(slots []int) error {
	s.mu.Lock()
	n := s.inProcess
	s.mu.Unlock()
	if n < 2 {
		return nil
	}
	processes := map[int]bool{}
	for _, slot := range slots {
		if processes[slot/n] {
			return fmt.Errorf("each rank runs %d of these tasks (WithSlots), and a communicator of MPI can have one member of a rank: use an "+
				"executor with one slot in each, or the operations of package comm, which go by way of the master", n)
		}
		processes[slot/n] = true
	}
	return nil
}

// turn waits until no other goroutine of the task is at it.
func (p *Peers) turn(ctx context.Context, number uint64) (*native, error) {
	p.s.mu.Lock()
	n := p.natives[number]
	if n == nil {
		if p.natives == nil {
			p.natives = map[uint64]*native{}
		}
		n = &native{turn: make(chan struct{}, 1)}
		p.natives[number] = n
	}
	p.s.mu.Unlock()
	select {
	case n.turn <- struct{}{}:
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	case <-p.s.done:
		return nil, ErrNoPeers
	}
	p.s.mu.Lock()
	ended := p.ended
	p.s.mu.Unlock()
	if ended {
		<-n.turn
		return nil, ErrNoPeers
	}
	return n, nil
}

// grant is what the master answers.
type grant struct {
	serial  uint64
	missing int    // the slot that takes no part, or -1
	why     string // it does not, or the master does not agree; empty: it agrees, or that task has returned
}

// consent asks the master whether what these slots have in common may be used, and returns its serial.
func (p *Peers) consent(ctx context.Context, number uint64, slots []int) (serial uint64, err error) {
	s := p.s
	answer := make(chan grant, 1)
	s.mu.Lock()
	s.mail.asks++
	ask := s.mail.asks
	if s.mail.answers == nil {
		s.mail.answers = map[uint64]chan grant{}
	}
	s.mail.answers[ask] = answer
	s.mu.Unlock()
	defer func() {
		s.mu.Lock()
		delete(s.mail.answers, ask)
		s.mu.Unlock()
	}()
	b := binary.AppendUvarint(askFrame(ask, p.seq), number)
	if number > 0 {
		b = appendSlots(b, slots)
	}
	s.transmit(link.Frame{Stream: b})
	ended := ctx.Done()
	for {
		select {
		case g := <-answer:
			return p.granted(ctx, g, slots)
		case <-ended:
			if number == 0 && (p.gang == 0 || p.Size == s.size) { // the master agrees at once, if at all
				return 0, context.Cause(ctx)
			}
			s.send(kindRetract, ask) // it answers, unless it has: if all have asked, they make it
			ended = nil
		case <-s.done:
			return 0, ErrNoPeers
		}
	}
}

func askFrame(ask, unit uint64) []byte { return binary.AppendUvarint(number(kindDirect, ask), unit) }

// granted is what follows from the master's answer.
func (p *Peers) granted(ctx context.Context, g grant, slots []int) (serial uint64, err error) {
	switch {
	case g.missing < 0 && g.why == "":
	case ctx.Err() != nil:
		return 0, context.Cause(ctx)
	case g.missing < 0:
		return 0, errors.New(g.why)
	default:
		return 0, &PeerError{Worker: g.missing, Rank: slices.Index(slots, g.missing), Reason: g.why}
	}
	p.s.mu.Lock()
	breaking := p.s.breaking // it is of an earlier task's
	p.s.mu.Unlock()
	if breaking != nil {
		<-breaking
	}
	return g.serial, nil
}

// grantFrame takes the master's answer.
func (s *server) grantFrame(r *reader) {
	ask := r.uint()
	g := grant{serial: r.uint(), missing: int(r.uint()) - 1, why: string(r.b)}
	s.mu.Lock()
	defer s.mu.Unlock()
	if answer := s.mail.answers[ask]; answer != nil { // else nobody waits for it any more
		delete(s.mail.answers, ask)
		answer <- g
	}
}

// breakDirect has the tasks that use what workers have in common get an error from it.
func (s *server) breakDirect(r *reader) {
	ep, ok := s.ep.(link.Native)
	if !ok {
		return
	}
	serial := r.uint()
	done := make(chan struct{})
	s.mu.Lock()
	before := s.breaking
	s.breaking = done
	s.mu.Unlock()
	go func() {
		defer close(done)
		ep.BreakNative(serial)
		if before != nil {
			<-before
		}
	}()
}

// freeNatives ends what the task that ends has had in common with others, but for that of all workers, which is kept. A task that has failed, or whose
// context has ended, may not have received all that was sent to it.
func (s *server) freeNatives(received bool) {
	s.mu.Lock()
	var serials []uint64
	if p := s.peers; p != nil {
		p.ended = true
		for _, n := range p.natives {
			if n.serial > 0 {
				serials = append(serials, n.serial)
			}
		}
	}
	s.mu.Unlock()
	for _, serial := range serials {
		s.ep.(link.Native).FreeNative(serial, received)
	}
}
