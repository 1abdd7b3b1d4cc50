package dispatch

import (
	"cmp"
	"slices"
	"sync"
	"time"
)

// Lease is what the workers share that are in one process and work for several masters: one of them runs tasks at a time, batch by
// batch. It goes to the one that has had it for the shortest time, as flows take turns within a master. One that comes to it begins at the
// time of the one that has it, or had it last. One that has had more than that need not wait for as long as it was away.
type Lease struct {
	mu    sync.Mutex
	seats int           // that there have been
	last  *seat         // has it, or had it last
	held  bool          // last has it
	kept  *time.Timer   // nobody has it, and it is kept for last, or another that is behind, until this ends; nil: it is not kept
	keeps time.Duration // how long this takes
	turns int           // how often it was granted or kept: a timer that ends late is not to end what came after it
	waits []*seat       // in the order in which they came
}

// seat is one worker's part of a Lease.
type seat struct {
	lease *Lease
	time  time.Duration // virtual: how long it has had the lease, and keptPart times as long as it was kept for it
	since time.Time     // it has it, or it is kept for it; zero while there is no other seat
	left  time.Time     // when it gave it back; zero as with since
	turn  chan struct{} // closed when it gets it
}

// Of a worker that has had less than another one the next batch is mostly there at once when it gives the lease back. So that is
// kept for it meanwhile. Nobody runs then, so it is charged keptPart times that long: however often one comes that has little to
// run, the others lose a tenth of their time at most.
const (
	keptPart = 10
	mostKept = time.Millisecond
)

// Seat returns the part of another worker.
func (l *Lease) Seat() sync.Locker {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.seats++
	return &seat{lease: l}
}

// Lock blocks until the seat has the lease. Others give it back in the end: their tasks end, or their workers do.
func (s *seat) Lock() {
	l := s.lease
	l.mu.Lock()
	if l.last != nil && l.last != s {
		if !s.left.IsZero() {
			s.time -= time.Since(s.left)
		}
		s.time = max(s.time, l.last.present())
	}
	if l.kept != nil && (s == l.last || s.time < l.next().time) {
		l.unkeep()
		s.time = max(s.time, l.last.time)
	}
	if !l.held && l.kept == nil {
		l.grant(s)
		l.mu.Unlock()
		return
	}
	turn := make(chan struct{})
	s.turn = turn
	l.waits = append(l.waits, s)
	l.mu.Unlock()
	<-turn
}

// Unlock gives the lease back: to the one that has had the least of those that wait, unless it is kept for this one, which has had less.
func (s *seat) Unlock() {
	l := s.lease
	l.mu.Lock()
	defer l.mu.Unlock()
	if !s.since.IsZero() {
		s.left = time.Now()
		s.time += s.left.Sub(s.since)
	}
	l.held = false
	next := l.next()
	if next == nil {
		return
	}
	if d := min((next.time-s.time)/keptPart, mostKept); d > 0 {
		l.keep(s, d)
		return
	}
	l.pass(next)
}

// present is the virtual time of a seat now. The lease's lock is held.
func (s *seat) present() time.Duration {
	if !s.lease.held || s.lease.last != s || s.since.IsZero() {
		return s.time
	}
	return s.time + time.Since(s.since)
}

// next is the one that has had the least of those that wait; nil: none waits.
func (l *Lease) next() *seat {
	if len(l.waits) == 0 {
		return nil
	}
	return slices.MinFunc(l.waits, func(a, b *seat) int { return cmp.Compare(a.time, b.time) }) // the first of several
}

// grant gives the lease to a seat that does not wait.
func (l *Lease) grant(s *seat) {
	l.turns++
	l.last, l.held = s, true
	if s.since = (time.Time{}); l.seats > 1 {
		s.since = time.Now()
	}
}

// pass gives the lease to a seat that waits.
func (l *Lease) pass(s *seat) {
	l.waits = slices.DeleteFunc(l.waits, func(w *seat) bool { return w == s })
	l.grant(s)
	close(s.turn)
}

// keep has those that wait do so for a while longer, for s to come again.
func (l *Lease) keep(s *seat, d time.Duration) {
	l.turns++
	s.since, l.keeps = time.Now(), d
	turn := l.turns
	l.kept = time.AfterFunc(d, func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		if l.turns == turn && l.kept != nil {
			l.unkeep()
			l.pass(l.next())
		}
	})
}

// unkeep ends that, and charges the seat. A timer that is late is not its fault.
func (l *Lease) unkeep() {
	l.kept.Stop()
	l.kept = nil
	l.last.time += keptPart * min(time.Since(l.last.since), l.keeps)
}
