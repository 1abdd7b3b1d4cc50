package simlink

import (
	"time"

	"github.com/rankpool/rankpool/internal/link"
)

// Port is what a Worker has of its group. Its methods are called by the worker alone, while the group calls it.
type Port struct {
	g      *Group
	worker Worker
	slot   int32
	life   uint32 // how many workers the slot has had
	state  state
	wake   uint32        // number of the last WakeAt
	now    time.Duration // of the worker
	down   time.Duration // when the last frame to the worker is there
	up     time.Duration // when the last frame to the master is there
}

// state is that of a slot.
type state uint8

const (
	vacant  state = iota
	coming        // started, and not there yet
	running       // a worker is there
	lost          // the master does not know yet
)

// Slot is the number of the slot.
func (p *Port) Slot() int { return int(p.slot) }

// Now is the virtual time.
func (p *Port) Now() time.Duration { return p.now }

// Send puts a frame on its way to the master.
func (p *Port) Send(f link.Frame) {
	g := p.g
	if p.state != running {
		return
	}
	p.up = g.way(p.now, p.up, size(f))
	g.master.put(event{at: p.up, number: g.number(), slot: p.slot, life: p.life, what: frame, parcel: g.parcels.put(parcel{frame: packed(f)})})
}

// WakeAt has Wake called at a time, and not at the one that was asked for before.
func (p *Port) WakeAt(at time.Duration) {
	p.wake++
	p.g.workers.put(event{at: max(at, p.now), number: p.g.number(), slot: p.slot, life: p.life, what: wake, parcel: int32(p.wake)})
}

// Close ends the worker. The error is nil if it leaves on purpose.
func (p *Port) Close(err error) {
	if p.state == running {
		p.over(link.Loss{Err: err, Proof: true})
	}
}

// over ends the worker, and lets the master know.
func (p *Port) over(l link.Loss) {
	p.state, p.worker = lost, nil
	p.g.report(p, p.now, l)
}

// atWorker does what happens at a worker. The lock is held.
func (g *Group) atWorker(e event) {
	p := &g.slots[e.slot]
	if p.life != e.life || p.state == lost || p.state == vacant || e.what == wake && uint32(e.parcel) != p.wake {
		if e.what == frame || e.what == end {
			g.parcels.take(e.parcel)
		}
		return
	}
	p.now = e.at
	switch e.what {
	case begin:
		g.trace(e.at, int(e.slot), false, link.Frame{})
		p.state = running
		p.worker = g.cfg.Worker(p)
		p.worker.Begin()
	case frame:
		f := g.parcels.take(e.parcel).frame
		g.trace(e.at, int(e.slot), false, f)
		p.worker.Receive(f)
	case wake:
		p.worker.Wake()
	case finish:
		p.worker.Finish()
	case end:
		l := link.Loss{Proof: true}
		if p.state == running {
			l = p.worker.Lose()
		}
		l.Err = g.parcels.take(e.parcel).loss.Err
		p.over(l)
	}
}
