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
// another worker breaks it, where the group can (link.Breaker); else it is the end of everything, as nobody could wake those who wait for it.
func (p *Peers) Native(ctx context.Context) (any, error) {
	ep, ok := p.s.ep.(link.Native)
	if !ok {
		return nil, ErrNotNative
	}
	s := p.s
	s.mu.Lock()
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
			s.breaks.Wait() // they are of an earlier task's
			return ep.Native(p.absent)
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

// breakDirect has the task that uses what the workers have in common get an error from it. It may have to wait until that is made.
func (s *server) breakDirect() {
	if ep, ok := s.ep.(link.Native); ok {
		s.breaks.Go(ep.BreakNative)
	}
}

// grant answers a worker whose task wants to talk to the others directly: not when one of them is missing already.
func (m *Master) grant(w *worker, ask uint64) {
	if w.next() == nil { // its task has ended
		return
	}
	why := ""
	for _, v := range m.workers {
		if v.state != idle && v.state != busy && !(w.next().job.more().Gang && slices.Contains(m.gang.absent, v.slot)) {
			why = fmt.Sprintf("worker %d was lost, and all of them would have to take part", v.slot)
		}
	}
	w.direct = why == "" && w.talks
	m.send(w, append(number(kindGrant, ask), why...))
}

// doom wakes the tasks of others that may wait for a lost worker by means that the master knows nothing of. Where that is impossible
// it gives up.
func (m *Master) doom(lost *worker, cause error) {
	for _, w := range m.workers {
		switch {
		case !w.direct:
		case m.breaks:
			m.send(w, append(link.GetBuffer(), kindBreak))
		case m.cfg.Doomed != nil:
			go m.cfg.Doomed(fmt.Errorf("worker %d (process %d on %s) was lost while tasks on other workers talk to it by MPI, which "+
				"would wait without end: %w", lost.slot, lost.hello.Pid, lost.hello.Host, cause))
			return
		}
	}
}
