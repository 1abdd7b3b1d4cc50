package futures

import (
	"context"
	"fmt"
	"iter"
	"slices"
	"sync"
)

// AsCompleted yields each of fs once, as soon as it is done. Futures that are done already come first, in the order of fs. The others
// follow as they finish, even those that finish while the consumer is busy. Failed and cancelled futures are yielded like any other; the
// error beside them is nil.
//
// ctx bounds the whole iteration. When it ends and nothing done is left to yield, the last element is an error and no future. The error
// matches the error of ctx, and [ErrTimeout] as well if that was a deadline.
//
// If one of fs is nil, the only element is an error. fs is read at the call. The sequence attaches nothing to the futures before it is
// ranged over, and leaves nothing attached when that ends, early or not. A range keeps no future that it has yielded. Ranging again starts
// over. Only waiting for the next future blocks.
func AsCompleted[F Awaitable](ctx context.Context, fs []F) iter.Seq2[F, error] {
	if slices.ContainsFunc(fs, missing) {
		return only[F](errNoFuture)
	}
	fs = distinct(fs)
	return func(yield func(F, error) bool) {
		s := arrivals[F]{ready: make(chan struct{}, 1)}
		defer s.detach()
		s.attach(fs)
		for left := len(fs); left > 0; left-- {
			a := s.next(ctx)
			if a == nil {
				var none F
				yield(none, gaveUp(ctx, fmt.Sprintf("%d of %d futures", left, len(fs))))
				return
			}
			if !yield(a.leave(), nil) {
				return
			}
		}
	}
}

// arrivals is a queue of futures that are done.
type arrivals[F Awaitable] struct {
	all   []arrival[F]
	ready chan struct{} // holds a token after the queue was added to

	wanted *wanted // by a task; nil before it waits

	mu         sync.Mutex
	head, tail *arrival[F]
}

// arrival is the hook on one future, and its place in the queue.
type arrival[F Awaitable] struct {
	node node[hook]
	f    F
	s    *arrivals[F]
	next *arrival[F]
}

// attach queues the futures that are done and follows the others.
func (s *arrivals[F]) attach(fs []F) {
	s.all = make([]arrival[F], len(fs))
	for i, f := range fs {
		a := &s.all[i]
		a.f, a.s = f, s
		if f.base().isDone() {
			a.fire()
		} else {
			a.node.to = a
		}
	}
	for i := range s.all {
		if a := &s.all[i]; a.node.to != nil && !a.f.base().follow(&a.node) {
			a.fire()
		}
	}
}

// detach leaves the futures that were not yielded.
func (s *arrivals[F]) detach() {
	for i := range s.all {
		if a := &s.all[i]; a.s != nil {
			a.f.base().unfollow(&a.node)
		}
	}
}

// leave returns the future, which is kept no longer.
func (a *arrival[F]) leave() F {
	f := a.f
	var none F
	a.f, a.s = none, nil
	return f
}

func (a *arrival[F]) fire() *callbackList {
	s := a.s
	s.mu.Lock()
	if s.tail == nil {
		s.head = a
	} else {
		s.tail.next = a
	}
	s.tail = a
	s.mu.Unlock()
	select {
	case s.ready <- struct{}{}:
	default:
	}
	return nil
}

// pop takes the first of the queue, or nil.
func (s *arrivals[F]) pop() *arrival[F] {
	s.mu.Lock()
	defer s.mu.Unlock()
	a := s.head
	if a == nil {
		return nil
	}
	if s.head = a.next; s.head == nil {
		s.tail = nil
	}
	return a
}

// next blocks for the next of the queue. It returns nil when ctx has ended and the queue is empty.
func (s *arrivals[F]) next(ctx context.Context) *arrival[F] {
	for {
		if a := s.pop(); a != nil {
			return a
		}
		lent := s.lend(ctx)
		select {
		case <-s.ready:
			lent.Return(true)
		case <-ctx.Done():
			lent.Return(false)
			return s.pop()
		}
	}
}
