package dispatch

import (
	"slices"
	"sync"
	"time"
)

// Lease is what the workers share that are in one process and work for several masters: one of them runs tasks at a time, batch by
// batch. It goes to the one that has had it for the shortest time, as flows take turns within a master. One that comes to it begins at the
// time of the one that has it.
type Lease struct {
	mu     sync.Mutex
	seats  int           // that there have been
	holder *seat         // nil: nobody has it
	kept   *seat         // for this one it is kept, which has just given it back
	passed int           // counts
	waits  []*seat       // in the order in which they came
	now    time.Duration // virtual: that of the last holder, when it got it
}

// seat is one worker's part of a Lease.
type seat struct {
	lease *Lease
	time  time.Duration // virtual: how long it has had the lease
	since time.Time     // it has it; zero while there is no other seat
	turn  chan struct{} // closed when it gets it
}

// Of a worker that has had less than another one the next batch is mostly there at once when it gives the lease back. So that is
// kept for it, but for a small part of the time that it is behind, so that little is lost if nothing comes.
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
	s.time = max(s.time, l.present())
	if l.holder == nil && (l.kept == nil || l.kept == s) {
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

// Unlock gives the lease back.
func (s *seat) Unlock() {
	l := s.lease
	l.mu.Lock()
	defer l.mu.Unlock()
	s.time = max(s.time, l.present())
	l.holder = nil
	l.pass(s)
}

// present is the virtual time of the holder now.
func (l *Lease) present() time.Duration {
	if l.holder == nil || l.holder.since.IsZero() {
		return l.now
	}
	return max(l.now, l.holder.time+time.Since(l.holder.since))
}

func (l *Lease) grant(s *seat) {
	l.holder, l.kept = s, nil
	l.now = max(l.now, s.time)
	if s.since = (time.Time{}); l.seats > 1 {
		s.since = time.Now()
	}
}

// pass passes the lease on: to the one that has had the least of those that wait, unless it is kept for from, which has had less.
func (l *Lease) pass(from *seat) {
	l.passed++
	l.kept = nil
	if len(l.waits) == 0 {
		return
	}
	least := l.waits[0]
	for _, s := range l.waits {
		if s.time < least.time {
			least = s
		}
	}
	if from != nil && (least.time-from.time)/keptPart > 0 {
		l.kept = from
		number := l.passed
		time.AfterFunc(min((least.time-from.time)/keptPart, mostKept), func() {
			l.mu.Lock()
			defer l.mu.Unlock()
			if l.holder == nil && l.passed == number {
				l.pass(nil)
			}
		})
		return
	}
	l.waits = slices.DeleteFunc(l.waits, func(s *seat) bool { return s == least })
	l.grant(least)
	close(least.turn)
}
