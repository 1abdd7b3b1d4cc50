package dispatch

import (
	"context"
	"encoding/binary"
	"fmt"
	"runtime/debug"
	"slices"
	"sync"
	"time"

	"github.com/rankpool/rankpool/internal/awake"
	"github.com/rankpool/rankpool/internal/goid"
	"github.com/rankpool/rankpool/internal/link"
	"github.com/rankpool/rankpool/internal/pkl5"
)

// run runs the units of w until the last, or until the rest was given back, and sends their results.
func (s *server) run(w *work) {
	s.out.halted = false
	s.out.open(w.first)
	s.out.final = w.first + w.units - 1
	w.begun = time.Now()
	for !s.units(w) {
	}
	s.close(w)
}

func (s *server) close(w *work) {
	s.out.time(w)
	lent := len(s.out.enc.Segments) > 0 // what they alias is the tasks', and so are those of another pool in this process
	if !lent {
		s.turn.give()
	}
	s.mu.Lock()
	s.proto.close()
	s.mu.Unlock()
	s.out.flush()
	if lent {
		s.turn.give()
	}
	link.PutBuffer(w.stream)
	if w.runs != nil {
		w.local = nil
		w.runs.release()
	}
}

// resume goes on with w after a task ended the goroutine it ran on.
func (s *server) resume(w *work) {
	if s.svc.Home != nil {
		me := goid.Get()
		s.mu.Lock()
		s.runner = me
		s.mu.Unlock()
	}
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
	for first := w.seq+1 == w.first; w.again || !w.stop && w.seq+1 < w.first+w.units; first = false {
		for !w.again && w.left == 0 && len(w.r.b) > 0 {
			s.nextRun(w)
		}
		if first {
			s.turn.take(w)
		}
		switch {
		case !w.again && s.journal.Recalled(w.seq+1):
			s.passOver(w)
		case w.head.flags&runLocal != 0:
			s.localUnits(w)
		default:
			s.remoteUnits(w)
		}
	}
	normal = true
	return true
}

// nextRun reads the head of the next run. The time of the units so far is noted, for they are of another function.
func (s *server) nextRun(w *work) {
	h := w.r.run()
	if w.seq+1 > w.first && h.fn != w.head.fn {
		s.out.time(w)
	}
	w.head, w.left = h, int(h.units)
	if h.flags&runLocal == 0 {
		w.body = s.svc.Function(h.fn)
		w.context = w.body != nil && w.body.NeedsContext()
	}
}

// enter begins the next unit of the run.
func (s *server) enter(w *work) {
	w.seq++
	w.left--
	if b := w.r.b; w.head.flags&runBuffers == 0 && len(b) > 0 && b[0] < 0x80 && int(b[0]) < len(b) { // what most are
		end := 1 + int(b[0])
		s.in.Continue(b[1:end])
		w.r.b = b[end:]
	} else {
		s.enterLong(w)
	}
	o := &s.out
	o.begun, o.call.Done, o.call.N = true, 0, w.head.chunk
	if w.left == 0 {
		o.call.N = w.head.last
	}
	if o.call.Chunked = w.head.flags&runChunks != 0; o.call.Chunked {
		s.enterChunk(w)
	} else {
		o.begin()
		o.call.Skip, w.size, w.over = 0, 1, 0
	}
}

// enterChunk goes on with entering a unit of several elements.
func (s *server) enterChunk(w *work) {
	o := &s.out
	w.size, w.over = o.call.N, w.head.skip
	o.call.Skip, o.call.N = w.over, w.size-w.over
	o.beginChunk()
	s.journal.Entered(w.seq, w.over, len(o.enc.Stream))
}

// Over says that an element has succeeded that is not the unit's last. Its results are then in the journal, or on their way.
// False says that nobody wants those after it any more.
func (c *Call) Over() (goOn bool) {
	o := &c.of.out
	if n := len(o.enc.Stream); len(o.enc.Segments) == o.segments && n <= o.full && cap(o.enc.Stream) == cap(o.base) {
		o.s.journal.Over(c.w.over+c.Done, n)
	} else {
		c.of.part(c.w, partNone, nil)
		o.flushPart(c.w.seq)
		c.of.goOn(c.w)
	}
	return !c.of.journal.Recalled(c.w.seq) && (!c.w.recalled.Load() || !c.of.isCancelled(c.w))
}

// passOver ends the next unit, which was recalled, as one that has run: to its master it is one more answer, and to whoever gives the
// rest of the batch back meanwhile the unit that runs.
func (s *server) passOver(w *work) {
	o := &s.out
	if w.head.flags&runLocal != 0 {
		o.beginLocal(w, nil, w.local[0].first, 1)
		o.endLocal(w, true)
		o.call.Done = 0
		o.part(0, partVoid, nil)
	} else {
		s.in.Reset(nil, nil) // of the unit before
		s.enter(w)
		o.part(w.over, partVoid, nil)
	}
	o.begun = false
	w.stop = o.finished(w.seq)
}

// enterLong has the next unit read: its bytes and its segments.
func (s *server) enterLong(w *work) {
	h := w.r.unit(w.head.flags&runBuffers != 0)
	segs := w.buffers.take(h.segments)
	w.segs, w.sample = segs, h.sample
	s.in.Reset(w.r.bytes(h.size), segs)
}

// Next ends a unit whose elements are all done, and begins the next one. False says that none has begun: there is none,
// it must not, or it has to have a context of its own.
func (c *Call) Next() bool {
	if c.s == nil {
		return false
	}
	s, w, o := c.s, c.w, &c.s.out
	size := len(o.enc.Stream)
	if n := size - o.start - 1; n < 1<<5 && !c.Chunked && size <= o.full && cap(o.enc.Stream) == cap(o.base) && len(o.enc.Segments) == 0 {
		o.enc.Stream[o.start] = byte(n<<2 | entryOK) // as succeeded does it for those that it is like that
		o.begun, o.seq = false, w.seq
		w.stop = o.s.journal.Finished(w.seq, size) || o.halted
	} else {
		s.succeeded(w)
	}
	if w.stop || w.left == 0 || s.journal.Recalled(w.seq+1) {
		return false
	}
	s.enter(w)
	return true
}

// remoteUnits runs units of a run, one at least.
func (s *server) remoteUnits(w *work) {
	o := &s.out
	o.call.In, o.call.Out, o.call.s, o.call.of, o.call.w = &s.in, &o.enc, s, s, w
	if w.context || w.head.flags&(runTimeout|runBuffers) != 0 {
		o.call.s = nil // one after the other
	}
	if !w.again {
		s.in.Reset(nil, nil)
		s.enter(w)
		o.call.Reading = true
		var err error
		switch {
		case w.body == nil:
			err = fmt.Errorf("worker has no function number %d", w.head.fn)
		case w.buffers.err != nil:
			err = w.buffers.err
		case w.head.flags&runBuffers != 0 && len(w.segs) > 0 && pkl5.Sample(w.segs) != w.sample:
			err = ErrChanged
		}
		if err != nil {
			s.failed(w, err)
			return
		}
		o.call.Reading = false
	}
	if w.context || w.head.timeout > 0 {
		_ = s.callWithContext(w, func(ctx context.Context) error {
			o.call.Context = ctx
			s.elements(w)
			return nil
		})
	} else {
		o.call.Context = s.tasks
		s.elements(w)
	}
}

// elements runs what is left of the unit that runs, and perhaps units after it.
func (s *server) elements(w *work) {
	for {
		w.again = false
		if err := w.body.Call(&s.out.call); err != nil {
			s.failed(w, err)
		} else if s.out.begun {
			s.succeeded(w)
		}
		if !w.again {
			return
		}
	}
}

// callWithContext calls f with a context of its own, which ends with the call, its time-out, or a cancel message.
func (s *server) callWithContext(w *work, f func(context.Context) error) error {
	over := false
	if s.programs != nil {
		if !w.marked { // units that share a batch are too short for a program
			w.marked = true
			s.programs.Begin()
		}
		defer func() {
			if over {
				s.programs.End()
			}
		}()
	}
	ctx, cancel := s.tasks, context.CancelFunc(nil)
	if t := w.head.timeout; t > 0 {
		if !w.again {
			w.until = time.Now().Add(t)
		}
		t = time.Until(w.until)
		ctx, cancel = context.WithDeadline(ctx, w.until)
		seq := w.seq
		watch := awake.Then(t, overdueGrace, func() { s.send(kindOverdue, seq) })
		defer watch.Stop()
	} else {
		ctx, cancel = context.WithCancel(ctx)
	}
	s.mu.Lock()
	s.cancelSeq, s.cancel, s.gang, s.absent, s.again = w.seq, cancel, w.head.gang, w.head.absent, w.head.again
	late := slices.ContainsFunc(w.cancelled, func(c span) bool { return c.has(w.seq) })
	s.mu.Unlock()
	if late {
		cancel()
	}
	defer func() {
		s.mu.Lock()
		if s.peers != nil || s.gang > 0 {
			s.mail.end(s.gang, s.peers)
		}
		s.cancelSeq, s.cancel, s.peers, s.again = 0, nil, nil, 0
		s.mu.Unlock()
		if over = ctx.Err() != nil; !over {
			s.out.call.Context = s.tasks // what cancel ends was for this call alone: after a panic other elements may follow
		}
		cancel()
	}()
	return f(ctx)
}

// succeeded ends the unit that runs.
func (s *server) succeeded(w *work) {
	s.out.begun = false
	if w.over > 0 {
		s.out.part(w.over, partLast, nil)
		w.stop = s.out.finished(w.seq)
		return
	}
	w.stop = s.out.succeeded(w.seq)
}

// failed ends the element that runs with an error, and its unit with the last.
func (s *server) failed(w *work, err error) {
	o := &s.out
	if l := o.local; l != nil {
		if err != nil && l.Failed(o.units.Unit, err) { // it did not return
			w.again = true
			return
		}
		w.again = false
		o.endLocal(w, true)
		o.begun = false
		o.call.Done = 0
		o.part(0, partRest, nil)
		w.stop = o.finished(w.seq)
		return
	}
	if w.over+o.call.Done+1 >= w.size || o.call.Reading || s.nobodyWants(w) {
		w.again = false
		o.begun = false
		o.part(w.over, partRest, err)
		w.stop = o.finished(w.seq)
		return
	}
	s.part(w, partOne, err)
	if len(o.enc.Segments) == 0 && len(o.enc.Stream) <= o.full && cap(o.enc.Stream) == cap(o.base) {
		o.remarkPart(w.seq)
		if time.Since(w.begun) > longTask { // the next look may be far
			o.flushMarked(o.final)
		}
	} else {
		o.flushPart(w.seq)
	}
	s.goOn(w)
	w.again = true
}

// part makes the entry of a part of the unit that runs.
func (s *server) part(w *work, kind byte, err error) {
	o := &s.out
	o.part(w.over, kind, err)
	if w.over += o.call.Done; kind == partOne {
		w.over++
	}
}

// goOn begins another entry for the elements of the unit that are left.
func (s *server) goOn(w *work) {
	o := &s.out
	o.beginChunk()
	o.call.Done, o.call.Skip, o.call.N = 0, 0, w.size-w.over
	s.journal.Entered(w.seq, w.over, len(o.enc.Stream))
}

// nobodyWants tells whether the context of the unit that runs has ended, or would have if it had one.
func (s *server) nobodyWants(w *work) bool {
	return s.out.call.Context != nil && s.out.call.Context.Err() != nil || s.journal.Recalled(w.seq) || w.recalled.Load() && s.isCancelled(w)
}

// isCancelled tells whether the unit that runs was cancelled.
func (s *server) isCancelled(w *work) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.ContainsFunc(w.cancelled, func(c span) bool { return c.has(w.seq) })
}

// outbox collects the results of a batch in the worker's journal and sends them.
//
// The runner appends without a lock; the journal's mark says how far the bytes are final. Another goroutine may send that part while
// the runner goes on: then flushed says how far it got. The lock orders the sending.
type outbox struct {
	s        *server
	enc      pkl5.Encoder
	call     Call
	local    Local // what runs units by reference; nil while nothing does
	units    Units // of local
	begun    bool  // a unit runs, and not by reference
	start    int   // where the entry of the unit that runs begins
	room     int   // how many bytes its header has there
	seq      uint64
	segments int    // how many segments the stream has had there
	final    uint64 // the last of the batch

	// The journal said at a mark which was not the first of its unit that no other is to begin: the one that may have begun
	// since is the last.
	halted bool

	mu         sync.Mutex
	base       []byte // the journal's buffer
	full       int    // how long the stream may become before it is sent
	flushed    int
	flushedSeq uint64
}

func (o *outbox) init(s *server) {
	o.s = s
	o.base = s.journal.Buffer()
	o.full = cap(o.base) / 4 * 3
}

// open begins a stream of results, of which seq is the first.
func (o *outbox) open(seq uint64) {
	o.mu.Lock()
	o.enc.Stream = binary.AppendUvarint(append(o.base[:0], kindResults), seq)
	o.enc.Segments = o.enc.Segments[:0]
	o.seq = seq - 1
	o.flushed, o.flushedSeq = 0, seq-1
	o.remark(seq - 1)
	o.mu.Unlock()
}

// remark marks again that seq has ended, with nothing in the journal.
func (o *outbox) remark(seq uint64) {
	if o.s.journal.Finished(seq, 0) {
		o.halted = true
	}
}

// begin makes room for the header of an entry.
func (o *outbox) begin() {
	o.start, o.room, o.segments = len(o.enc.Stream), 1, len(o.enc.Segments)
	o.enc.Stream = append(o.enc.Stream, 0)
}

// chunkRoom is the length of the header of a unit of several elements: a uvarint that is padded, so that the results behind it need
// not be moved when their length is known. All that fits into a journal has room.
const chunkRoom = 4

// beginChunk makes room for the header of an entry of several elements.
func (o *outbox) beginChunk() {
	o.start, o.room, o.segments = len(o.enc.Stream), chunkRoom, len(o.enc.Segments)
	o.enc.Stream = append(o.enc.Stream, make([]byte, chunkRoom)...)
}

// succeeded completes the header of an entry whose results have been appended. Like finished it returns true when no
// other unit may begin.
func (o *outbox) succeeded(seq uint64) (stop bool) {
	n := len(o.enc.Stream) - o.start - o.room
	var h [2 * binary.MaxVarintLen64]byte
	switch {
	case len(o.enc.Segments) > o.segments:
		b := binary.AppendUvarint(h[:0], uint64(n)<<2|entryBuffers)
		o.replace(binary.AppendUvarint(b, uint64(len(o.enc.Segments)-o.segments)), nil)
	case o.room == chunkRoom && n < 1<<(7*chunkRoom-ResultShift):
		v := uint64(n)<<ResultShift | entryOK
		copy(o.enc.Stream[o.start:], []byte{byte(v) | 0x80, byte(v>>7) | 0x80, byte(v>>14) | 0x80, byte(v >> 21)})
	case n < 1<<5:
		o.enc.Stream[o.start] = byte(n<<2 | entryOK)
	default:
		o.replace(binary.AppendUvarint(h[:0], uint64(n)<<2|entryOK), nil)
	}
	return o.finished(seq)
}

// replace gives the last entry another header in place of the room for one, and appends a tail to it.
func (o *outbox) replace(header, tail []byte) {
	begin := min(o.start+o.room, len(o.enc.Stream))
	if o.call.Chunked && cap(o.enc.Stream) == cap(o.base) {
		o.keep(begin, len(header)-o.room+len(tail))
	}
	o.enc.Stream = append(slices.Replace(o.enc.Stream, o.start, begin, header...), tail...)
}

// keep copies the results of a chunk, which begin at a byte of the stream, before they are moved: if the worker ends meanwhile, those of
// the elements that are over are still in the journal. The entry is about to become longer by so many bytes.
func (o *outbox) keep(begin, longer int) {
	data := o.enc.Stream[begin:]
	if len(data) == 0 {
		return
	}
	at := len(o.enc.Stream) + max(longer, 0) + binary.MaxVarintLen64 // the time of the batch may come between, see close
	if room := o.base[:cap(o.base)]; at+len(data) <= len(room) {
		copy(room[at:], data)
		o.s.journal.Moved(at)
		return
	}
	o.enc.Stream = append(make([]byte, 0, max(at, cap(o.base)+1)), o.enc.Stream...) // the journal stays as it is
}

// part makes the entry of a part of a unit: from element over on, of call.Done elements whose results were appended, and with an
// error of those after them.
func (o *outbox) part(over int, kind byte, err error) {
	o.enc.Abandon()
	var coded []byte
	if err != nil {
		coded = o.s.svc.AppendError(nil, err)
	}
	n := max(len(o.enc.Stream)-o.start-o.room, 0)
	var h [6 * binary.MaxVarintLen64]byte
	b := binary.AppendUvarint(h[:0], uint64(n)<<2|entryPart)
	b = binary.AppendUvarint(b, uint64(len(o.enc.Segments)-o.segments))
	b = binary.AppendUvarint(b, uint64(over))
	b = binary.AppendUvarint(b, uint64(o.call.Done))
	b = append(b, kind)
	b = binary.AppendUvarint(b, uint64(len(coded)))
	o.replace(b, coded)
}

// remarkPart marks that a part of unit seq stands in the journal.
func (o *outbox) remarkPart(seq uint64) {
	if o.s.journal.Finished(seq-1, len(o.enc.Stream)) {
		o.halted = true
	}
}

// flushPart sends what there is, in the midst of unit seq.
func (o *outbox) flushPart(seq uint64) {
	if o.flush() {
		o.halted = true
	}
	o.open(seq)
}

// finished marks that seq has ended, and sends what there is when it cannot stay in the journal. It returns true when no
// other unit may begin: those after seq were given back.
func (o *outbox) finished(seq uint64) (stop bool) {
	n := len(o.enc.Stream)
	o.seq = seq
	if len(o.enc.Segments) == 0 && n <= o.full && cap(o.enc.Stream) == cap(o.base) { // else it has left the journal
		return o.s.journal.Finished(seq, n) || o.halted
	}
	if seq == o.final {
		return true // the end of the batch sends it at once, with the time: two messages would wake the master twice
	}
	stop = o.flush() || o.halted
	o.open(seq + 1)
	return stop
}

// time appends how long the units since the last call took.
func (o *outbox) time(w *work) {
	now := time.Now()
	o.enc.Stream = binary.AppendUvarint(o.enc.Stream, uint64(max(now.Sub(w.begun), 0))<<2|entryTime)
	w.begun = now
}

// flush sends the rest of the stream, marks that, and returns what the mark did. Only the runner calls it.
func (o *outbox) flush() (halted bool) {
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
	halted = o.s.journal.Finished(o.seq, 0)
	clear(o.enc.Segments)
	o.enc.Stream, o.enc.Segments = o.base[:0], o.enc.Segments[:0]
	o.flushed, o.flushedSeq = 0, o.seq
	return halted
}

// flushMarked sends the results of the units that have finished, while another one of the batch runs. Any goroutine may call it. When
// the last of the batch has finished it does nothing: the runner sends the rest at once, and only the runner knows how long that took.
func (o *outbox) flushMarked(last uint64) {
	o.mu.Lock()
	defer o.mu.Unlock()
	seq, n := o.s.journal.Unsent()
	if n <= o.flushed || seq >= last {
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
