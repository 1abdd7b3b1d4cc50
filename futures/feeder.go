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
// result of its own map, holds up nothing that is there to be read, and not the end of the context. The mapping's lock
// guards it.
type feeder struct {
	room   sync.Cond // flying has become less, or the mapping has ended
	flying int       // chunks submitted and not read whole
	read   int       // of them, those in the hands of the reader, which has not come back for more
	fixed  bool      // the window stays as it is
	lent   bool      // the elements are sent from where they are
	inside bool      // the sequence is between two elements, in our hands
	ended  chan struct{}
	escape *escape // how the sequence ended, if it did not return
}

// escape is a panic, or a call of runtime.Goexit, on its way to another goroutine.
type escape struct {
	value any // nil: Goexit
	stack []byte
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

// draw submits the input, chunk by chunk, as there is room.
func (r *mapping[A, R]) draw(input iter.Seq[A]) {
	defer close(r.feed.ended)
	returned, cut := false, false
	defer func() {
		var e *escape
		if !returned {
			e = &escape{value: recover(), stack: debug.Stack()}
		}
		r.mu.Lock()
		r.drained, r.feed.escape = !cut || r.failed != nil, e // else the rest of the input has not been drawn, because the map's context has ended
		if r.drained {
			r.tally.total = r.total
		}
		late := r.ended
		r.mu.Unlock()
		r.wake()
		if late && e != nil && e.value != nil { // nobody reads any more
			log(slog.LevelError, "futures: the sequence given to a Map panicked after the map had ended",
				"panic", fmt.Sprint(e.value), "stack", string(e.stack))
		}
	}()
	chunk := make([]A, 0, min(r.chunk, firstPart))
	for x := range input {
		chunk = append(chunk, x)
		if len(chunk) < r.chunk {
			continue
		}
		if !r.offer(chunk) {
			chunk, cut = nil, true
			break
		}
		if chunk = chunk[:0]; r.ex.shares || r.feed.lent {
			chunk = make([]A, 0, min(r.chunk, firstPart)) // the tasks have the other one
		}
	}
	if len(chunk) > 0 {
		r.offer(chunk)
	}
	returned = true
}

// offer submits some elements and waits until there is room for more. False says that there will be none.
func (r *mapping[A, R]) offer(xs []A) bool {
	r.mu.Lock()
	r.feed.inside = true
	r.mu.Unlock()
	lent := false
	for len(xs) > 0 {
		n, _, err := r.submitSome(xs, r.total, 0)
		lent = lent || r.feed.lent
		if err != nil {
			r.mu.Lock()
			defer r.mu.Unlock()
			r.failed = err // what was submitted before comes first
			return false
		}
		xs = xs[n:]
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.feed.lent = lent
	window := r.window
	if !r.feed.fixed && r.master.Tiny(r.number, r.chunk) {
		window *= windowTiny
	}
	for r.feed.flying >= window && !r.ended {
		r.feed.room.Wait()
	}
	r.feed.inside = r.ended
	return !r.ended
}

// endFeed lets a sequence that has given an element clean up before the map returns. One that is at work on the next
// cannot be waited for: it ends after that.
func (r *mapping[A, R]) endFeed() {
	r.mu.Lock()
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
