package futures

import (
	"fmt"
	"iter"
	"log/slog"
	"runtime"
	"runtime/debug"
	"sync"
)

// feeder draws the sequence that a Map is given, on a goroutine of its own: a sequence that waits, for input or for a
// result of its own map, holds up nothing that is there to be read, and not the end of the context. Another goroutine, which
// exists while there is something to do, submits what was drawn meanwhile as one job: a sequence that is faster than that
// has its elements travel together, and one that is slower has each submitted at once. The mapping's lock guards it.
type feeder[A any] struct {
	room   sync.Cond // flying has become less, what was drawn is submitted, or the mapping has ended
	flying int       // chunks drawn and not read whole
	read   int       // of them, those in the hands of the reader, which has not come back for more
	window int       // how many there may be
	fixed  bool      // the window stays as it is
	lent   bool      // the elements of the job that was made last are sent from where they are
	inside bool      // the sequence is between two elements, in our hands
	drawn  []A       // and not submitted
	spare  []A       // memory for the next ones
	over   bool      // no more will be drawn
	busy   bool      // what was drawn is being submitted
	ended  chan struct{}
	escape *escape // how the sequence ended, if it did not return
}

// escape is a panic, or a call of runtime.Goexit, on its way to another goroutine.
type escape struct {
	value any // nil: Goexit
	stack []byte
}

// log tells of a panic that no reader is told of.
func (e *escape) log(of string) {
	if e != nil && e.value != nil {
		log(slog.LevelError, "futures: "+of+" panicked after the map had ended", "panic", fmt.Sprint(e.value), "stack", string(e.stack))
	}
}

// lazily draws the input while the results are read.
func (r *mapping[A, R]) lazily(input iter.Seq[A], yield func(R, error) bool) {
	defer r.finish()
	if r.ctx.Err() != nil {
		var zero R
		yield(zero, gaveUp(r.ctx, "the results of "+r.fn.name))
		return
	}
	r.beginTold()
	r.attach()
	r.feed.ended = make(chan struct{})
	go r.draw(input)
	for r.step(yield) {
	}
	r.escaped()
}

// draw draws the input, as there is room.
func (r *mapping[A, R]) draw(input iter.Seq[A]) {
	defer close(r.feed.ended)
	returned, cut := false, false
	defer func() {
		var e *escape
		if !returned {
			e = &escape{value: recover(), stack: debug.Stack()}
		}
		r.mu.Lock()
		r.feed.over = true
		r.submitting()
		for r.feed.busy {
			r.feed.room.Wait()
		}
		if r.feed.escape == nil {
			r.feed.escape = e
		}
		if !cut || r.failed != nil { // else the rest of the input has not been drawn, because the map's context has ended
			r.wholeInput()
		}
		late := r.ended
		r.mu.Unlock()
		r.wake()
		if late { // nobody reads any more
			e.log("the sequence given to a Map")
		}
	}()
	for x := range input {
		if !r.offer(x) {
			cut = true
			break
		}
	}
	returned = true
}

// wholeInput notes that no element follows those that were submitted. The lock is held.
func (r *mapping[A, R]) wholeInput() {
	r.drained = true
	r.tally.total = r.total
}

// offer has an element submitted and waits until there is room for another one. False says that there will be none.
func (r *mapping[A, R]) offer(x A) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.feed.drawn)%r.chunk == 0 {
		r.feed.flying++
	}
	r.feed.drawn = append(r.feed.drawn, x)
	if len(r.feed.drawn)%r.chunk != 0 {
		return !r.over()
	}
	r.feed.inside = true
	r.submitting()
	for r.feed.flying >= r.feed.window && !r.over() {
		r.feed.room.Wait()
	}
	r.feed.inside = r.ended
	return !r.over()
}

// over tells whether nothing more is to be drawn. The lock is held.
func (r *mapping[A, R]) over() bool { return r.ended || r.failed != nil || r.feed.escape != nil }

// submitting sees to it that what was drawn is submitted. The lock is held.
func (r *mapping[A, R]) submitting() {
	if !r.feed.busy && r.ready() > 0 {
		r.feed.busy = true
		go r.submitDrawn()
	}
}

// ready returns how many elements are to be submitted: whole chunks, and the rest of a sequence that has ended. The lock is held.
func (r *mapping[A, R]) ready() int {
	n := len(r.feed.drawn)
	switch {
	case r.over():
		return 0
	case !r.feed.over:
		n -= n % r.chunk
	}
	return n
}

// submitDrawn submits what was drawn, and what is drawn meanwhile.
func (r *mapping[A, R]) submitDrawn() {
	returned := false
	r.mu.Lock()
	defer func() {
		var e *escape
		if !returned { // encoding an argument has ended the goroutine
			e = &escape{value: recover(), stack: debug.Stack()}
			r.mu.Lock()
			r.feed.escape = e
			r.wholeInput()
		}
		r.feed.busy = false
		r.feed.room.Broadcast()
		late := r.ended
		r.mu.Unlock()
		r.wake()
		if late {
			e.log("the encoding of an argument of a Map")
		}
	}()
	for n := r.ready(); n > 0; n = r.ready() {
		xs := r.feed.drawn[:n:n]
		r.feed.drawn = append(r.feed.spare[:0], r.feed.drawn[n:]...)
		r.mu.Unlock()
		lent, bytes, err := r.submitAll(xs)
		if r.feed.spare = nil; !lent && !r.ex.shares { // else the tasks have it
			clear(xs)
			r.feed.spare = xs
		}
		window := r.window
		if !r.feed.fixed {
			window *= r.ahead(bytes/n, lent)
		}
		r.mu.Lock()
		r.feed.flying -= (n + r.chunk - 1) / r.chunk // they count as submitted now
		r.feed.window = window
		if err != nil {
			r.failed = err // what was submitted before comes first
			r.wholeInput()
		}
		r.feed.room.Broadcast()
	}
	returned = true
}

// submitAll submits some elements.
func (r *mapping[A, R]) submitAll(xs []A) (lent bool, bytes int, err error) {
	for len(xs) > 0 && err == nil {
		var n, size int
		n, size, err = r.submitSome(xs, r.total, 0)
		lent = lent || r.feed.lent
		bytes += size
		xs = xs[n:]
	}
	return lent, bytes, err
}

// ahead returns how many times the chunks of a worker are drawn ahead, when an element takes so many bytes, and perhaps segments.
func (r *mapping[A, R]) ahead(bytes int, lent bool) int {
	most := windowTiniest
	if lent || bytes*r.chunk > largestTiny {
		most = windowTiny
	}
	return min(r.master.Together(r.number, r.chunk), most)
}

// endFeed lets a sequence that has given an element clean up before the map returns. One that is at work on the next
// cannot be waited for: it ends after that.
func (r *mapping[A, R]) endFeed() {
	r.mu.Lock()
	for r.feed.busy { // the elements are its until then
		r.feed.room.Wait()
	}
	inside := r.feed.inside
	r.mu.Unlock()
	if inside {
		<-r.feed.ended
	}
}

// escaped does in the reader what the sequence did that did not return, once everything before has been read.
func (r *mapping[A, R]) escaped() {
	r.mu.Lock()
	e, end := r.feed.escape, r.drained && r.have == r.total
	r.mu.Unlock()
	switch {
	case e == nil || !end:
	case e.value != nil:
		panic(e.value)
	default:
		runtime.Goexit()
	}
}
