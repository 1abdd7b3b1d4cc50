package futures

import (
	"context"
	"sync"
	"time"

	"github.com/rankpool/rankpool/internal/dispatch"
	"github.com/rankpool/rankpool/internal/fresh"
	"github.com/rankpool/rankpool/internal/lane"
)

// A result that other calls take as their argument stays as it has come: these are handed its encoding, and it is decoded when somebody asks for
// it, which may be never. So the master neither decodes nor encodes what only passes it, and runs no code of its type.

// arrived is the result of a call as it has come. It is the owner of the call's future, which is done, until the result is decoded and
// those who waited for it have been told.
type arrived[A, R any] struct {
	of       *task[A, R]
	by       *dispatch.Record
	unit     []byte // the encoding, as a unit of the jobs that take it
	begin    int    // of the encoding in there
	segments [][]byte

	once   sync.Once
	opened chan struct{} // made once somebody asks, closed when the result is decoded

	// The lock of the future guards these.
	apart   bool // a call was handed the segments that are not to be written to: who asks for the result has others
	begun   bool // it is being decoded
	decoded bool
	told    bool
}

// opener is an arrived of any types.
type opener interface {
	canceller
	ran() *ran
	open(until <-chan struct{}) bool
	encoding(snapshot bool) (unit []byte, segments [][]byte, shared bool)
}

// taker is a hook of a call that may be handed the encoding of its input.
type taker interface {
	// takes tells whether the call is, if the input is one of that executor, and whether nobody may write to that.
	takes(from *executor) (yes, snapshot bool)
}

// takers tells whether calls of the executor that are handed the encoding wait for the future, and whether nobody may write to what one of them is handed.
// The lock is held.
func (c *core) takers(ex *executor) (taken, alone bool) {
	if c.list == nil || c.list.hooks.first == nil {
		return false, false
	}
	for n := c.list.hooks.first; ; n = n.next {
		if t, is := n.to.(taker); is {
			yes, snapshot := t.takes(ex)
			taken, alone = taken || yes, alone || yes && snapshot
		}
		if n.next == c.list.hooks.first {
			return taken, alone
		}
	}
}

// arrive completes the future of a call with what has come of it, to be decoded later, if calls are handed that. It tells whether it did.
func (t *task[A, R]) arrive(data []byte, segments [][]byte, by *dispatch.Record) bool {
	t.mu.Lock()
	taken, _ := t.takers(t.ex)
	t.mu.Unlock()
	if !taken {
		return false
	}
	a := &arrived[A, R]{of: t, by: by, segments: segments}
	a.unit = dispatch.AppendUnit(make([]byte, 0, len(data)+dispatch.LongestHead), data, segments, len(segments) > 0)
	a.begin = len(a.unit) - len(data)
	t.release()
	if !t.begin() {
		return true
	}
	_, a.apart = t.takers(t.ex)
	t.owner, t.late = a, true
	t.ex.notify(t.end(nil).release())
	t.mu.Lock()
	a.told = true
	a.leave()
	t.mu.Unlock()
	return true
}

// open has the result decoded, unless it was. It blocks until that is done, which is true, or until until is closed. Code of the result's type
// runs on a goroutine of its own.
func (a *arrived[A, R]) open(until <-chan struct{}) bool {
	a.once.Do(func() {
		a.opened = make(chan struct{})
		if a.of.fn.foreign {
			go a.decode()
		} else {
			a.decode()
		}
	})
	select {
	case <-a.opened:
		return true
	default:
	}
	select {
	case <-a.opened:
		return true
	case <-until:
		return false
	}
}

// decode makes the future's value, or its error.
func (a *arrived[A, R]) decode() {
	t := a.of
	t.mu.Lock()
	a.begun = true
	alone := a.apart
	t.mu.Unlock()
	segments := a.segments
	if alone {
		segments = copies(segments)
	}
	v, err := t.fn.decode(a.unit[a.begin:], segments)
	t.mu.Lock()
	if err == nil {
		t.value = v
	}
	t.err = err
	a.decoded = true
	a.leave()
	t.mu.Unlock()
	close(a.opened)
}

// leave has the future forget the encoding when nobody needs it. The lock is held.
func (a *arrived[A, R]) leave() {
	if a.decoded && a.told {
		a.of.owner = (*ran)(a.by)
	}
}

// encoding returns the result as the unit of a job, which only reads it; nothing if it could not be decoded. Shared says that whoever has asked for the result may
// write to the segments, though snapshot asks for some that nobody writes to.
func (a *arrived[A, R]) encoding(snapshot bool) (unit []byte, segments [][]byte, shared bool) {
	a.of.mu.Lock()
	defer a.of.mu.Unlock()
	if a.decoded && a.of.err != nil {
		return nil, nil, false
	}
	if snapshot && !a.begun {
		a.apart = true
	}
	return a.unit, a.segments, snapshot && !a.apart && len(a.segments) > 0
}

// copies returns copies of segments.
func copies(segments [][]byte) [][]byte {
	all := make([][]byte, len(segments))
	for i, s := range segments {
		all[i] = fresh.Bytes(len(s))
		copy(all[i], s)
	}
	return all
}

// ran returns who ran the call.
func (a *arrived[A, R]) ran() *ran { return (*ran)(a.by) }

// cancelled implements canceller. It is not called.
func (a *arrived[A, R]) cancelled() *callbackList { return nil }

// lane implements canceller.
func (a *arrived[A, R]) lane() *lane.Lane { return &a.of.ex.callbacks }

// opener returns who has the encoding of the result of a future that is done; nil if nobody does.
func (c *core) opener() opener {
	if !c.late {
		return nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	o, _ := c.owner.(opener)
	return o
}

// open has the result of a future that is done decoded, if it was not. It blocks as long as that takes, or until until is closed: then it returns false.
func (c *core) open(until <-chan struct{}) bool {
	o := c.opener()
	return o == nil || o.open(until)
}

// awaitOutcome blocks until the future is done and its result is decoded, which is nil, or until ctx ends. One that is done answers though ctx has ended
// before.
func (c *core) awaitOutcome(ctx context.Context) error {
	was := c != nil && c.isDone()
	if err := c.await(ctx); err != nil || !c.late {
		return err
	}
	until := ctx.Done()
	if was && ctx.Err() != nil {
		until = nil
	}
	if !c.open(until) {
		return gaveUp(ctx, "a result that is being decoded")
	}
	return nil
}

// failure returns the error of a future that is finished.
func (c *core) failure() error {
	if c.late {
		c.open(nil)
	}
	return c.err
}

// openWithin is open with a limit, unless that is 0 or less.
func (c *core) openWithin(limit time.Duration) bool {
	if limit <= 0 {
		return c.open(nil)
	}
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	return c.open(ctx.Done())
}
