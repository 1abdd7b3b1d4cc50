package dispatch

import (
	"errors"

	"github.com/rankpool/rankpool/internal/link"
)

// protocol is what a worker has to remember of the tasks it is sent, and every decision about them: which goroutine
// receives, whether a frame of tasks runs, waits, goes back or is dropped, and where a batch ends. docs/wire.md has it as a
// table.
//
// It is a value without goroutines, locks or clocks. The server calls it under its lock; the model test calls it in every
// order that is possible.
//
// At most one hand-back is under way: one is made only on behalf of a frame or of a batch of the present epoch, which proves
// that the master has seen those before. And each covers a unit that the master has had no answer for. So a worker that the
// master takes for idle owes it no hand-back, and what comes to it then is neither dropped nor handed back.
type protocol struct {
	isSetUp bool
	epoch   uint64 // hand-backs made
	known   uint64 // the last number that has come

	receiving bool // a goroutine receives
	running   bool // a goroutine runs a batch, or the set-up
	closing   bool // what runs has ended but for its last message, so the master may know before the runner has let go

	first, last uint64 // of the batch that runs: what of it may run; 0 in the set-up
	halted      bool   // the batch was told to end with the unit that ran then
}

// arrival is a frame of tasks that a worker has received.
type arrival struct {
	first, units uint64
	epoch        uint64
	idle         bool // when it was sent, every unit before it had been answered or handed back
}

// verdict is what becomes of a frame of tasks.
type verdict int

const (
	toRun    verdict = iota // by the goroutine that received it, which receives no longer
	toWait                  // until ended, and then to be admitted again
	toReturn                // all units from a number on are handed back
	toDrop                  // it was handed back before it came
	toRefuse                // no master that is in its right mind sends it
)

// admit decides about a frame of tasks. With toReturn, from is the number for the master.
func (p *protocol) admit(f arrival, j *link.Journal) (v verdict, from uint64) {
	if !p.isSetUp || f.units == 0 || f.first <= p.known || f.epoch > p.epoch {
		return toRefuse, 0
	}
	if f.epoch == p.epoch && p.running && (p.closing || f.idle) { // it is a moment until what runs has let go
		return toWait, 0
	}
	p.known = f.first + f.units - 1
	switch {
	case f.epoch < p.epoch:
		return toDrop, 0
	case p.running:
		if from = p.halt(p.first, j); from == 0 { // else that covers the frame
			p.epoch++
			from = f.first
		}
		return toReturn, from
	}
	p.begin(f.first, p.known)
	j.Finished(f.first-1, 0) // from here on the mark says which unit of the batch runs; what told the last one to halt is over
	return toRun, 0
}

// setUp begins the set-up, which comes once, before all tasks.
func (p *protocol) setUp() (ok bool) {
	if p.isSetUp || p.running {
		return false
	}
	p.begin(0, 0)
	return true
}

func (p *protocol) begin(first, last uint64) {
	p.running, p.closing, p.receiving, p.halted = true, false, false, false
	p.first, p.last = first, last
}

// relieve says whether another goroutine has to begin to receive, because the one that did runs.
func (p *protocol) relieve() bool {
	if !p.running || p.receiving {
		return false
	}
	p.receiving = true
	return true
}

// halt has the batch that begins with unit first, if that is the one that runs, end with the unit that runs now. The units
// from the number that it returns on are handed back; 0 says that there are none.
func (p *protocol) halt(first uint64, j *link.Journal) (from uint64) {
	if !p.running || p.first == 0 || p.first != first || p.halted {
		return 0
	}
	p.halted = true
	next := j.Halt() + 2 // the one after that which has finished runs
	if next > p.last {
		return 0
	}
	p.last = next - 1
	p.epoch++
	return next
}

// close says that nothing of what runs is left but to send its last message.
func (p *protocol) close() {
	p.closing = true
	p.isSetUp = true
}

// ended says that nothing runs any more. Whoever ran receives now, unless another does.
func (p *protocol) ended() (lead bool) {
	lead = !p.receiving
	p.running, p.closing, p.receiving = false, false, true
	p.first, p.last = 0, 0
	return lead
}

var errOrder = errors.New("dispatch: tasks from the master that are out of order")
