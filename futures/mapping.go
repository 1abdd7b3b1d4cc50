package futures

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/rankpool/rankpool/internal/dispatch"
	"github.com/rankpool/rankpool/internal/pkl5"
)

// mapping is a Map under way: what has come in and has not been read.
type mapping[A, R any] struct {
	ctx       context.Context
	ex        *executor
	master    *dispatch.Master
	fn        *function[A, R]
	chunk     int
	unordered bool
	arrivals  []func(int)     // told how many elements succeeded
	counts    []*atomic.Int64 // likewise
	untold    atomic.Int64    // elements that arrivals have not been told of
	task      taskConfig
	window    int
	read      atomic.Bool

	mu      sync.Mutex
	jobs    map[int]*dispatch.Job // submitted, by the number of the first element
	total   int                   // elements submitted
	drained bool                  // no more will be
	failed  error                 // why, if the input is not at its end
	whole   *mapPart[A, R]        // all of a slice, where nothing is encoded; else nil
	came    shelf                 // what was not read: by the number of the first element, or unordered, by that of its arrival
	put     int                   // arrivals
	taken   int                   // of them, those that were read
	ended   bool
	news    chan struct{} // something came

	dec    pkl5.Decoder
	value  R   // where a result stands while it is decoded: a variable of its own would be an allocation each
	block  []R // of numbers, likewise
	have   int // elements read
	detach func() bool

	feed feeder // of a sequence
}

// incoming is some consecutive elements that came in together.
type incoming struct {
	first  int    // number of the first element
	n      int    // how many elements
	units  int    // in how many chunks
	data   []byte // encoded results, each unit behind a header
	segs   [][]byte
	local  bool // nothing is encoded: the values stand in the mapping's whole
	values any  // []R: likewise, but they stand here
	raw    bool
	err    error // comes after the n elements
	late   bool  // came after the tasks' contexts had been ended: err may be just that
}

// mapPart is the sink of one job of a mapping.
type mapPart[A, R any] struct {
	reading reading // for the race detector
	r       *mapping[A, R]
	base    int // number of the job's first element
	count   int // how many elements it has
	args    []A // of a local job
	values  []R
	mu      sync.Mutex
	errs    map[int]error // of local units
	done    map[int]int   // elements that succeeded in a failed local unit
}

// attach has what is submitted withdrawn when ctx ends.
func (r *mapping[A, R]) attach() { r.detach = context.AfterFunc(r.ctx, r.giveUp) }

// submit queues a job.
func (r *mapping[A, R]) submit(j *dispatch.Job, base int) error {
	r.mu.Lock()
	if r.jobs == nil {
		r.jobs = map[int]*dispatch.Job{}
	}
	r.jobs[base] = j
	r.mu.Unlock()
	if err := r.master.Submit(j); err != nil {
		r.mu.Lock()
		delete(r.jobs, base) // there is nothing to take back
		r.mu.Unlock()
		j.Sink.(*mapPart[A, R]).reading.join()
		return refusal(err)
	}
	r.mu.Lock()
	ended := r.ended
	r.mu.Unlock()
	if ended {
		r.master.Withdraw(j)
	}
	return nil
}

// giveUp takes back what waits and ends the contexts of what runs.
func (r *mapping[A, R]) giveUp() {
	r.mu.Lock()
	r.ended = true
	jobs := r.jobs
	r.jobs = nil
	r.feed.room.Broadcast()
	r.mu.Unlock()
	for _, j := range jobs {
		r.master.Withdraw(j)
		j.Sink.(*mapPart[A, R]).reading.join()
	}
}

// finish is called when nobody reads any more.
func (r *mapping[A, R]) finish() {
	if r.detach != nil {
		r.detach()
	}
	r.giveUp()
	r.endFeed()
}

// arrive takes in news, on the goroutine of the link. It tells whether the data was copied.
func (r *mapping[A, R]) arrive(a incoming) (copied bool) {
	if a.n > 0 {
		for _, c := range r.counts {
			c.Add(int64(a.n))
		}
		if len(r.arrivals) > 0 && r.untold.Add(int64(a.n)) == int64(a.n) {
			r.ex.callbacks.Add(r.tellArrivals)
		}
	}
	r.mu.Lock()
	a.late = r.ended
	number := a.first
	if r.unordered {
		number = r.put
	}
	r.put++
	copied = r.came.put(number, a)
	r.mu.Unlock()
	r.wake()
	return copied
}

// tellArrivals tells the functions given to WithArrivals of what has come in since they were told last.
func (r *mapping[A, R]) tellArrivals() {
	n := int(r.untold.Swap(0))
	tellEach(r.arrivals, n)
}

// tellEach tells all, also when one ends the goroutine.
func tellEach(all []func(int), n int) {
	for i, tell := range all {
		returned := false
		defer func() {
			if !returned {
				tellEach(all[i+1:], n)
			}
		}()
		survive(func() { tell(n) })
		returned = true
	}
}

// wake has the reader look for what has come.
func (r *mapping[A, R]) wake() {
	select {
	case r.news <- struct{}{}:
	default:
	}
}

// next returns the next incoming to read, waiting for it until ctx ends. The second result is false at the end of the
// input.
func (r *mapping[A, R]) next() (incoming, bool, error) {
	for {
		a, ok, end := r.take()
		if ok || end {
			return a, ok, r.shortage(end)
		}
		if r.ctx.Err() != nil {
			return a, false, gaveUp(r.ctx, "the results of "+r.fn.name)
		}
		lent := r.lend()
		select {
		case <-r.news:
			lent.Return(true)
		case <-r.ctx.Done():
			lent.Return(false)
			if a, ok, end := r.take(); ok || end { // it came at the same time
				return a, ok, r.shortage(end)
			}
			return a, false, gaveUp(r.ctx, "the results of "+r.fn.name)
		}
	}
}

// shortage is why there is no more to read, if that is not the end of the input.
func (r *mapping[A, R]) shortage(end bool) error {
	if !end {
		return nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.failed
}

func (r *mapping[A, R]) take() (a incoming, ok, end bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if n := r.feed.read; n > 0 {
		r.feed.flying, r.feed.read = r.feed.flying-n, 0
		r.feed.room.Signal()
	}
	number := r.have
	if r.unordered {
		number = r.taken
	}
	if a, ok = r.came.take(number); ok {
		r.taken++
		r.have += a.n
		if r.window > 0 {
			delete(r.jobs, a.first) // of a sequence, each chunk is a job
			r.feed.read = a.units
		}
	}
	return a, ok, !ok && r.drained && r.have == r.total
}

// results yields what comes until the end.
func (r *mapping[A, R]) results(yield func(R, error) bool) {
	defer r.finish()
	for r.step(yield) {
	}
}

// step yields the elements of one arrival. It returns false at the end, after an error, or when the reader stops.
func (r *mapping[A, R]) step(yield func(R, error) bool) bool {
	var zero R
	a, ok, err := r.next()
	if err != nil {
		yield(zero, err)
		return false
	}
	if !ok {
		return false
	}
	values, local := a.values.([]R)
	if a.local {
		values, local = r.whole.values[a.first:a.first+a.n], true
	}
	if local {
		for i, v := range values {
			values[i] = zero // the map lives on, and must not hold what was read (C065)
			if !yield(v, nil) {
				return false
			}
		}
	} else if !r.decode(a, yield) {
		return false
	}
	if a.err != nil {
		if a.late && r.ctx.Err() != nil {
			a.err = gaveUp(r.ctx, "the results of "+r.fn.name)
		}
		yield(zero, a.err)
		return false
	}
	return true
}

// decode yields the elements of an arrival that was encoded.
func (r *mapping[A, R]) decode(a incoming, yield func(R, error) bool) bool {
	var zero R
	data, segs, left := a.data, a.segs, a.n // an arrival with segments is one unit
	r.dec.Reset(nil, segs)
	if !a.raw && r.chunk == 1 && r.fn.result.Number() {
		n, size, ok := r.numbers(data, left, yield)
		if !ok {
			return false
		}
		data, left = data[size:], left-n
	}
	for left > 0 {
		elements := left
		unit := data
		if !a.raw {
			length, size := int(data[0]>>2), 1
			if data[0] > 0x7F || data[0]&3 != 0 { // not as most are
				length, _, size = dispatch.ResultHeader(data)
			}
			unit, data = data[size:size+length], data[size+length:]
			elements = min(left, r.chunk)
		}
		r.dec.Continue(unit)
		for range elements {
			err := r.fn.result.Decode(&r.dec, &r.value)
			v := r.value
			r.value = zero
			if err != nil {
				yield(zero, fmt.Errorf("futures: the result of %s cannot be decoded: %w", r.fn.name, err))
				return false
			}
			if !yield(v, nil) {
				return false
			}
		}
		left -= elements
	}
	return true
}

// numbers yields the first of up to left numbers, each a unit of its own. It returns how many, and of how many bytes; what
// it stops at is read by itself. False says that the reader has stopped.
func (r *mapping[A, R]) numbers(data []byte, left int, yield func(R, error) bool) (n, size int, ok bool) {
	if r.block == nil {
		r.block = make([]R, 256)
	}
	for n < left {
		k, bytes := r.fn.result.DecodeEach(data[size:], dispatch.ResultShift, r.block[:min(left-n, len(r.block))])
		if k == 0 {
			break
		}
		n, size = n+k, size+bytes
		for _, v := range r.block[:k] {
			if !yield(v, nil) {
				return n, size, false
			}
		}
	}
	return n, size, true
}

// elements returns the number of the first element of some units, and how many they have.
func (p *mapPart[A, R]) elements(first, n, total int) (int, int) {
	from := first * p.r.chunk
	return p.base + from, min(total, from+n*p.r.chunk) - from
}

// Claim implements dispatch.Sink: the job of a Map is withdrawn, never refused.
func (p *mapPart[A, R]) Claim(int, int) bool { return true }

// Unclaim implements dispatch.Sink: what local units may have left behind that run again is forgotten.
func (p *mapPart[A, R]) Unclaim(first, n int) {
	if p.args == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for unit := first; unit < first+n && len(p.errs) > 0; unit++ {
		delete(p.errs, unit)
		delete(p.done, unit)
	}
}

// Results implements dispatch.Sink.
func (p *mapPart[A, R]) Results(first, n int, data []byte, segments [][]byte) bool {
	p.reading.join()
	from, count := p.elements(first, n, p.count)
	a := incoming{first: from, n: count, units: n, data: data, segs: segments}
	if a.local = p == p.r.whole; p.args != nil && !a.local {
		a.values = p.values[from-p.base : from-p.base+count]
	}
	return !p.r.arrive(a)
}

// Fail implements dispatch.Sink.
func (p *mapPart[A, R]) Fail(unit, done int, data []byte, segments [][]byte, err error) {
	p.reading.join()
	from, _ := p.elements(unit, 1, p.count)
	a := incoming{first: from, n: done, units: 1, data: data, segs: segments, raw: true, err: err}
	if p.args != nil {
		p.mu.Lock()
		a.n = p.done[unit]
		if err == nil {
			a.err = p.errs[unit]
		}
		p.mu.Unlock()
		a.values = p.values[from-p.base : from-p.base+a.n]
	}
	p.r.arrive(a)
}

// Drop implements dispatch.Sink.
func (p *mapPart[A, R]) Drop(first, n int, why error) {
	if errors.Is(why, dispatch.ErrDropped) {
		why = ErrCancelled
	}
	p.reading.join()
	from, _ := p.elements(first, n, p.count)
	p.r.arrive(incoming{first: from, units: n, raw: true, err: why})
}

// Run implements dispatch.Local.
func (p *mapPart[A, R]) Run(ctx context.Context, u *dispatch.Units) bool {
	if p.r.chunk == 1 {
		return p.runSingly(ctx, u)
	}
	for {
		if !p.runChunk(ctx, u.Unit) {
			return false
		}
		if !u.Next() {
			return true
		}
	}
}

// runSingly is Run for units of one element.
func (p *mapPart[A, R]) runSingly(ctx context.Context, u *dispatch.Units) bool {
	args, values, call := p.args, p.values[:len(p.args)], p.r.fn.call
	for {
		v, err := call(ctx, args[u.Unit])
		if err != nil {
			p.note(u.Unit, 0, overTime(ctx, err))
			return false
		}
		values[u.Unit] = v
		if !u.Next() {
			return true
		}
	}
}

// runChunk runs the elements of one unit.
func (p *mapPart[A, R]) runChunk(ctx context.Context, unit int) bool {
	from, n := p.elements(unit, 1, p.count)
	from -= p.base
	v, err := p.r.fn.call(ctx, p.args[from]) // if it does not return, the unit has come no way
	if err != nil {
		p.note(unit, 0, overTime(ctx, err))
		return false
	}
	p.values[from] = v
	for i := from + 1; i < from+n; i++ {
		v, err := p.call(ctx, unit, i, from)
		if err != nil {
			p.note(unit, i-from, overTime(ctx, err))
			return false
		}
		p.values[i] = v
	}
	return true
}

// call calls the function for one element; if it does not return, how far the unit came is noted.
func (p *mapPart[A, R]) call(ctx context.Context, unit, i, from int) (R, error) {
	returned := false
	defer func() {
		if !returned {
			p.note(unit, i-from, nil)
		}
	}()
	v, err := p.r.fn.call(ctx, p.args[i])
	returned = true
	return v, err
}

func (p *mapPart[A, R]) note(unit, done int, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.errs == nil {
		p.errs, p.done = map[int]error{}, map[int]int{}
	}
	p.errs[unit], p.done[unit] = err, done
}

// NeedsContext implements dispatch.Local.
func (p *mapPart[A, R]) NeedsContext() bool { return p.r.fn.context }

// Failure implements dispatch.Local.
func (p *mapPart[A, R]) Failure(unit int) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.errs[unit]
}

// Failed implements dispatch.Local.
func (p *mapPart[A, R]) Failed(unit int, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.errs == nil {
		p.errs, p.done = map[int]error{}, map[int]int{}
	}
	p.errs[unit] = err
}
