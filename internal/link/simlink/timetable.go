package simlink

import (
	"time"

	"github.com/rankpool/rankpool/internal/link"
)

// event is something that will happen. It is small, for there are hundreds of thousands in order.
type event struct {
	at     time.Duration
	number uint64 // the order of those at the same time
	slot   int32
	life   uint32 // of the slot: what is of an earlier one does not happen
	parcel int32  // where what it brings is; of a wake its number
	what   what
}

type what uint8

const (
	begin  what = iota // a worker begins
	frame              // a frame is there
	wake               // the time has come that a worker has asked for
	finish             // the master is gone
	end                // a worker is ended; at the master: was lost
)

// timetable is events in their order: a heap in which each has up to four below it.
type timetable struct{ all []event }

const below = 4

func (t *timetable) first() (at time.Duration, ok bool) {
	if len(t.all) == 0 {
		return 0, false
	}
	return t.all[0].at, true
}

func (e *event) before(o *event) bool { return e.at < o.at || e.at == o.at && e.number < o.number }

func (t *timetable) put(e event) {
	t.all = append(t.all, e)
	i := len(t.all) - 1
	for i > 0 {
		up := (i - 1) / below
		if !e.before(&t.all[up]) {
			break
		}
		t.all[i] = t.all[up]
		i = up
	}
	t.all[i] = e
}

func (t *timetable) take() event {
	top := t.all[0]
	n := len(t.all) - 1
	e := t.all[n]
	t.all = t.all[:n]
	if n == 0 {
		return top
	}
	i := 0
	for {
		child := i*below + 1
		if child >= n {
			break
		}
		least := child
		for c := child + 1; c < min(child+below, n); c++ {
			if t.all[c].before(&t.all[least]) {
				least = c
			}
		}
		if !t.all[least].before(&e) {
			break
		}
		t.all[i] = t.all[least]
		i = least
	}
	t.all[i] = e
	return top
}

// parcel is what an event brings.
type parcel struct {
	frame link.Frame
	loss  *link.Loss // of an event at the master, and of a worker's end the cause
}

// parcels are those on their way. Their places are used again.
type parcels struct {
	all  []parcel
	free []int32
}

func (p *parcels) put(c parcel) int32 {
	if n := len(p.free); n > 0 {
		i := p.free[n-1]
		p.free = p.free[:n-1]
		p.all[i] = c
		return i
	}
	p.all = append(p.all, c)
	return int32(len(p.all) - 1)
}

func (p *parcels) take(i int32) parcel {
	c := p.all[i]
	p.all[i] = parcel{}
	p.free = append(p.free, i)
	return c
}
