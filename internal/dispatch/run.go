package dispatch

import (
	"context"
	"fmt"
	"runtime/debug"
	"slices"
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
	s.dress(w) // before: to wait for values and to decode them is not the units' time
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
	if w.generation != 0 { // an idle worker must not hold its values
		s.out.call.Context, w.tasks, w.shared = nil, nil, nil
	}
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
		w.usesCtx = w.body != nil && w.body.NeedsContext()
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
	if w.usesCtx || w.head.flags&(runTimeout|runBuffers) != 0 {
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
		case w.undressed != nil:
			err = w.undressed
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
	if w.usesCtx || w.head.timeout > 0 {
		_ = s.callWithContext(w, func(ctx context.Context) error {
			o.call.Context = ctx
			s.elements(w)
			return nil
		})
	} else {
		o.call.Context = w.tasks
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
	over, returned := false, false
	w.failed = false
	if s.programs != nil {
		if begun := time.Now(); begun.Sub(w.marked) > programTime { // what has ended since was too short for a program
			w.marked = begun
			s.programs.Begin()
		}
		defer func() {
			if over {
				s.programs.End()
			}
		}()
	}
	ctx, cancel := w.tasks, context.CancelFunc(nil)
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
	s.cancelSeq, s.cancel, s.gang, s.members, s.again, s.fn = w.seq, cancel, w.head.gang, w.head.members, w.head.again, w.head.fn
	late := slices.ContainsFunc(w.cancelled, func(c span) bool { return c.has(w.seq) })
	s.mu.Unlock()
	if late {
		cancel()
	}
	defer func() {
		s.sendRest()
		s.freeNatives(returned && !w.failed && ctx.Err() == nil)
		s.mu.Lock()
		if s.peers != nil || s.gang > 0 {
			s.mail.end(s.gang, s.peers)
		}
		s.cancelSeq, s.cancel, s.peers, s.again = 0, nil, nil, 0
		s.mu.Unlock()
		if over = ctx.Err() != nil; !over {
			s.out.call.Context = w.tasks // what cancel ends was for this call alone: after a panic other elements may follow
		}
		cancel()
	}()
	err := f(ctx)
	returned = true
	return err
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
	w.failed = true
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
