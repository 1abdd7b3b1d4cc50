package loopback

import (
	"fmt"
	"io"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"unsafe"

	"github.com/rankpool/rankpool/internal/link"
)

// worker is one run of Serve in a slot, and its Endpoint.
type worker struct {
	group   *Group
	slot    *slot
	index   int
	journal *link.Journal
	wake    chan struct{} // one token when parked is cleared
	notice  func(uint64)  // see link.Noticer; nil: nobody asked

	// gone is set under mu when the master is through with this worker: nothing travels any more, in either direction.
	gone atomic.Bool

	closed atomic.Bool // set under mu: the worker closed its end

	// reading is held while segments are copied out of the master's memory, which must not be read once the loss has
	// been reported.
	reading sync.Mutex

	mu       sync.Mutex
	queue    queue
	parked   bool
	finished bool // no frame comes after those in the queue
}

// together is a worker with a journal of the usual size behind it: what is needed at the same time is in the same pages. Of thousands of
// workers that end their tasks one after another nothing is in a cache.
type together struct {
	worker
	journal [usualJournal / 8]atomic.Uint64 // for their alignment, which plain ones lack on processors of 32 bits
}

func newWorker(g *Group, s *slot, index int) *worker {
	var wk *worker
	var at unsafe.Pointer
	size := (g.cfg.JournalSize + 7) / 8 * 8
	if size == usualJournal {
		t := new(together)
		wk, at = &t.worker, unsafe.Pointer(&t.journal)
	} else {
		wk, at = new(worker), unsafe.Pointer(unsafe.SliceData(make([]uint64, size/8)))
	}
	mem := unsafe.Slice((*byte)(at), size)
	wk.group, wk.slot, wk.index, wk.journal, wk.wake = g, s, index, link.NewJournal(mem), make(chan struct{}, 1)
	return wk
}

// run serves and reports how that ended.
func (wk *worker) run() {
	g := wk.group
	returned := false
	defer func() {
		err := wk.verdict(recover(), returned)
		if ft := wk.slot.faults.Load(); ft != nil {
			ft.flush(ToMaster)
		}
		if wk.cutOff() {
			wk.report(wk.proof(err))
		}
		g.mu.Lock()
		delete(g.running, wk)
		g.settle()
		g.mu.Unlock()
	}()
	g.cfg.Serve(wk)
	returned = true
}

// verdict says in words how Serve ended; nil is success.
func (wk *worker) verdict(panicked any, returned bool) error {
	switch {
	case returned && wk.closed.Load():
		return nil
	case returned:
		return fmt.Errorf("worker %d returned without closing its endpoint", wk.index)
	case panicked == nil:
		return fmt.Errorf("worker %d ended by runtime.Goexit", wk.index)
	}
	return &panicError{index: wk.index, value: panicked, stack: debug.Stack()}
}

// proof makes a Loss of an error and the journal, which nobody may be writing.
func (wk *worker) proof(err error) link.Loss {
	l := link.Loss{Err: err, Proof: true}
	l.Finished, l.Picked, l.Salvage = wk.journal.Read()
	l.Over, l.Results = wk.journal.Begun()
	l.Receiving = wk.journal.Receives()
	return l
}

// cutOff ends all traffic with the worker. It returns false when that was done before: the winner reports the loss.
func (wk *worker) cutOff() bool {
	wk.mu.Lock()
	if wk.gone.Load() {
		wk.mu.Unlock()
		return false
	}
	wk.gone.Store(true)
	wk.queue = queue{}
	wk.unlockAndWake(0)
	return true
}

// report tells the handler, after the calls about this slot that are under way, and empties the slot before so that
// the handler may start it again.
func (wk *worker) report(l link.Loss) {
	wk.reading.Lock()
	wk.reading.Unlock() //nolint:staticcheck // waits for a copy under way; the next one sees gone
	s := wk.slot
	s.deliver.Lock()
	defer s.deliver.Unlock()
	s.current.CompareAndSwap(wk, nil)
	wk.group.handler.Lost(wk.index, l)
}

// push queues a frame for Recv.
func (wk *worker) push(f link.Frame) {
	wk.mu.Lock()
	if wk.gone.Load() || wk.closed.Load() || wk.finished {
		wk.mu.Unlock()
		link.PutBuffer(f.Stream)
		return
	}
	wk.queue.push(f)
	wk.unlockAndWake(f.Mark)
}

// finish lets Recv return io.EOF after the frames that are queued.
func (wk *worker) finish() {
	if ft := wk.slot.faults.Load(); ft != nil {
		ft.flush(ToWorker)
	}
	wk.mu.Lock()
	wk.finished = true
	wk.unlockAndWake(0)
}

// unlockAndWake releases mu and resumes a parked Recv, in that order so that it does not run into the lock. If none is parked it gives
// notice of what has come: a frame with that mark, or the end.
func (wk *worker) unlockAndWake(mark uint64) {
	parked, notice := wk.parked, wk.notice
	wk.parked = false
	wk.mu.Unlock()
	switch {
	case parked:
		wk.wake <- struct{}{}
	case notice != nil:
		notice(mark)
	}
}

// Notice implements link.Noticer.
func (wk *worker) Notice(f func(mark uint64)) {
	wk.mu.Lock()
	wk.notice = f
	wk.mu.Unlock()
}

// Waiting implements link.Noticer.
func (wk *worker) Waiting() bool {
	wk.mu.Lock()
	defer wk.mu.Unlock()
	return wk.queue.head < len(wk.queue.frames) || wk.finished || wk.gone.Load() || wk.closed.Load()
}

// Recv returns the next frame, and parks only when there is none.
func (wk *worker) Recv() (link.Frame, error) {
	for {
		if ft := wk.slot.faults.Load(); ft != nil {
			ft.hold()
		}
		wk.mu.Lock()
		if wk.gone.Load() || wk.closed.Load() {
			wk.mu.Unlock()
			return link.Frame{}, io.EOF
		}
		if f, ok := wk.queue.pop(); ok {
			wk.mu.Unlock()
			if len(f.Segments) > 0 {
				return wk.own(f)
			}
			return f, nil
		}
		if wk.finished {
			wk.mu.Unlock()
			return link.Frame{}, io.EOF
		}
		wk.parked = true
		wk.mu.Unlock()
		<-wk.wake
	}
}

// own copies the segments on the worker's side, so that a large frame costs the master nothing.
func (wk *worker) own(f link.Frame) (link.Frame, error) {
	wk.reading.Lock()
	defer wk.reading.Unlock()
	if wk.gone.Load() {
		return link.Frame{}, io.EOF
	}
	f.Segments = copySegments(f.Segments)
	return f, nil
}

func copySegments(from [][]byte) [][]byte {
	to := make([][]byte, len(from))
	for i, s := range from {
		to[i] = append([]byte{}, s...)
	}
	return to
}

// Send calls the master's handler with the frame on this goroutine. It fails with io.ErrClosedPipe once the worker has
// closed its end or was cut off.
func (wk *worker) Send(f link.Frame) error {
	if f.Local != nil && !wk.group.traits.SharesMem {
		return link.ErrLocal
	}
	if len(f.Segments) > 0 {
		f.Segments = copySegments(f.Segments)
	}
	if ft := wk.slot.faults.Load(); ft != nil && !ft.pass(ToMaster, wk, &f) {
		return nil
	}
	return wk.deliver(f)
}

func (wk *worker) deliver(f link.Frame) error {
	s := wk.slot
	s.deliver.Lock()
	defer s.deliver.Unlock() // also when the handler panics: that must not become a hang
	if wk.gone.Load() || wk.closed.Load() {
		link.PutBuffer(f.Stream)
		return io.ErrClosedPipe
	}
	wk.group.handler.Receive(wk.index, f)
	return nil
}

// Journal is in the heap: it outlives the goroutine.
func (wk *worker) Journal() *link.Journal { return wk.journal }

// Close makes the return of Serve that follows a success. It does not wait.
func (wk *worker) Close() error {
	if ft := wk.slot.faults.Load(); ft != nil {
		ft.flush(ToMaster)
	}
	wk.mu.Lock()
	wk.closed.Store(true)
	wk.queue = queue{}
	wk.unlockAndWake(0)
	return nil
}

// panicError is the Err of a worker whose Serve panicked.
type panicError struct {
	index int
	value any
	stack []byte
}

func (e *panicError) Error() string { return fmt.Sprintf("worker %d panicked: %v", e.index, e.value) }

// Format prints the stack too for %+v.
func (e *panicError) Format(s fmt.State, verb rune) {
	_, _ = io.WriteString(s, e.Error())
	if verb == 'v' && s.Flag('+') {
		_, _ = fmt.Fprintf(s, "\n\n%s", e.stack)
	}
}

// Unwrap returns the value of the panic when that was an error.
func (e *panicError) Unwrap() error {
	err, _ := e.value.(error)
	return err
}
