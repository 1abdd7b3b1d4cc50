package dispatch

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/rankpool/rankpool/internal/link"
)

// ErrNotNative is the error of Native where the workers have nothing in common but the master.
var ErrNotNative = errors.New("dispatch: these workers have nothing in common but the master")

// Native returns what the workers have in common beside the master, see link.Native. The tasks on all workers call it, and
// it blocks until they do, or until ctx ends before the master has agreed. From then on until this task ends the loss of
// another worker breaks it, where the group can (link.Breaker) and it is made; else it is the end of everything, as nobody could wake the
// tasks that wait for it.
func (p *Peers) Native(ctx context.Context) (any, error) {
	ep, ok := p.s.ep.(link.Native)
	if !ok {
		return nil, ErrNotNative
	}
	s := p.s
	s.mu.Lock()
	if n := s.inProcess; n > 1 {
		s.mu.Unlock()
		return nil, fmt.Errorf("each rank runs %d of these tasks (WithSlots), and a communicator of MPI can have one member of a rank: use an "+
			"executor with one slot in each, or the operations of package comm, which go by way of the master", n)
	}
	s.mail.grants++
	s.mail.grant = nil
	ask := s.mail.grants
	s.mu.Unlock()
	s.send(kindDirect, ask)
	for {
		s.mu.Lock()
		answer := s.mail.grant
		if s.mail.changed == nil {
			s.mail.changed = make(chan struct{})
		}
		changed := s.mail.changed
		s.mu.Unlock()
		switch {
		case answer == nil:
		case *answer != "":
			return nil, errors.New(*answer)
		default:
			s.mu.Lock()
			breaking := s.breaking // it is of an earlier task's
			s.mu.Unlock()
			if breaking != nil {
				<-breaking
			}
			made, err := ep.Native(p.members.absent(s.size))
			s.send(kindMade)
			return made, err
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		case <-s.done:
			return nil, ErrNoPeers
		}
	}
}

// grantFrame takes the master's answer.
func (s *server) grantFrame(r *reader) {
	ask := r.uint()
	answer := string(r.b)
	s.mu.Lock()
	defer s.mu.Unlock()
	if ask == s.mail.grants { // else nobody waits for it any more
		s.mail.grant = &answer
		s.mail.notify()
	}
}

// breakDirect has the task that uses what the workers have in common get an error from it.
func (s *server) breakDirect() {
	ep, ok := s.ep.(link.Native)
	if !ok {
		return
	}
	done := make(chan struct{})
	s.mu.Lock()
	before := s.breaking
	s.breaking = done
	s.mu.Unlock()
	go func() {
		defer close(done)
		ep.BreakNative()
		if before != nil {
			<-before
		}
	}()
}

// grant answers a worker whose task wants to talk to the others directly: not when one of them is missing already.
func (m *Master) grant(w *worker, ask uint64) {
	if w.next() == nil { // its task has ended
		return
	}
	why := m.whyNot(w)
	w.direct = why == "" && w.talks
	m.send(w, append(number(kindGrant, ask), why...))
}

// whyNot says why a worker's task may not talk to the others directly; empty if it may.
func (m *Master) whyNot(w *worker) (why string) {
	for _, v := range m.workers {
		switch {
		case w.gang != nil && w.gang.members.rank(v.slot) < 0:
			if !v.givenUp() {
				why = fmt.Sprintf("MPI's communicator is made of all workers, and this gang has %d of them: use the operations of package comm in it",
					w.gang.members.size())
			}
		case v.state != idle && v.state != busy:
			why = fmt.Sprintf("worker %d was lost, and all of them would have to take part", v.slot)
		}
	}
	return why
}

// breakNative wakes the tasks that may wait in MPI for a lost worker, of which the master sees nothing. Where that is impossible
// it calls Stuck: a communicator that is not made yet cannot be revoked, and Open MPI 5 never ends MPI_Comm_create_group when one of its ranks is lost.
func (m *Master) breakNative(lost *worker, cause error) {
	if m.talking == 0 { // a worker that is direct talks
		return
	}
	if slices.ContainsFunc(m.workers, func(w *worker) bool { return w.direct && (!m.breaks || !w.made) }) {
		if m.cfg.Stuck != nil {
			go m.cfg.Stuck(fmt.Errorf("worker %d (process %d on %s) was lost while tasks on other workers talk to it by MPI, which "+
				"would wait without end: %w", lost.slot, lost.hello.Pid, lost.hello.Host, cause))
		}
		return
	}
	for _, w := range m.workers {
		if w.direct {
			m.send(w, append(link.GetBuffer(), kindBreak))
		}
	}
}
