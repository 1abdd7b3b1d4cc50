package futures

import (
	"context"
	"errors"

	"github.com/rankpool/rankpool/internal/dispatch"
)

// A task of a ThreadPoolExecutor that waits with its own context for a future of the same executor lends its slot to
// another task: see dispatch.Home.Lend. Here is how such a wait is recognized.

// worker is a future's owner that waits for a job of an executor.
type worker interface {
	work() (*executor, *dispatch.Job)
}

func (t *task[A, R]) work() (*executor, *dispatch.Job)     { return t.ex, &t.job }
func (t *eachTask[A, R]) work() (*executor, *dispatch.Job) { return t.ex, nil } // a gang runs when all are idle, not before

// gatherer is a future's owner that waits for several others.
type gatherer interface{ awaitsAll() []*core }

// awaitsAll implements gatherer.
func (c *collector[T]) awaitsAll() []*core {
	c.mu.Lock()
	inputs := c.inputs
	c.mu.Unlock()
	all := make([]*core, len(inputs))
	for i := range inputs {
		all[i] = &inputs[i].f.core
	}
	return all
}

// lend lends the slot of a task that is about to wait with ctx for one of fs, or for all. It is nil when no task of an executor of
// goroutines does, or when it waits for others' futures. Return must be called after the wait.
func lend[F Awaitable](ctx context.Context, fs []F) *dispatch.Loan {
	home := dispatch.HomeOf(ctx)
	if home == nil {
		return nil
	}
	var w wanted
	for _, f := range fs {
		w.add(f.base(), home)
	}
	w.Alone = len(fs) == 1 && fs[0].base().isTask()
	return w.lend(ctx, home)
}

// isTask tells whether the future is the result of a task that is queued or runs, and not of what is made of it or of one that waits for its input.
func (c *core) isTask() bool {
	c.mu.Lock()
	owner := c.owner
	c.mu.Unlock()
	_, is := owner.(worker)
	if d, depends := owner.(dependent); depends && d.awaits() != nil {
		return false
	}
	return is
}

// lend is lend for one future.
func (c *core) lend(ctx context.Context) *dispatch.Loan {
	home := dispatch.HomeOf(ctx)
	if home == nil {
		return nil
	}
	var w wanted
	w.Alone = c.isTask()
	w.add(c, home)
	return w.lend(ctx, home)
}

// lend is lend for a reader of results. The job is the one that is read next.
func (r *mapping[A, R]) lend() *dispatch.Loan {
	if r.ex.home == nil || dispatch.HomeOf(r.ctx) != r.ex.home {
		return nil
	}
	w := wanted{ours: true}
	w.Alone = true
	r.mu.Lock()
	if j := r.awaited(); j != nil {
		w.Jobs = append(w.Jobs, j)
	} else {
		w.Open = true
	}
	r.mu.Unlock()
	return w.lend(r.ctx, r.ex.home)
}

// awaited returns the job of the next element in the order of the input, if it is submitted. The lock is held.
func (r *mapping[A, R]) awaited() *dispatch.Job {
	for base, f := range r.jobs {
		if r.have >= base && r.have < base+f.job.More.Elements {
			return f.job
		}
	}
	return nil
}

// wanted is what a wait is for.
type wanted struct {
	dispatch.Wanted
	seen map[*core]struct{} // once there are several ways to a future
	ours bool               // something of the executor, or of nobody: that may be completed by a task of the executor
}

// add looks what a future needs of the executor with that home.
func (w *wanted) add(c *core, home *dispatch.Home) {
	for c != nil && !c.isDone() {
		if w.seen != nil {
			if _, again := w.seen[c]; again {
				return
			}
			w.seen[c] = struct{}{}
		}
		c.mu.Lock()
		owner := c.owner
		c.mu.Unlock()
		switch o := owner.(type) {
		case worker:
			if ex, j := o.work(); ex.home == home {
				w.ours = true
				if j != nil {
					w.Jobs = append(w.Jobs, j)
				}
			}
			d, is := owner.(dependent)
			if !is {
				return
			}
			c = d.awaits() // its argument is to come from there
		case dependent:
			w.ours, w.Open = true, true // its handler may bring another
			c = o.awaits()
		case gatherer:
			if w.seen == nil {
				w.seen = map[*core]struct{}{}
			}
			for _, in := range o.awaitsAll() {
				w.add(in, home)
			}
			return
		case nil, *beside: // whoever has the promise completes it
			w.ours, w.Open = true, true
			return
		default:
			return
		}
	}
}

func (w *wanted) lend(ctx context.Context, home *dispatch.Home) *dispatch.Loan {
	if !w.ours {
		return nil
	}
	return home.Lend(ctx, w.Wanted)
}

// lend is lend for what AsCompleted has not yielded. The futures are looked at once: after that they are at the head of
// the queue.
func (s *arrivals[F]) lend(ctx context.Context) *dispatch.Loan {
	home := dispatch.HomeOf(ctx)
	if home == nil {
		return nil
	}
	if s.wanted == nil {
		s.wanted = new(wanted)
		for i := range s.all {
			if a := &s.all[i]; a.s != nil { // else it was yielded
				s.wanted.add(a.f.base(), home)
				s.wanted.Alone = len(s.all) == 1 && a.f.base().isTask()
			}
		}
		defer func() { s.wanted.Jobs = nil }()
	}
	return s.wanted.lend(ctx, home)
}

// errWithin is what a task gets that would wait for itself.
var errWithin = errors.New("futures: Close or Shutdown was called by a task of the executor, and would wait for that task: " +
	"leave it to the code that made the executor, or use NoWait")
