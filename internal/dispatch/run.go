package dispatch

import (
	"context"
	"encoding/binary"
	"fmt"
	"runtime/debug"
	"slices"
	"sync"
	"time"

	"github.com/rankpool/rankpool/internal/link"
	"github.com/rankpool/rankpool/internal/pkl5"
)

// run runs the units of w until the last, or until the rest was given back, and sends their results.
func (s *server) run(w *work) {
	s.out.open(w.first)
	w.begun = time.Now()
	for !s.units(w) {
	}
	s.close(w)
}

func (s *server) close(w *work) {
	s.out.time(w)
	s.turn.give()
	s.mu.Lock()
	s.closing = true
	s.mu.Unlock()
	s.out.flush()
	link.PutBuffer(w.stream)
}

// resume goes on with w after a task ended the goroutine it ran on.
func (s *server) resume(w *work) {
	for !s.units(w) {
	}
	s.close(w)
	if s.ended() {
		s.lead()
	}
}

func stack() []byte { return debug.Stack() }

// units runs units of w. It returns true after the last, false after one that panicked.
func (s *server) units(w *work) (last bool) {
	normal := false
	defer func() {
		if normal {
			return
		}
		if v := recover(); v != nil {
			s.failed(w, s.svc.Recovered(v, stack()))
			return
		}
		s.failed(w, s.svc.Recovered(Goexit, stack()))
		go s.resume(w)
	}()
	for {
		if w.left == 0 && len(w.r.b) > 0 {
			s.nextRun(w)
		}
		k := w.claimed.Add(1)
		if k > w.units {
			normal = true
			return true
		}
		if k == 1 {
			s.turn.take(w)
		}
		w.seq = w.first + k - 1
		w.left--
		if w.head.flags&runLocal != 0 {
			s.localUnit(w)
		} else {
			s.unit(w)
		}
	}
}

// nextRun reads the head of the next run. The time of the units so far is noted, for they are of another function.
func (s *server) nextRun(w *work) {
	h := w.r.run()
	if w.body != nil && h.fn != w.head.fn {
		s.out.time(w)
	}
	w.head, w.left = h, int(h.units)
	if h.flags&runLocal == 0 {
		w.body = s.svc.Function(h.fn)
		w.context = w.body != nil && w.body.NeedsContext()
	} else {
		w.unit = w.local[0].first
		w.sink = w.local[0].job.Sink.(Local)
		w.context = w.sink.NeedsContext()
	}
}

// elements returns how many elements the unit that was just claimed has.
func (w *work) elements() int {
	if w.left == 0 {
		return w.head.last
	}
	return w.head.chunk
}

// unit runs one unit.
func (s *server) unit(w *work) {
	size, nseg := w.r.uint(), uint64(0)
	if w.head.flags&runBuffers != 0 {
		nseg = w.r.uint()
	}
	s.in.Reset(w.r.bytes(size), w.buffers.take(nseg))
	o := &s.out
	o.begin()
	o.call.N, o.call.Done, o.call.In, o.call.Out = w.elements(), 0, &s.in, &o.enc
	if w.body == nil {
		s.failed(w, fmt.Errorf("worker has no function number %d", w.head.fn))
		return
	}
	if w.buffers.err != nil {
		s.failed(w, w.buffers.err)
		return
	}
	var err error
	if w.context || w.head.timeout > 0 {
		err = s.callWithContext(w, func(ctx context.Context) error {
			o.call.Context = ctx
			return w.body.Call(&o.call)
		})
	} else {
		o.call.Context = s.tasks
		err = w.body.Call(&o.call)
	}
	if err != nil {
		s.failed(w, err)
		return
	}
	o.succeeded(w.seq)
}

// localUnit runs one unit by reference.
func (s *server) localUnit(w *work) {
	unit := w.unit
	if w.unit++; w.left == 0 {
		w.local = w.local[1:]
	}
	o := &s.out
	o.begin()
	o.local, o.unit = w.sink, unit
	var ok bool
	if w.context || w.head.timeout > 0 {
		_ = s.callWithContext(w, func(ctx context.Context) error {
			ok = o.local.Call(ctx, unit)
			return nil
		})
	} else {
		ok = w.sink.Call(s.tasks, unit)
	}
	o.local = nil
	if !ok {
		o.failed(w.seq, nil)
		return
	}
	o.succeeded(w.seq)
}

// callWithContext calls f with a context of its own, which ends with the call, its time-out, or a cancel message.
func (s *server) callWithContext(w *work, f func(context.Context) error) error {
	ctx, cancel := s.tasks, context.CancelFunc(nil)
	if t := w.head.timeout; t > 0 {
		ctx, cancel = context.WithTimeout(ctx, t)
		seq := w.seq
		watch := time.AfterFunc(t+overdueGrace, func() { s.send(kindOverdue, seq) })
		defer watch.Stop()
	} else {
		ctx, cancel = context.WithCancel(ctx)
	}
	s.mu.Lock()
	s.cancelSeq, s.cancel, s.gang = w.seq, cancel, w.head.gang
	late := slices.ContainsFunc(w.cancelled, func(c span) bool { return c.has(w.seq) })
	s.mu.Unlock()
	if late {
		cancel()
	}
	defer func() {
		s.mu.Lock()
		s.cancelSeq, s.cancel, s.peers = 0, nil, nil
		s.mu.Unlock()
		cancel()
	}()
	return f(ctx)
}

// failed ends the unit that runs with an error.
func (s *server) failed(w *work, err error) {
	if l := s.out.local; l != nil {
		s.out.local = nil
		l.Failed(s.out.unit, err)
		s.out.failed(w.seq, nil)
		return
	}
	s.out.failed(w.seq, err)
}

// outbox collects the results of a batch in the worker's journal and sends them.
//
// The runner appends without a lock; the journal's mark says how far the bytes are final. Another goroutine may send that part while
// the runner goes on: then flushed says how far it got. The lock orders the sending.
type outbox struct {
	s     *server
	enc   pkl5.Encoder
	call  Call
	local Local
	unit  int
	start int // where the entry of the unit that runs begins
	seq   uint64

	mu         sync.Mutex
	base       []byte // the journal's buffer
	flushed    int
	flushedSeq uint64
}

func (o *outbox) init(s *server) {
	o.s = s
	o.base = s.journal.Buffer()
}

// open begins a stream of results, of which seq is the first.
func (o *outbox) open(seq uint64) {
	o.mu.Lock()
	o.enc.Stream = binary.AppendUvarint(append(o.base[:0], kindResults), seq)
	o.enc.Segments = o.enc.Segments[:0]
	o.seq = seq - 1
	o.flushed, o.flushedSeq = 0, seq-1
	o.s.journal.Finished(seq-1, 0)
	o.mu.Unlock()
}

// begin makes room for the header of an entry.
func (o *outbox) begin() {
	o.start = len(o.enc.Stream)
	o.enc.Stream = append(o.enc.Stream, 0)
}

// succeeded completes the header of an entry whose results have been appended.
func (o *outbox) succeeded(seq uint64) {
	n := len(o.enc.Stream) - o.start - 1
	if len(o.enc.Segments) == 0 {
		if n < 1<<5 {
			o.enc.Stream[o.start] = byte(n<<2 | entryOK)
		} else {
			var h [binary.MaxVarintLen64]byte
			o.widen(binary.AppendUvarint(h[:0], uint64(n)<<2|entryOK))
		}
	} else {
		var h [2 * binary.MaxVarintLen64]byte
		b := binary.AppendUvarint(h[:0], uint64(n)<<2|entryBuffers)
		o.widen(binary.AppendUvarint(b, uint64(len(o.enc.Segments))))
	}
	o.finished(seq)
}

// widen replaces the one byte reserved for an entry's header.
func (o *outbox) widen(header []byte) {
	end := len(o.enc.Stream)
	o.enc.Stream = append(o.enc.Stream, header[1:]...)
	copy(o.enc.Stream[o.start+len(header):], o.enc.Stream[o.start+1:end])
	copy(o.enc.Stream[o.start:], header)
}

// failed makes the entry of a unit that failed, after call.Done elements whose results were appended.
func (o *outbox) failed(seq uint64, err error) {
	o.enc.Abandon()
	data := append([]byte(nil), o.enc.Stream[min(o.start+1, len(o.enc.Stream)):]...)
	done := o.call.Done
	var coded []byte
	if err != nil {
		coded = o.s.svc.AppendError(nil, err)
	} else {
		data, done = nil, 0
	}
	b := binary.AppendUvarint(o.enc.Stream[:o.start], uint64(len(data))<<2|entryError)
	b = binary.AppendUvarint(b, uint64(len(o.enc.Segments)))
	b = binary.AppendUvarint(b, uint64(done))
	b = binary.AppendUvarint(b, uint64(len(coded)))
	b = append(b, data...)
	o.enc.Stream = append(b, coded...)
	o.finished(seq)
}

// finished marks that seq has ended, and sends what there is when it cannot stay in the journal.
func (o *outbox) finished(seq uint64) {
	n := len(o.enc.Stream)
	o.seq = seq
	if len(o.enc.Segments) == 0 && n <= cap(o.base)/4*3 && cap(o.enc.Stream) == cap(o.base) { // else it has left the journal
		o.s.journal.Finished(seq, n)
		return
	}
	o.flush()
	o.open(seq + 1)
}

// time appends how long the units since the last call took.
func (o *outbox) time(w *work) {
	now := time.Now()
	o.enc.Stream = binary.AppendUvarint(o.enc.Stream, uint64(max(now.Sub(w.begun), 0))<<2|entryTime)
	w.begun = now
}

// flush sends the rest of the stream. Only the runner calls it.
func (o *outbox) flush() {
	o.mu.Lock()
	defer o.mu.Unlock()
	b := o.enc.Stream
	var stream []byte
	switch moved := cap(b) > cap(o.base); {
	case o.flushed > 0:
		stream = binary.AppendUvarint(append(link.GetBuffer(), kindResults), o.flushedSeq+1)
		stream = append(stream, b[o.flushed:]...)
	case moved:
		stream = b // it outgrew the journal, so it is ours to give away
	default:
		stream = append(link.GetBuffer(), b...)
	}
	var segs [][]byte
	if len(o.enc.Segments) > 0 {
		segs = append(segs, o.enc.Segments...)
	}
	o.s.transmit(link.Frame{Stream: stream, Segments: segs})
	o.s.journal.Finished(o.seq, 0)
	clear(o.enc.Segments)
	o.enc.Stream, o.enc.Segments = o.base[:0], o.enc.Segments[:0]
	o.flushed, o.flushedSeq = 0, o.seq
}

// flushMarked sends the results of the units that have finished. Any goroutine may call it while the runner runs.
func (o *outbox) flushMarked() {
	o.mu.Lock()
	defer o.mu.Unlock()
	seq, n := o.s.journal.Unsent()
	if n <= o.flushed || seq <= o.flushedSeq {
		return
	}
	var stream []byte
	if o.flushed > 0 {
		stream = binary.AppendUvarint(append(link.GetBuffer(), kindResults), o.flushedSeq+1)
	} else {
		stream = link.GetBuffer()
	}
	stream = append(stream, o.base[:n][o.flushed:]...)
	o.s.transmit(link.Frame{Stream: stream})
	o.flushed, o.flushedSeq = n, seq
}
