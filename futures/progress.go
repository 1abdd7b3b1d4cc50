package futures

import (
	"io"
	"slices"
	"sync/atomic"

	"github.com/rankpool/rankpool/internal/progress"
)

// WithProgress shows on w, behind a name, how many elements are done and how many of them have failed, how many are done a second, for
// how long, and how long the rest will take: as a bar if w is a terminal, otherwise as a line every 5 seconds and one at the end. An
// empty name stands for that of the verb.
//
// It is shown from when the results are first read to when they end. Elements count when they arrive, a chunk at a time, in whatever
// order. w is used by one goroutine at a time, which nothing waits for but the end of the verb, a second at most: one that hangs stops
// its own progress. One that fails or panics is not used again. Nil shows nothing. Given several times, the last counts.
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

// ShowProgress shows on w how many of fs are done, as [WithProgress] does for the elements of a map, until all are done or stop is
// called. A future counts as failed when it is cancelled, and when it is nil. ShowProgress does not block, and takes nothing from
// the futures: [Wait], [AsCompleted] and others can use them meanwhile.
//
//	defer futures.ShowProgress(os.Stderr, "spectra", fs)()
//
// When stop returns the last state has been written, unless w hangs, for which it waits a second. It may be called several times. It
// must be called if some of fs may never be done: else they are watched for the rest of the program.
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
