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
	number    uint32 // of fn
	chunk     int
	unordered bool
	arrivals  []func(int)     // told how many elements succeeded
	counts    []*atomic.Int64 // likewise
	untold    atomic.Int64    // elements that arrivals have not been told of
	task      taskConfig
	window    int
	failFast  bool
	over      atomic.Int64 // elements that are over, for the progress
	read      atomic.Bool
	left      atomic.Bool // nobody wants results any more

	mu      sync.Mutex
	jobs    map[int]*dispatch.Job // submitted, by the number of the first element
	total   int                   // elements submitted
	drained bool                  // no more will be
	failed  error                 // why, if the input is not at its end
	first   error                 // the failure that ends the map at once: see FailFast
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
	gaveUp chan struct{} // closed when what detach stops has run, or never will

	feed feeder // of a sequence
}

// incoming is some consecutive elements that came in together.
type incoming struct {
	first  int    // number of the first element
	n      int    // how many elements have succeeded
	units  int    // how many chunks end with it
	base   int    // number of the first element of the job, where each chunk is one
	data   []byte // encoded results, each unit behind a header
	segs   [][]byte
	local  bool  // nothing is encoded: the values stand in the mapping's whole
	values any   // []R: likewise, but they stand here
	raw    bool  // data has no headers
	failed int   // how many elements after the n have failed
	err    error // why; without any it ends the map
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
	local   map[int]*outcome // of local units that have not succeeded as a whole
}

// outcome is how far a unit has come that runs by reference, and what has failed of it.
type outcome struct {
	at     int // the element that runs
	failed []failure
}

// failure is some consecutive elements of a unit that have failed.
type failure struct {
	at, n int
	err   error
}

// attach has what is submitted withdrawn when ctx ends.
func (r *mapping[A, R]) attach() {
	r.gaveUp = make(chan struct{})
	r.detach = context.AfterFunc(r.ctx, func() {
		defer close(r.gaveUp)
		r.giveUp()
	})
}

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
		j.Sink.(*mapPart[A, R]).reading.join()
	}
	return nil
}

// giveUp takes back what waits and ends the contexts of what runs.
func (r *mapping[A, R]) giveUp() {
	r.left.Store(true)
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
		if r.detach() {
			close(r.gaveUp)
		}
		<-r.gaveUp // what has begun to withdraw ends before the elements are the caller's again
	}
	r.giveUp()
	r.endFeed()
}

// arrive takes in news, on the goroutine of the link. It tells whether the data was copied.
func (r *mapping[A, R]) arrive(a incoming) (copied bool) {
	r.over.Add(int64(a.n + a.failed))
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
	if a.failed > 0 {
		r.failAt(a.first+a.n, a.err)
	}
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

// failAt notes the failure of an element that ends the map at once, if one does. The lock is held.
func (r *mapping[A, R]) failAt(index int, err error) {
	if r.failFast && r.first == nil && !r.ended {
		r.first = newElementError(index, r.fn.name, err)
	}
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
	if r.first != nil {
		return r.first
	}
	return r.failed
}

func (r *mapping[A, R]) take() (a incoming, ok, end bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if n := r.feed.read; n > 0 {
		r.feed.flying, r.feed.read = r.feed.flying-n, 0
		r.feed.room.Signal()
	}
	if r.first != nil {
		return a, false, true
	}
	number := r.have
	if r.unordered {
		number = r.taken
	}
	if a, ok = r.came.take(number); ok {
		r.taken++
		r.have += a.n + a.failed
		if r.window > 0 && a.units > 0 {
			delete(r.jobs, a.base) // of a sequence, each chunk is a job
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
	if a.err == nil {
		return true
	}
	switch {
	case a.late && r.ctx.Err() != nil:
		yield(zero, gaveUp(r.ctx, "the results of "+r.fn.name))
		return false
	case a.failed == 0:
		yield(zero, a.err)
		return false
	}
	for i := range a.failed {
		if !yield(zero, newElementError(a.first+a.n+i, r.fn.name, a.err)) {
			return false
		}
	}
	return true
}

// decode yields the elements of an arrival that was encoded.
func (r *mapping[A, R]) decode(a incoming, yield func(R, error) bool) bool {
	var zero R
	data, segs, left := a.data, a.segs, a.n // an arrival with segments is one unit
	bounded := r.chunk > 1 && r.fn.foreign
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
		for i := 0; i < elements; i++ {
			err := r.decodeNext(bounded)
			v := r.value
			r.value = zero
			if err == nil {
				if !yield(v, nil) {
					return false
				}
				continue
			}
			for rest := true; rest; rest = !bounded && i < elements { // else nobody knows where the next one begins
				if !yield(zero, r.undecodable(a.first+a.n-left+i, err)) {
					return false
				}
				i++
			}
			i--
		}
		left -= elements
	}
	return true
}

// decodeNext decodes the next result.
func (r *mapping[A, R]) decodeNext(bounded bool) error {
	if !bounded {
		return r.fn.result.Decode(&r.dec, &r.value)
	}
	var d pkl5.Decoder
	if err := r.dec.Split(&d); err != nil {
		return err
	}
	return r.fn.result.Decode(&d, &r.value)
}

// undecodable is the error of an element whose result has come and cannot be decoded.
func (r *mapping[A, R]) undecodable(index int, err error) error {
	return newElementError(index, r.fn.name, &codingError{fmt.Sprintf("the result of %s cannot be decoded", r.fn.name), err})
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
	for unit := first; unit < first+n && len(p.local) > 0; unit++ {
		delete(p.local, unit)
	}
}

// Results implements dispatch.Sink.
func (p *mapPart[A, R]) Results(first, n int, data []byte, segments [][]byte) bool {
	p.reading.join()
	from, count := p.elements(first, n, p.count)
	a := incoming{first: from, n: count, units: n, base: p.base, data: data, segs: segments}
	if a.local = p == p.r.whole; p.args != nil && !a.local {
		a.values = p.values[from-p.base : from-p.base+count]
	}
	return !p.r.arrive(a)
}

// Part implements dispatch.Sink.
func (p *mapPart[A, R]) Part(unit int, part dispatch.Part) {
	p.reading.join()
	from, _ := p.elements(unit, 1, p.count)
	if p.args != nil && part.Err == nil {
		p.localParts(unit)
		return
	}
	a := incoming{first: from + part.At, n: part.Done, base: p.base, data: part.Data, segs: part.Segments, raw: true, failed: part.Failed, err: part.Err}
	if part.Last {
		a.units = 1
	}
	p.r.arrive(a)
}

// localParts tells the mapping what has become of the elements of a unit that has run by reference.
func (p *mapPart[A, R]) localParts(unit int) {
	from, n := p.elements(unit, 1, p.count)
	p.mu.Lock()
	failed := p.outcome(unit).failed
	delete(p.local, unit)
	p.mu.Unlock()
	at := 0
	for _, f := range append(failed, failure{at: n}) {
		a := incoming{first: from + at, n: f.at - at, base: p.base, raw: true, failed: f.n, err: f.err}
		if a.n > 0 {
			a.values = p.values[a.first-p.base : a.first-p.base+a.n]
		}
		if at = f.at + f.n; at == n {
			a.units = 1
		}
		if a.n+a.failed > 0 {
			p.r.arrive(a)
		}
	}
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
			p.fail(u.Unit, 0, 1, overTime(ctx, err))
			return false
		}
		values[u.Unit] = v
		if !u.Next() {
			return true
		}
	}
}

// runChunk runs the elements of one unit, from the one on at which it stands. It returns false if any has failed.
func (p *mapPart[A, R]) runChunk(ctx context.Context, unit int) (ok bool) {
	from, n := p.elements(unit, 1, p.count)
	from -= p.base
	at, ok := p.begin(unit)
	returned := false
	defer func() {
		if !returned {
			p.stand(unit, at)
		}
	}()
	for ; at < n; at++ {
		if at > 0 && p.r.left.Load() {
			p.fail(unit, at, n-at, context.Canceled)
			ok = false
			break
		}
		v, err := p.r.fn.call(ctx, p.args[from+at])
		if err != nil {
			ok = false
			rest := 1
			if err = overTime(ctx, err); ctx.Err() != nil { // the time is the chunk's
				rest = n - at
			}
			p.fail(unit, at, rest, err)
			at += rest - 1
			continue
		}
		p.values[from+at] = v
	}
	returned = true
	return ok
}

// begin returns the element at which a unit stands, and whether none has failed so far.
func (p *mapPart[A, R]) begin(unit int) (at int, ok bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if o := p.local[unit]; o != nil {
		return o.at, len(o.failed) == 0
	}
	return 0, true
}

// outcome returns what is known of a unit. The lock is held.
func (p *mapPart[A, R]) outcome(unit int) *outcome {
	o := p.local[unit]
	if o == nil {
		if p.local == nil {
			p.local = map[int]*outcome{}
		}
		o = new(outcome)
		p.local[unit] = o
	}
	return o
}

// stand notes the element whose call does not return.
func (p *mapPart[A, R]) stand(unit, at int) {
	p.mu.Lock()
	p.outcome(unit).at = at
	p.mu.Unlock()
}

// fail notes the failure of n elements of a unit.
func (p *mapPart[A, R]) fail(unit, at, n int, err error) {
	p.mu.Lock()
	o := p.outcome(unit)
	o.failed = append(o.failed, failure{at, n, err})
	o.at = at + n
	p.mu.Unlock()
	if p.r.failFast && p.r.chunk > 1 { // the rest of the chunk may take long
		p.r.mu.Lock()
		p.r.failAt(p.base+unit*p.r.chunk+at, err)
		p.r.mu.Unlock()
		p.r.wake()
	}
}

// NeedsContext implements dispatch.Local.
func (p *mapPart[A, R]) NeedsContext() bool { return p.r.fn.context }

// Failure implements dispatch.Local.
func (p *mapPart[A, R]) Failure(unit int) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if o := p.local[unit]; o != nil && len(o.failed) > 0 {
		return o.failed[0].err
	}
	return nil
}

// Failed implements dispatch.Local.
func (p *mapPart[A, R]) Failed(unit int, err error) (more bool) {
	_, n := p.elements(unit, 1, p.count)
	at, _ := p.begin(unit)
	p.fail(unit, at, 1, err)
	return at+1 < n
}
