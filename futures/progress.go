package futures

import (
	"io"
	"slices"
	"sync/atomic"

	"github.com/rankpool/rankpool/internal/progress"
)

// WithProgress shows on w, after a name, how many elements are done, how many of them have failed, the rate per second, the elapsed time
// and the remaining time. It is a bar if w is a terminal, otherwise a line every 5 seconds and one at the end. An empty name stands for
// that of the verb. Results from a journal ([WithJournal]) are shown, but do not count in the rate.
//
// It is shown from the first read of the results until they end: with the last of them, with an error, when the loop breaks, or when the
// context ends. Elements count when they arrive, a chunk at a time, in any order.
//
// Several maps can share w, even if it is not safe for use by several goroutines: their bars are one below the other, and lines are whole.
// Bars are below other text on the terminal: the log of this package, and what workers print under [WithOutputPrefix], never mix with them.
// A line that this program or a worker prints by itself is never overwritten, but can have the rest of a bar at its end.
//
// w is used by one goroutine at a time. The end of the verb waits for the last line. If a call of w does not return, it waits for a second;
// that stops this progress and nothing else. A w that fails or panics is not used again. Nil shows nothing. If the option is given several
// times, the last counts.
func WithProgress(w io.Writer, name string) AnyMapOption {
	return newAnyMapOption(func(c *mapConfig) { c.progress, c.progressName = w, name })
}

// newProgress makes the progress of a map.
func (c *mapConfig) newProgress(verb string, total int) *progress.Progress {
	if c.progressName != "" {
		verb = c.progressName
	}
	return progress.New(c.progress, verb, total)
}

// ShowProgress shows on w how many of fs are done, as [WithProgress] does for the elements of a map, until all are done or stop is called.
// Cancelled and nil futures count as failed. ShowProgress does not block, and takes nothing from the futures: [Wait], [AsCompleted] and
// others can use them meanwhile.
//
//	defer futures.ShowProgress(os.Stderr, "spectra", fs)()
//
// When stop returns the last state has been written; it waits at most a second if w hangs. stop may be called several times. It must be
// called if some of fs may never be done: otherwise they are watched until the program ends.
func ShowProgress[F Awaitable](w io.Writer, name string, fs []F) (stop func()) {
	all := distinct(slices.DeleteFunc(slices.Clone(fs), missing))
	none := 0
	for _, f := range fs {
		if missing(f) {
			none++
		}
	}
	p := progress.New(w, name, len(all)+none)
	if p == nil {
		return func() {}
	}
	p.Add(none, none)
	p.Start(survive)
	s := &doneCount{p: p, hooks: make([]doneHook, len(all))}
	s.left.Store(int64(len(all)) + 1)
	for i, f := range all {
		h := &s.hooks[i]
		h.c, h.s, h.node.to = f.base(), s, h
		if !h.c.follow(&h.node) {
			h.fire()
		}
	}
	s.less()
	return func() {
		for i := range s.hooks {
			s.hooks[i].c.unfollow(&s.hooks[i].node)
		}
		p.Stop()
	}
}

// doneCount counts futures that are done.
type doneCount struct {
	p     *progress.Progress
	hooks []doneHook
	left  atomic.Int64 // and one, until all are followed
}

// doneHook is its hook on one future.
type doneHook struct {
	node node[hook]
	c    *core
	s    *doneCount
}

func (h *doneHook) fire() *callbackList {
	failed := 0
	if h.c.failed() || h.c.is() == cancelled {
		failed = 1
	}
	h.s.p.Add(1, failed)
	h.s.less()
	return nil
}

// less counts one less. After the last the progress ends.
func (s *doneCount) less() {
	if s.left.Add(-1) == 0 {
		s.p.Finish()
	}
}
