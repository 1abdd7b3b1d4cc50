package dispatch

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/rankpool/rankpool/internal/link"
)

// span is n units from number first on.
type span struct{ first, n uint64 }

// has tells whether a unit is one of them.
func (u span) has(seq uint64) bool { return seq >= u.first && seq-u.first < u.n }

// work is a batch of units being run.
type work struct {
	first   uint64
	units   uint64
	idle    bool // the master took this worker for idle
	chunks  bool // some units have several elements
	r       reader
	buffers segments
	segs    [][]byte   // of the unit that was read last, in a run with segments
	sample  uint64     // what they were when it was submitted
	local   []localRun // what is left of runs
	runs    *localRuns // nil: nothing comes by reference
	stream  []byte

	head    run // the run that the next unit belongs to
	left    int // units of it that have not begun
	body    Body
	usesCtx bool // the function uses its context

	generation uint64          // that its units need
	shared     any             // the values of that, where they are shared
	tasks      context.Context // of its units
	undressed  error           // why they have none: the values of that cannot be had

	seq    uint64    // the unit that runs, or has ended last
	size   int       // its elements
	over   int       // of these, those that an entry tells of
	again  bool      // it goes on after an element that failed
	failed bool      // an element has failed since the call of the task began
	until  time.Time // the end of its time, if it has one
	stop   bool      // the units after seq were given back
	begun  time.Time // since when the time of the units is counted
	marked time.Time // when it was last that what is started was marked as another unit's

	cancelled []span      // units whose contexts are to end when they are made; under the server's lock
	recalled  atomic.Bool // there are any
}

// newWork counts the units of a frame of tasks.
func newWork(first uint64, f link.Frame, r *reader) *work {
	w := &work{first: first, seq: first - 1, r: *r, stream: f.Stream, buffers: segments{all: f.Segments}}
	if w.runs, _ = f.Local.(*localRuns); w.runs != nil {
		w.local = w.runs.list
	}
	scan := *r
	for len(scan.b) > 0 {
		h := scan.run()
		w.idle = w.idle || h.flags&runIdle != 0
		w.chunks = w.chunks || h.flags&runChunks != 0
		w.units += uint64(h.units)
		if h.flags&runLocal == 0 {
			scan.units(int(h.units), h.flags&runBuffers != 0)
		}
	}
	r.err = scan.err
	return w
}
