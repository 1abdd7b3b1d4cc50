package futures

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/rankpool/rankpool/internal/dispatch"
	"github.com/rankpool/rankpool/internal/pkl5"
	"github.com/rankpool/rankpool/internal/progress"
	"github.com/rankpool/rankpool/internal/resultlog"
)

// mapping is a Map under way: what has come in and has not been read.
type mapping[A, R any] struct {
	ctx        context.Context
	ex         *executor
	master     *dispatch.Master
	fn         *function[A, R]
	number     uint32 // of fn
	chunk      int
	unordered  bool
	arrivals   []func(int)     // told how many elements succeeded
	counts     []*atomic.Int64 // likewise
	untold     atomic.Int64    // elements that arrivals have not been told of
	task       taskConfig
	tells      *teller[A, R] // nil: nothing is recorded; used by the goroutine that submits
	window     int
	flow       *dispatch.Flow       // of its jobs
	generation *dispatch.Generation // of the globals, for all its elements
	failFast   *dispatch.FailFast   // nil: the map goes on after a failure
	progress   *progress.Progress   // nil: not shown
	tally      mapTally
	read       atomic.Bool
	left       atomic.Bool // nobody wants results any more

	mu      sync.Mutex
	jobs    map[int]flight // submitted, by the number of the first element
	total   int            // elements submitted
	drained bool           // no more will be
	failed  error          // why, if the input is not at its end
	first   error          // the failure that ends the map at once: see FailFast
	whole   *mapPart[A, R] // all of a slice, where nothing is encoded; else nil
	came    shelf          // what was not read: by the number of the first element, or unordered, by that of its arrival
	put     int            // arrivals
	taken   int            // of them, those that were read
	ended   bool
	news    chan struct{} // something came

	dec    pkl5.Decoder
	value  R   // where a result stands while it is decoded: a variable of its own would be an allocation each
	block  []R // of numbers, likewise
	have   int // elements read
	detach func() bool
	gaveUp chan struct{} // closed when what detach stops has run, or never will

	feed feeder[A] // of a sequence
}

// flight is a job of a mapping.
type flight struct {
	job   *dispatch.Job
	units int // that were not read, of a sequence
}

// incoming is some consecutive elements that came in together.
type incoming struct {
	first  int    // number of the first element
	n      int    // how many elements have succeeded
	units  int    // how many chunks end with it
	base   int    // number of the first element of the job, where each chunk is one
	data   []byte // encoded results, each unit behind a header
	segs   [][]byte
	local  bool             // nothing is encoded: the values stand in the mapping's whole
	values any              // []R: likewise, but they stand here
	raw    bool             // data has no headers
	failed int              // how many elements after the n have failed
	err    error            // why; without any it ends the map
	large  *resultlog.Large // the result is in a journal, and read with it
	late   bool             // came after the tasks' contexts had been ended: err may be just that
}

// beginTold notes the map among those of the executor, before anything of it is submitted.
func (r *mapping[A, R]) beginTold() {
	r.ex.maps.begin(&r.tally)
	r.flow.Number = r.tally.number
}

// attach has what is submitted withdrawn when ctx ends.
func (r *mapping[A, R]) attach() {
	r.gaveUp = make(chan struct{})
	r.detach = context.AfterFunc(r.ctx, func() {
		defer close(r.gaveUp)
		r.giveUp()
	})
}

// submit queues a job, unless the map has ended: the sequence may have been at work meanwhile. Should it end from here on, giveUp finds the
// job, and the master does not queue what was withdrawn before.
func (r *mapping[A, R]) submit(j *dispatch.Job, base int) error {
	r.mu.Lock()
	if r.ended {
		r.mu.Unlock()
		j.Sink.(*mapPart[A, R]).reading.join()
		return nil
	}
	if r.jobs == nil {
		r.jobs = map[int]flight{}
	}
	r.jobs[base] = flight{j, j.Units}
	r.mu.Unlock()
	if err := r.master.Submit(j); err != nil {
		r.mu.Lock()
		delete(r.jobs, base) // there is nothing to take back
		r.mu.Unlock()
		j.Sink.(*mapPart[A, R]).reading.join()
		return refusal(err)
	}
	return nil
}

// giveUp takes back what waits and ends the contexts of what runs.
func (r *mapping[A, R]) giveUp() {
	r.left.Store(true)
	r.ex.maps.end(&r.tally)
	r.mu.Lock()
	r.ended = true
	jobs := make([]*dispatch.Job, 0, len(r.jobs))
	for _, f := range r.jobs {
		jobs = append(jobs, f.job)
	}
	r.jobs = nil
	r.feed.room.Broadcast()
	r.mu.Unlock()
	if len(jobs) > 0 {
		r.master.Withdraw(jobs...) // together: else a worker that the first sets free begins a unit of the next
	}
	for _, j := range jobs {
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
	r.progress.Add(a.n+a.failed, a.failed)
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
	over := r.tally.add(a.n, a.failed, a.err != nil && a.failed == 0)
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
	if over {
		r.ex.maps.end(&r.tally)
	}
	r.wake()
	return copied
}

// failAt notes the failure of an element that ends the map at once, if one does. The lock is held.
func (r *mapping[A, R]) failAt(index int, err error) {
	if r.failFast != nil && r.first == nil && !r.ended {
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
			r.feed.read = a.units
			if f, ok := r.jobs[a.base]; ok {
				if f.units -= a.units; f.units == 0 {
					delete(r.jobs, a.base)
				} else {
					r.jobs[a.base] = f
				}
			}
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
	if a.large != nil {
		if a.data, a.segs, err = a.large.Read(); err != nil {
			return yield(zero, newElementError(a.first, r.fn.name, err))
		}
	}
	values, local := a.values.([]R)
	if a.local {
		values, local = r.whole.values[a.first:a.first+a.n], true
	}
	if local {
		for i, v := range values {
			values[i] = zero // the map lives on, and must not hold what was read
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
			size := 1
			length, short := dispatch.ShortResult(data[0])
			if !short {
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
