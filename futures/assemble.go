package futures

import (
	"sync/atomic"

	"github.com/rankpool/rankpool/internal/lane"
)

// Part is one of the futures that [Assemble] combines, with the place of its result. [Field] makes it.
type Part interface {
	from() *core
	put() // when that has succeeded
}

// Field makes a [Part] that stores the result of from in *to, a place in the value that is given to [Assemble]. It panics if to is nil. A
// nil future counts as failed.
func Field[T any](to *T, from *Future[T]) Part {
	if to == nil {
		panic("futures: Field: the pointer is nil; pass the address of a field")
	}
	return &field[T]{to, orFailed(from)}
}

type field[T any] struct {
	to     *T
	future *Future[T]
}

func (f *field[T]) from() *core { return &f.future.core }
func (f *field[T]) put()        { *f.to = f.future.value }

// Assemble returns a future of *v that is done when the results of all parts, of any types, are stored in it:
//
//	in := &inputs{Name: name}
//	report, err := futures.SubmitAfter(ex, write, futures.Assemble(in, futures.Field(&in.Mean, mean), futures.Field(&in.Bins, bins)))
//
// The value belongs to Assemble until the future is done: nobody else may read or write it. Fields without a part keep their values. With
// no parts the future is done at once. Assemble panics if v or a part is nil.
//
// The first part to fail, in time, fails the future with an [*InputError], which has the index of the part. A cancelled part cancels the
// future, with that error too. The other parts go on. Cancelling the future does not cancel the parts, since others may use them. The
// future is never running. Assemble does not block, except for callbacks when it completes futures at the call.
func Assemble[T any](v *T, parts ...Part) *Future[T] {
	if v == nil {
		panic("futures: Assemble: the pointer is nil; pass the address of the value to fill")
	}
	a := &assembled[T]{to: v}
	if len(parts) == 0 {
		a.settle(*v, nil)
		return &a.Future
	}
	a.left.Store(int64(len(parts)) + 1) // one more than there are, so that nothing is complete before all are attached
	inputs := make([]partOf[T], len(parts))
	a.inputs = inputs
	for i, p := range parts {
		if p == nil {
			panic("futures: Assemble: a part is nil; make it with Field")
		}
		in := &inputs[i]
		in.of, in.index, in.part, in.from, in.node.to = a, i, p, p.from(), in
		if a.on == nil {
			a.on = in.from.callbackLane()
		}
	}
	a.owner = a
	var list *callbackList
	for i := range inputs {
		if in := &inputs[i]; !in.from.follow(&in.node) {
			list = join(list, in.fire())
		}
		if a.taken.Load() {
			break
		}
	}
	if a.left.Add(-1) == 0 {
		list = join(list, a.complete())
	}
	if a.taken.Load() {
		leave(inputs) // whoever took the inputs may have passed by those attached after that
	}
	list.release().run()
	return &a.Future
}

// Join returns a future of the results of a and b, for a function that was registered with [Spread]. It is an [Assemble] of a [Pair].
func Join[A, B any](a *Future[A], b *Future[B]) *Future[Pair[A, B]] {
	p := new(Pair[A, B])
	return Assemble(p, Field(&p.First, a), Field(&p.Second, b))
}

// assembled is the future that Assemble returns, and its work. It holds its inputs until it is done, or somebody is about to make it so:
// whoever sets taken is alone in using inputs from then on.
type assembled[T any] struct {
	Future[T]
	to     *T
	left   atomic.Int64
	taken  atomic.Bool
	inputs []partOf[T]
	on     *lane.Lane
}

// partOf is the hook on one of them.
type partOf[T any] struct {
	node  node[hook]
	index int
	part  Part
	from  *core
	of    *assembled[T]
}

// fire implements hook: the part is done.
func (in *partOf[T]) fire() *callbackList {
	a := in.of
	withdrawn := in.from.is() == cancelled
	if !withdrawn && in.from.failure() == nil {
		if a.left.Add(-1) == 0 {
			return a.complete()
		}
		return nil
	}
	inputs := a.take()
	if inputs == nil {
		return nil
	}
	leave(inputs)
	why := &InputError{Index: in.index, Inputs: len(inputs), Err: in.from.err}
	if withdrawn {
		why.Err = in.from.whyCancelled()
		list, _ := a.withdraw(why)
		return list
	}
	var zero T
	list, _ := a.finish(zero, why)
	return list
}

// take returns the inputs to its first caller, and nil from then on.
func (a *assembled[T]) take() []partOf[T] {
	if a.taken.Swap(true) {
		return nil
	}
	a.mu.Lock() // a task that waits may be looking at them: see lend.go
	defer a.mu.Unlock()
	inputs := a.inputs
	a.inputs = nil
	return inputs
}

// complete finishes with the value: all of its parts have succeeded.
func (a *assembled[T]) complete() *callbackList {
	inputs := a.take()
	if inputs == nil || !a.begin() {
		return nil
	}
	for i := range inputs { // nobody cancels the future meanwhile, so nothing is put there once it is done
		inputs[i].part.put()
	}
	a.value = *a.to
	return a.end(nil)
}

// leave takes the hooks back.
func leave[T any](inputs []partOf[T]) {
	for i := range inputs {
		inputs[i].from.unfollow(&inputs[i].node)
	}
}

// cancelled implements canceller.
func (a *assembled[T]) cancelled() *callbackList {
	leave(a.take())
	return nil
}

// lane implements canceller: callbacks run where those of the first input do that has a lane.
func (a *assembled[T]) lane() *lane.Lane { return a.on }

// awaitsAll implements gatherer.
func (a *assembled[T]) awaitsAll() []*core {
	a.mu.Lock()
	inputs := a.inputs
	a.mu.Unlock()
	all := make([]*core, len(inputs))
	for i := range inputs {
		all[i] = inputs[i].from
	}
	return all
}
