package dispatch

import (
	"context"
	"fmt"
	"slices"

	"github.com/rankpool/rankpool/internal/remote"
)

// Want says which letters are waited for.
type Want struct {
	Comm   uint64
	Source int   // a rank, or -1: any
	Among  []int // the ranks that any means; nil: all
	Fits   func(tag uint64) bool

	// Also fits a letter from anybody, unless it is nil.
	Also func(tag uint64) bool
}

// Receive is a wait for a letter. Those of one task take letters in the order in which they were begun.
type Receive struct {
	p    *Peers
	want Want
	look bool // the letter stays where it is

	done   chan struct{}
	letter Letter // this and the next before done is closed
	err    error
}

var errReturned = fmt.Errorf("the task that had this communicator has returned: %w", ErrNoPeers)

// Receive begins to wait for the first letter that is wanted. It does not block. The wait ends when there is one, when none can come
// any more (a *PeerError), and with the task.
func (p *Peers) Receive(w Want) *Receive { return p.begin(w, false) }

// Look is Receive that leaves the letter where it is.
func (p *Peers) Look(w Want) *Receive { return p.begin(w, true) }

func (p *Peers) begin(w Want, look bool) *Receive {
	r := &Receive{p: p, want: w, look: look, done: make(chan struct{})}
	if w.Source >= 0 {
		r.want.Source = p.slot(w.Source)
	}
	s := p.s
	s.mu.Lock()
	defer s.mu.Unlock()
	if p.seq != s.cancelSeq || s.base.Err() != nil {
		r.settle(Letter{}, errReturned)
		return r
	}
	if i := s.mail.find(r); i >= 0 {
		l := s.mail.letters[i]
		if !look {
			s.mail.letters = slices.Delete(s.mail.letters, i, i+1)
		}
		r.settle(l, nil)
	} else if err := r.hopeless(); err != nil {
		r.settle(Letter{}, err)
	} else {
		s.mail.waiting = append(s.mail.waiting, r)
	}
	return r
}

// Done is closed when the wait is over.
func (r *Receive) Done() <-chan struct{} { return r.done }

// Letter returns what came of the wait once it is over.
func (r *Receive) Letter() (Letter, error) {
	<-r.done
	return r.letter, r.err
}

// Cancel ends the wait with an error, and returns false if it was over.
func (r *Receive) Cancel(err error) bool {
	s := r.p.s
	s.mu.Lock()
	defer s.mu.Unlock()
	i := slices.Index(s.mail.waiting, r)
	if i < 0 {
		return false
	}
	s.mail.waiting = slices.Delete(s.mail.waiting, i, i+1)
	r.settle(Letter{}, err)
	return true
}

// Wait blocks until the wait is over, or until ctx ends, which cancels it.
func (r *Receive) Wait(ctx context.Context) (Letter, error) {
	select {
	case <-r.done: // what is there counts, whatever ctx says
	default:
		select {
		case <-r.done:
		case <-ctx.Done():
			r.Cancel(context.Cause(ctx))
		}
	}
	return r.Letter()
}

// settle ends the wait. The server's lock is held.
func (r *Receive) settle(l Letter, err error) {
	if err == nil {
		if !r.look {
			r.p.heard[l.Source] = max(r.p.heard[l.Source], l.unit)
		}
		l.Source = r.p.rank(l.Source)
	}
	r.letter, r.err = l, err
	close(r.done)
}

func (r *Receive) takes(l *Letter) bool {
	w := &r.want
	if l.gang != r.p.gang || l.Comm != w.Comm {
		return false
	}
	return (w.Source == -1 || l.Source == w.Source) && w.Fits(l.Tag) || w.Also != nil && w.Also(l.Tag)
}

// hopeless says why the wait will never end, or nil. The server's lock is held.
func (r *Receive) hopeless() error {
	p, b := r.p, &r.p.s.mail
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
		if e.Reason != "" || e.Worker == r.want.Source {
			return remote.Outward(p.ranked(e))
		}
	}
	if r.want.Source >= 0 {
		return nil
	}
	last := (*PeerError)(nil) // of those who might send one; the task itself does not count
	for i := range p.Size {
		if i == p.Rank || r.want.Among != nil && !slices.Contains(r.want.Among, i) {
			continue
		}
		if last = b.out[p.slot(i)]; last == nil {
			return nil
		}
	}
	if last == nil {
		return nil
	}
	return remote.Outward(p.ranked(last))
}
