package futures

import (
	"sync/atomic"

	"github.com/rankpool/rankpool/internal/lane"
)

// Collect returns a future of the results of fs, in their order whatever the order of finishing. Without futures it is done already, with
// an empty slice that is not nil.
//
// The first of fs to fail, in time, fails it with the very same error and cancels those still pending. A cancelled one cancels it and the
// others, and cancelling it cancels them all. It is never running. Collect does not block, except for callbacks when it completes futures
// at the call. A nil future counts as failed. To pass a sequence, use [slices.Collect].
func Collect[T any](fs ...*Future[T]) *Future[[]T] {
	c := new(collector[T])
	if len(fs) == 0 {
		c.settle([]T{}, nil)
		return &c.Future
	}
	// One more than there are, so that nothing is complete before all are attached.
	c.left.Store(int64(len(fs)) + 1)
	inputs := make([]input[T], len(fs))
	c.inputs = inputs
	for i, f := range fs {
		in := &inputs[i]
		in.f, in.c, in.node.to = orFailed(f), c, in
		if c.on == nil {
			c.on = in.f.callbackLane()
		}
	}
	c.owner = c
	var list *callbackList
	for i := range inputs {
		if in := &inputs[i]; !in.f.follow(&in.node) {
			list = join(list, in.fire())
		}
		if c.taken.Load() {
			break
		}
	}
	if c.left.Add(-1) == 0 {
		list = join(list, c.complete())
	}
	if c.taken.Load() {
		// Whoever took the inputs may have passed by those attached after that.
		list = join(list, abandon(inputs, nil))
	}
	list.release().run()
	return &c.Future
}

// collector is the future that Collect returns, and its work. It holds its inputs until it is done, or somebody is
// about to make it so: whoever sets taken is alone in using inputs from then on.
type collector[T any] struct {
	Future[[]T]
	left   atomic.Int64
	taken  atomic.Bool
	inputs []input[T]
	on     *lane.Lane
}

// input is the hook on one of them.
type input[T any] struct {
	node node[hook]
	f    *Future[T]
	c    *collector[T]
}

func (in *input[T]) fire() *callbackList {
	c, f := in.c, in.f
	switch {
	case f.Cancelled():
		return c.stop(func() (*callbackList, bool) { return c.withdraw(f.err) })
	case f.failure() != nil:
		return c.stop(func() (*callbackList, bool) { return c.finish(nil, f.err) })
	case c.left.Add(-1) == 0:
		return c.complete()
	}
	return nil
}

// take returns the inputs to its first caller, and nil from then on.
func (c *collector[T]) take() []input[T] {
	if c.taken.Swap(true) {
		return nil
	}
	c.mu.Lock() // a task that waits may be looking at them: see lend.go
	defer c.mu.Unlock()
	inputs := c.inputs
	c.inputs = nil
	return inputs
}

// complete finishes with the values of the inputs, which have all succeeded.
func (c *collector[T]) complete() *callbackList {
	inputs := c.take()
	if inputs == nil {
		return nil
	}
	values := make([]T, len(inputs))
	for i := range inputs {
		values[i] = inputs[i].f.value
	}
	list, _ := c.finish(values, nil)
	return list
}

// stop ends the future early and cancels the inputs.
func (c *collector[T]) stop(end func() (*callbackList, bool)) *callbackList {
	inputs := c.take()
	if inputs == nil {
		return nil
	}
	list, _ := end()
	return join(list, abandon(inputs, nil))
}

// cancelled implements canceller.
func (c *collector[T]) cancelled() *callbackList { return abandon(c.take(), c.err) }

// bound implements binder.
func (c *collector[T]) bound() []*core { return c.awaitsAll() }

// lane implements canceller: callbacks run where those of the first input do that has a lane.
func (c *collector[T]) lane() *lane.Lane { return c.on }

// abandon leaves the inputs and cancels those that are pending; why is their error then.
func abandon[T any](inputs []input[T], why error) *callbackList {
	// Leave all first: to cancel one may complete another.
	for i := range inputs {
		inputs[i].f.unfollow(&inputs[i].node)
	}
	var first, end *callbackList
	for i := range inputs {
		list, _ := inputs[i].f.withdraw(why)
		if end == nil {
			first = list
		} else {
			end.next = list
		}
		if list != nil {
			end = list.last()
		}
	}
	return first
}
