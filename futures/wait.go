package futures

import (
	"context"
	"fmt"
	"slices"
	"sync/atomic"
)

// WaitMode says what [Wait] waits for.
type WaitMode int

const (
	// AllCompleted waits until every future is done.
	AllCompleted WaitMode = iota
	// FirstCompleted waits until at least one future is done.
	FirstCompleted
	// FirstException waits until a future fails; when none does, until all are done. A cancelled future has not failed.
	FirstException
)

// String is the name of the constant.
func (m WaitMode) String() string {
	switch m {
	case AllCompleted:
		return "AllCompleted"
	case FirstCompleted:
		return "FirstCompleted"
	case FirstException:
		return "FirstException"
	}
	return fmt.Sprintf("WaitMode(%d)", int(m))
}

// Wait blocks until the condition of mode is true for fs. It returns which futures are done and which are not, each once and in the order
// of fs. With an empty fs it returns at once. Futures that were done before count, and so do cancelled ones.
//
// When ctx ends first, Wait returns the futures as they are then. The error matches the error of ctx, and [ErrTimeout] too if that was a
// deadline. A context that has ended already gives a snapshot; if the condition is true, there is no error. A mode that is none of the
// constants is always an error, as is a nil future; both slices are nil then.
//
// Failures of the futures are not errors of Wait. The futures may belong to different executors. Wait takes nothing from them and can be
// repeated. To pass a sequence, use [slices.Collect]; for futures of different types, a slice of [Awaitable].
func Wait[F Awaitable](ctx context.Context, fs []F, mode WaitMode) (done, notDone []F, err error) {
	if mode < AllCompleted || mode > FirstException {
		const text = "futures: Wait: unknown mode %v: use AllCompleted, FirstCompleted or FirstException"
		return nil, nil, fmt.Errorf(text, mode)
	}
	if slices.ContainsFunc(fs, missing) {
		return nil, nil, errNoFuture
	}
	fs = distinct(fs)
	if !met(ctx, fs, mode) {
		waitFor(ctx, fs, mode)
	}
	for _, f := range fs {
		if f.base().isDone() {
			done = append(done, f)
		} else {
			notDone = append(notDone, f)
		}
	}
	// One may have become done between the end of ctx and here: what was returned is what counts.
	if ctx.Err() != nil && len(notDone) > 0 && !metBy(ctx, done, mode) {
		err = gaveUp(ctx, fmt.Sprintf("%d of %d futures", len(notDone), len(fs)))
	}
	return done, notDone, err
}

// met tells whether the wait for fs is over.
func met[F Awaitable](ctx context.Context, fs []F, mode WaitMode) bool {
	return metBy(ctx, fs, mode) || !slices.ContainsFunc(fs, func(f F) bool { return !f.base().isDone() })
}

// metBy tells whether one of fs alone ends the wait.
func metBy[F Awaitable](ctx context.Context, fs []F, mode WaitMode) bool {
	return slices.ContainsFunc(fs, func(f F) bool {
		c := f.base()
		return mode == FirstCompleted && c.isDone() || mode == FirstException && c.failsBy(ctx.Done())
	})
}

// failsBy tells whether the future finished with an error. It has the result decoded if that was put off, and does not wait for that beyond until.
func (c *core) failsBy(until <-chan struct{}) bool {
	return c.is() == finished && c.open(until) && c.err != nil
}

// failed tells whether the future finished with an error, as far as that is known: nothing is decoded for it.
func (c *core) failed() bool {
	return c.is() == finished && c.opener() == nil && c.err != nil
}

// waiter is one blocked Wait.
type waiter struct {
	mode  WaitMode
	until <-chan struct{}
	left  atomic.Int64
	ready chan struct{}
}

// watch is its hook on one future.
type watch struct {
	node node[hook]
	c    *core
	w    *waiter
}

func (h *watch) fire() *callbackList {
	w := h.w
	if w.left.Add(-1) == 0 || w.mode == FirstCompleted || w.mode == FirstException && h.c.failsBy(w.until) {
		select {
		case w.ready <- struct{}{}:
		default:
		}
	}
	return nil
}

// waitFor blocks until mode is met by fs or ctx ends.
func waitFor[F Awaitable](ctx context.Context, fs []F, mode WaitMode) {
	if ctx.Err() != nil {
		return
	}
	w := &waiter{mode: mode, until: ctx.Done(), ready: make(chan struct{}, 1)}
	w.left.Store(int64(len(fs)))
	hooks := make([]watch, len(fs))
	for i, f := range fs {
		h := &hooks[i]
		h.c, h.w, h.node.to = f.base(), w, h
		if !h.c.follow(&h.node) {
			h.fire()
		}
	}
	lent := lend(ctx, fs)
	select {
	case <-w.ready:
		lent.Return(true)
	case <-ctx.Done():
		lent.Return(false)
	}
	for i := range hooks {
		hooks[i].c.unfollow(&hooks[i].node)
	}
}

// distinct returns a copy of fs in which each future occurs once, at its first place.
func distinct[F Awaitable](fs []F) []F {
	const few = 16 // up to here comparing each with each beats a map
	out := make([]F, 0, len(fs))
	if len(fs) <= few {
	next:
		for _, f := range fs {
			for _, g := range out {
				if g.base() == f.base() {
					continue next
				}
			}
			out = append(out, f)
		}
		return out
	}
	seen := make(map[*core]struct{}, len(fs))
	for _, f := range fs {
		seen[f.base()] = struct{}{}
		if len(seen) > len(out) {
			out = append(out, f)
		}
	}
	return out
}
