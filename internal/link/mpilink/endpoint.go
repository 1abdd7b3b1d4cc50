package mpilink

import (
	"fmt"
	"io"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"unsafe"

	"github.com/rankpool/rankpool/internal/link"
	"github.com/rankpool/rankpool/internal/mpi"
)

// journalSize is the memory of a worker's journal: batches of results are made there. It proves nothing, for it dies
// with the rank.
const journalSize = 64 << 10

// endpoint is a worker's end, and the worker's life in its rank.
type endpoint struct {
	rank *rank
	id   uint64
	startArgs
	parking *parking
	journal *link.Journal

	// Guarded by rankMu.
	lane
	finished bool // no frame comes after those in the lane
	cut      bool // nor does the worker get those

	closed  atomic.Bool
	sending sync.Mutex // held while a frame is queued, so that the worker's end is the last that is
	ended   bool       // guarded by sending

	native struct {
		sync.Mutex
		comm  *mpi.Comm
		slots []int // of the workers that it has
		err   error
	}
	owned natives
}

func newJournal() *link.Journal {
	words := make([]uint64, journalSize/8)
	return link.NewJournal(unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(words))), journalSize))
}

// run is the life of a worker.
func (e *endpoint) run() {
	r := e.rank
	returned, failed := false, error(nil)
	defer func() {
		var why string
		switch v := recover(); {
		case v != nil:
			why = fmt.Sprintf("the worker panicked: %v\n\n%s", v, debug.Stack())
		case !returned:
			why = "the worker ended by runtime.Goexit"
		case failed != nil && !e.closed.Load():
			why = "the worker gave up: " + failed.Error()
		case !e.closed.Load():
			why = "the worker returned without closing its endpoint"
		}
		e.end(why)
		r.rankMu.Lock()
		delete(r.endpoints, e.id)
		if len(r.endpoints) == 0 {
			r.release()
		}
		r.rankMu.Unlock()
		if why == "" { // else a task that was abandoned may be using it
			e.freeNative()
		}
	}()
	failed = r.serve(e)
	returned = true
}

// end tells the master that nothing comes any more.
func (e *endpoint) end(why string) {
	why = why[:min(len(why), longest-tail)]
	e.sending.Lock()
	if !e.ended {
		_ = e.rank.note(e.rank.master, e.id, kindEnded, []byte(why)...) // a failure has ended the rank already
	}
	e.ended = true
	e.sending.Unlock()
	e.rank.push()
}

// mute has the worker send nothing any more.
func (e *endpoint) mute() {
	e.sending.Lock()
	e.ended = true
	e.sending.Unlock()
}

// Recv polls until there is a frame, or waits while another goroutine of this rank does.
func (e *endpoint) Recv() (link.Frame, error) {
	r := e.rank
	var in incoming
	var got bool
	var err error
	r.await(e.parking, func() bool {
		switch {
		case e.cut || e.closed.Load() || r.bye:
			err = io.EOF
			return true
		case r.err != nil:
			return true
		}
		if in, got = e.pop(); got {
			return true
		}
		if e.finished && e.empty() {
			err = io.EOF
			return true
		}
		return false
	})
	switch {
	case err != nil:
		return link.Frame{}, err
	case !got:
		return link.Frame{}, r.failure()
	case in.err != nil:
		return link.Frame{}, in.err
	}
	return in.frame, nil
}

// Send returns when the frame was copied or has left. It fails with io.ErrClosedPipe once the worker has ended.
func (e *endpoint) Send(f link.Frame) error {
	if f.Local != nil {
		return link.ErrLocal
	}
	r := e.rank
	e.sending.Lock()
	if e.ended || e.closed.Load() {
		e.sending.Unlock()
		link.PutBuffer(f.Stream)
		return io.ErrClosedPipe
	}
	waiter := (*parking)(nil)
	if len(f.Segments) > 0 || len(f.Stream) > longest-tail {
		waiter = newParking()
	}
	t, err := r.frame(r.master, e.id, f, waiter)
	e.sending.Unlock()
	if err != nil || t == nil {
		r.push()
		return err
	}
	r.await(waiter, func() bool { return t.over || r.bye })
	r.rankMu.Lock()
	over := t.over
	r.rankMu.Unlock()
	switch {
	case over:
		return t.err
	case r.failure() != nil:
		return r.failure()
	}
	return io.ErrClosedPipe
}

// failure is why the rank cannot go on.
func (r *rank) failure() error {
	r.rankMu.Lock()
	defer r.rankMu.Unlock()
	if r.err != nil {
		return fmt.Errorf("%v: %w", r, r.err)
	}
	return nil
}

// Journal is in this process's memory.
func (e *endpoint) Journal() *link.Journal { return e.journal }

// Siblings implements link.Sibling.
func (e *endpoint) Siblings() (of any, n int) {
	return siblings{e.rank, e.group}, e.siblings
}

// siblings is what the workers of a group have in common in their rank.
type siblings struct {
	rank  *rank
	group uint64
}

// Close makes the return of serve that follows a success, and wakes a Recv.
func (e *endpoint) Close() error {
	e.closed.Store(true)
	e.rank.rankMu.Lock()
	defer e.rank.rankMu.Unlock()
	e.rank.unpark(e.parking)
	return nil
}
