package dispatch

import (
	"context"
	"slices"

	"github.com/rankpool/rankpool/internal/link"
)

// Local runs units in this process. It keeps each unit's outcome until the Sink is told to publish it.
type Local interface {
	// Run runs u.Unit and, as long as u.Next says so, those that follow. It stops at the first that fails and returns
	// false. A panic and runtime.Goexit may pass through.
	Run(ctx context.Context, u *Units) (ok bool)

	// Failed notes the error of a unit that did not return. It tells whether elements of the unit are left: then Run is called
	// again for them.
	Failed(unit int, err error) (more bool)

	// Failures calls f for each failure of a unit that is known so far, with the element of the unit that is the first to have failed so.
	Failures(unit int, f func(element int, err error))

	// NeedsContext says whether Run uses its context: then units come one by one.
	NeedsContext() bool
}

// Units is where a Local stands in the units that it is to run.
type Units struct {
	Unit int // the one to run

	first   int // where it began
	end     int // the unit after the last
	seq     uint64
	size    int // of the results before Unit
	halted  bool
	journal *link.Journal
}

// Next ends a unit that has succeeded. False says that no other may begin here.
func (u *Units) Next() bool {
	u.size++
	u.Unit++
	if u.journal.Finished(u.seq, u.size) {
		u.halted = true
		return false
	}
	u.seq++
	return u.Unit < u.end && !u.journal.Recalled(u.seq)
}

// localUnits runs units of one job by reference, one at least.
func (s *server) localUnits(w *work) {
	o, l := &s.out, &w.local[0]
	sink := l.job.Sink.(Local)
	if w.again {
		s.runLocal(w, sink, &o.units)
		return
	}
	if !sink.NeedsContext() && w.head.timeout == 0 {
		s.runLocal(w, sink, o.beginLocal(w, sink, l.first, l.n))
		return
	}
	s.runLocal(w, sink, o.beginLocal(w, sink, l.first, 1))
}

// runLocal runs units of a Local, with a context of their own if they need one.
func (s *server) runLocal(w *work, sink Local, u *Units) {
	ok := false
	if !sink.NeedsContext() && w.head.timeout == 0 {
		w.again = false
		ok = sink.Run(w.tasks, u)
	} else {
		_ = s.callWithContext(w, func(ctx context.Context) error {
			w.again = false
			ok = sink.Run(ctx, u)
			return nil
		})
	}
	if ok {
		s.out.endLocal(w, false)
	} else {
		s.failed(w, nil)
	}
}

// beginLocal begins with up to n units of a Local. The entry of one that succeeds is a zero, so they are written before: to
// end a unit takes no more than a mark.
func (o *outbox) beginLocal(w *work, l Local, first, n int) *Units {
	if len(o.enc.Stream) >= o.full {
		if o.flush() {
			o.halted = true
		}
		o.open(w.seq + 1)
	}
	at := len(o.enc.Stream)
	if n = max(1, min(n, o.full-at)); o.halted {
		n = 1
	}
	w.seq++
	o.enc.Stream = slices.Grow(o.enc.Stream, n)[:at+n]
	clear(o.enc.Stream[at:])
	o.local = l
	o.units = Units{Unit: first, first: first, end: first + n, seq: w.seq, size: at, journal: o.s.journal}
	return &o.units
}

// endLocal takes in what a Local has run. If its last unit has failed, the entry of that is begun.
func (o *outbox) endLocal(w *work, failed bool) {
	u, l := &o.units, &w.local[0]
	done := u.Unit - u.first
	o.local = nil
	o.start, o.room = u.size, 1
	o.enc.Stream = o.enc.Stream[:u.size]
	w.seq += uint64(done)
	if failed {
		o.enc.Stream = append(o.enc.Stream, 0)
		done++
	} else {
		w.seq--
		o.seq = w.seq
		w.stop = u.halted || o.halted
	}
	l.first, l.n, w.left = l.first+done, l.n-done, w.left-done
	if l.n == 0 {
		w.local = w.local[1:]
	}
}
