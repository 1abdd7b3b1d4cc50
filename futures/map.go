package futures

import (
	"context"
	"fmt"
	"iter"
	"slices"

	"github.com/rankpool/rankpool/internal/dispatch"
	"github.com/rankpool/rankpool/internal/progress"
	"github.com/rankpool/rankpool/internal/resultlog"
)

// Map calls fn on every element of xs and yields the results in the order of the input, one by one as they come. The input is a slice or a
// sequence. One of a named type is converted by []A(xs) or iter.Seq[A](seq).
//
// The elements of a slice are submitted at the call, whether the results are read or not, and the results wait in memory until they are
// read; with [WithBufferSize] both wait for the reader. Elements are encoded as [Submit] does it, so the slice may change afterwards,
// except for large slices that are sent from where they are (a [ThreadPoolExecutor] shares all of them).
//
// A sequence is drawn while the results are read, so an endless one works. It is drawn four chunks per worker ahead. Of chunks
// that take under 600 µs it is as many as take four milliseconds, and 256 at most. [WithBufferSize] sets how many for all workers. It is drawn on a
// goroutine of its own, so a sequence that waits holds no results up. Guard the variables that it shares with the loop that reads. A panic in
// it reaches the reader, after the results before it.
//
// The failure of an element comes in the element's place, as an [*ElementError] with its index, and the map goes on. Such failures are the
// function's error or panic, the loss of its worker, and an argument or a result that cannot be encoded. A loop that breaks ends the map:
// elements that have not begun are withdrawn, and the contexts of running tasks end. On goroutines and local processes no task begins after
// that, even of those that were sent ahead to a worker, except one that a worker is just about to begin. On ranks none begins once the
// message has arrived. [FailFast] ends the results with the first failure.
//
// A local process that dies costs the element that it was running, even within a chunk. A rank leaves no trace of how far it came: its loss
// costs the whole chunk. If the tasks are short it costs everything that was sent to it, up to two batches, each of about a millisecond.
//
// Any other error is no [*ElementError] and comes last: the end of ctx (it matches [ErrTimeout] if that was a deadline), [ErrDrained] when
// the program was told to end, [ErrShutdown], [ErrBroken], or a mistake in the call. It stands for all elements that were not read by then;
// results that have arrived come before it. The results can be read once, by one goroutine. Ranging over them again yields an error that
// matches [ErrInvalidState].
//
// If the executor takes no calls, that shows at the call, even if the input is empty. The one element is then [ErrShutdown] when the
// executor is shut down, started before or not, [ErrDrained] while the program is told to end, [ErrBroken] when it is broken. Elements that
// a sequence gives after a shutdown fail in the same way.
func Map[A, R any, S []A | iter.Seq[A]](ctx context.Context, ex Executor, fn Func[A, R], xs S, opts ...MapOption) iter.Seq2[R, error] {
	return mapOver[A, R](ctx, "Map", ex, fn, any(xs), opts)
}

// Starmap is [Map] for a function of several arguments, grouped in a [Pair] for [Spread], or in any struct.
func Starmap[A, R any, S []A | iter.Seq[A]](ctx context.Context, ex Executor, fn Func[A, R], xs S, opts ...MapOption) iter.Seq2[R, error] {
	return mapOver[A, R](ctx, "Starmap", ex, fn, any(xs), opts)
}

// only is a sequence of one error.
func only[R any](err error) iter.Seq2[R, error] {
	return func(yield func(R, error) bool) {
		var zero R
		yield(zero, err)
	}
}

func mapOver[A, R any](ctx context.Context, verb string, ex Executor, fn Func[A, R], xs any, opts []MapOption) iter.Seq2[R, error] {
	e, err := baseOf(ex)
	if err != nil {
		return only[R](err)
	}
	c, err := newMapConfig(verb, opts)
	if err == nil {
		err = e.usable(fn.f == nil, fn.f != nil && fn.f.local, fn.Name())
	}
	if err != nil {
		return only[R](err)
	}
	m, err := e.started()
	if err == nil { // now, not when the results are read, and whether there is anything to submit or not
		err = refusal(m.Refusal())
	}
	var number uint32
	if err == nil {
		number, err = fn.f.numberFor(e)
	}
	if err != nil {
		return only[R](err)
	}
	r := &mapping[A, R]{
		ctx: ctx, ex: e, master: m, fn: fn.f, number: number, chunk: c.chunk, unordered: c.unordered, arrivals: c.arrivals, counts: c.counts,
		task: c.task.over(fn.f.task).over(e.cfg.task), news: make(chan struct{}, 1), generation: e.generation.Load(),
	}
	r.flow = &dispatch.Flow{Priority: r.task.priority}
	rec, err := newRecording(e, fn.f, r.task.journal, r.generation, 0)
	if err != nil {
		return only[R](err)
	}
	if rec != nil {
		r.tells = rec.teller()
		r.chunk = 1 // an element is what is recorded
	}
	if c.failFast {
		r.failFast = new(dispatch.FailFast)
	}
	if r.task.again != nil {
		r.chunk = 1 // so that only what has failed runs again
	}
	r.feed.room.L = &r.mu
	r.came.chunk, r.came.unordered = r.chunk, r.unordered
	slice, isSlice := xs.([]A)
	total := len(slice)
	if !isSlice {
		total = progress.Unknown
	}
	r.progress = c.newProgress(verb, total)
	r.tally = mapTally{lock: &r.mu, name: c.progressName, function: fn.f.name, total: total}
	if !isSlice || c.hasBuffer {
		input, _ := xs.(iter.Seq[A])
		if isSlice {
			input = slices.Values(slice)
		}
		r.window, r.feed.fixed = c.buffer, true
		if !c.hasBuffer {
			r.window, r.feed.fixed = windowChunks*max(e.workers*e.slots, 1), false
		}
		r.feed.window = r.window
		return r.once(func(yield func(R, error) bool) { r.lazily(input, yield) })
	}
	r.submitSlice(slice)
	return r.once(func(yield func(R, error) bool) { r.results(yield) })
}

// How many chunks per worker a sequence is drawn ahead, and how many times that at most when they are so short that they travel in batches: as
// many as a batch has, and more of them if they are small.
const (
	windowChunks  = 4
	windowTiny    = 8
	windowTiniest = 64
	largestTiny   = 512 // bytes of a chunk
)

var errReadBefore = fmt.Errorf("futures: the results of a map can be read once, and have been read before (%w)", ErrInvalidState)

// once makes a sequence that can be ranged over one time.
func (r *mapping[A, R]) once(seq iter.Seq2[R, error]) iter.Seq2[R, error] {
	return func(yield func(R, error) bool) {
		if r.read.Swap(true) {
			var zero R
			yield(zero, errReadBefore)
			return
		}
		r.progress.Start(survive)
		defer r.progress.Stop()
		seq(yield)
	}
}

// newJob makes the job of the first n of some elements, of which the first is element number base: of all, unless one cannot be
// encoded. Then bad says why, and n is that one's place.
func (r *mapping[A, R]) newJob(xs []A, base, expect int, keys []resultlog.Key) (j *dispatch.Job, n int, bad error) {
	part := &mapPart[A, R]{r: r, base: base, keys: keys}
	j = &dispatch.Job{
		Func: r.number, Sink: part, Foreign: r.tells != nil, // what is copied for the journal, or encoded, delays nobody
		More: &dispatch.More{Chunk: r.chunk, Timeout: r.task.timeout, Grace: r.task.grace, Retries: r.task.retries, Again: r.task.again,
			Generation: r.generation, FailFast: r.failFast, Flow: r.flow, First: base},
	}
	n = len(xs)
	if !r.ex.shares {
		n, bad = r.encode(j, xs, expect)
	}
	part.count, j.More.Elements, j.Units = n, n, (n+r.chunk-1)/r.chunk
	if r.ex.shares {
		part.args, part.values = xs, make([]R, len(xs))
		if r.window == 0 && r.tells == nil {
			r.whole = part
		}
		j.Local = true
		return j, n, nil
	}
	part.reading = read(j.More.Segments)
	return j, n, bad
}

// encode makes the data of a job, of which it expects so many bytes, and returns how many elements it has. Elements with and
// without segments differ in form, so it begins again in the longer form when the first segment comes.
func (r *mapping[A, R]) encode(j *dispatch.Job, xs []A, expect int) (n int, bad error) {
	n = len(xs)
	bounded := r.chunk > 1 && r.fn.foreignArgs
	w := writers.Get().(*writer)
	defer writers.Put(w)
	w.enc.Reset()
	lent := len(xs) <= firstPart
	if !lent {
		scratch := w.enc.Stream
		w.enc.Stream = make([]byte, 0, expect)
		defer func() { w.enc.Stream = scratch }()
	}
	defer func() { clear(w.enc.Segments) }()
	w.enc.Threshold, w.enc.Snapshot = r.ex.threshold(), r.task.snapshot
	if r.chunk == 1 && r.fn.args.Number() {
		r.fn.args.EncodeEach(&w.enc, xs) // units of one element that are short
		xs = nil
	}
	for from := 0; from < len(xs) && bad == nil; from += r.chunk {
		begin, segs := len(w.enc.Stream), len(w.enc.Segments)
		w.enc.Stream = dispatch.OpenUnit(w.enc.Stream)
		for i := from; i < min(from+r.chunk, len(xs)); i++ {
			at, segments := len(w.enc.Stream), len(w.enc.Segments)
			if err := r.fn.args.Encode(&w.enc, &xs[i]); err != nil {
				n, bad = i, &codingError{fmt.Sprintf("the argument of %s cannot be encoded", r.fn.name), err}
				break
			}
			if bounded {
				w.enc.Bound(at, segments)
			}
		}
		if n == from {
			w.enc.Stream = w.enc.Stream[:begin]
			break
		}
		own := w.enc.Segments[segs:]
		if len(own) > 0 && !j.Buffers {
			j.Buffers = true
			unit := w.enc.Stream[begin:]
			w.enc.Stream = dispatch.WithCounts(w.enc.Stream[:begin], from/r.chunk)
			begin = len(w.enc.Stream)
			w.enc.Stream = append(w.enc.Stream, unit...)
		}
		w.enc.Stream = dispatch.CloseUnit(w.enc.Stream, begin, own, j.Buffers)
	}
	if j.Data = w.enc.Stream; lent {
		j.Data = slices.Clone(j.Data)
	}
	if len(w.enc.Segments) > 0 {
		j.More.Segments = slices.Clone(w.enc.Segments)
	}
	return n, bad
}

// submitSome submits the first of some elements, and has the one after them, if it cannot be encoded, fail in its place. It returns
// how many are dealt with.
func (r *mapping[A, R]) submitSome(xs []A, base, expect int) (n, bytes int, err error) {
	if r.tells != nil {
		return r.submitNew(xs, base)
	}
	return r.submitJob(xs, base, expect, nil)
}

// submitJob is submitSome for elements that are to run. With a journal they have keys.
func (r *mapping[A, R]) submitJob(xs []A, base, expect int, keys []resultlog.Key) (n, bytes int, err error) {
	j, n, bad := r.newJob(xs, base, expect, keys)
	r.mu.Lock()
	r.feed.lent = len(j.More.Segments) > 0
	r.total += n
	if n > 0 {
		r.feed.flying += j.Units
	}
	r.mu.Unlock()
	if n > 0 {
		bytes = len(j.Data) // what j is can change from here on
		if err = r.submit(j, base); err != nil {
			r.mu.Lock()
			r.total -= n
			r.feed.flying -= j.Units
			r.mu.Unlock()
			return 0, 0, err
		}
	}
	if bad != nil {
		r.mu.Lock()
		r.total++
		r.feed.flying++
		r.mu.Unlock()
		r.arrive(incoming{first: base + n, base: base + n, units: 1, raw: true, failed: 1, err: bad})
		n++
	}
	return n, bytes, nil
}

// How many elements of a slice are encoded until they are submitted: few at first, so that the workers begin.
const (
	firstPart   = 4 << 10
	largestPart = 64 << 10
)

// submitSlice submits all of a slice: as one job, unless that has to be encoded and cannot fail. Then the workers are at
// work on the first part while the others are encoded.
func (r *mapping[A, R]) submitSlice(xs []A) {
	r.drained = true
	if len(xs) == 0 {
		return
	}
	part := len(xs)
	if r.tells != nil || !r.ex.shares && r.fn.args.Codec().Plain() {
		part = firstPart
	}
	r.beginTold()
	r.flow.Elements = len(xs)
	r.attach()
	expect := 0
	for base := 0; base < len(xs); {
		n := min((part+r.chunk-1)/r.chunk*r.chunk, len(xs)-base)
		n, bytes, err := r.submitSome(xs[base:base+n], base, expect)
		if err != nil {
			r.mu.Lock()
			r.failed = err // what was submitted before comes first
			r.tally.total = r.total
			over := r.tally.add(0, 0, false)
			r.mu.Unlock()
			if over {
				r.ex.maps.end(&r.tally)
			}
			return
		}
		expect = (bytes/n + 1) * min(2*n, largestPart)
		base += n
		part = min(2*part, largestPart)
	}
}
