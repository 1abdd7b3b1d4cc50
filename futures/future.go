package futures

import (
	"context"
	"fmt"
	"reflect"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rankpool/rankpool/internal/lane"
)

// Future is a result that may not be there yet.
//
// It begins pending, may turn running, and ends either finished, with a value or an error, or cancelled. A finished or cancelled future is
// done: all goroutines see that at once, and it never changes again. The zero value is a pending future that nobody completes. A Future
// must not be copied. On a nil [*Future], methods that can return an error return one; the others panic.
//
// An executor makes futures and completes them. A [Promise] is a future that a program completes itself. All methods may be called from
// several goroutines at once.
type Future[T any] struct {
	core
	value T
}

// Awaitable is any *Future[T], whatever its T. Nothing else can implement it.
type Awaitable interface {
	Cancel() bool
	Interrupt() bool
	Cancelled() bool
	Running() bool
	Done() bool
	DoneChan() <-chan struct{}
	Exception(ctx context.Context) (taskErr, waitErr error)
	Ran() (RunInfo, bool)
	fmt.Stringer

	base() *core
}

// state is where a future stands. From finished on it is done.
type state uint32

const (
	pending state = iota
	running
	finished
	cancelled
)

// String is the word of the documentation.
func (s state) String() string {
	return [...]string{"pending", "running", "finished", "cancelled"}[s]
}

// core is what a future is apart from its value.
//
// It is kept small, because programs hold millions: what only some futures need is behind list. Moves between pending
// and running are a lone compare-and-swap; whatever ends in a done state holds mu, and publishes the outcome by the
// store to state, so that a reader that sees done needs no lock.
type core struct {
	reading reading // for the race detector
	mu      sync.Mutex
	state   atomic.Uint32
	partial bool // it has a value beside its error
	late    bool // value and error are made when somebody asks: see arrived
	err     error
	list    *callbackList // hooks and callbacks; nil when there are none, and once every callback of a done future has run
	owner   canceller     // who must know of a Cancel; once done only an owner that has a lane for callbacks, else nil
}

// canceller learns that the future it stands behind was cancelled by somebody else.
//
// cancelled is called once at most, in the goroutine of that Cancel, with no lock of the future held, before the
// future's callbacks run. It returns what the cancellation of further futures left to be released, or nil.
type canceller interface {
	cancelled() *callbackList

	// lane is where the future's callbacks run, or nil: on the goroutine that completes it. Where there is one it can be asked for
	// after the end, too.
	lane() *lane.Lane
}

// closed is what DoneChan returns once it is too late for a channel of the future's own.
var closed = func() chan struct{} { c := make(chan struct{}); close(c); return c }()

// base returns the part without a type; nil for no future.
func (f *Future[T]) base() *core {
	if f == nil {
		return nil
	}
	return &f.core
}

// is returns the present state.
func (c *core) is() state { return state(c.state.Load()) }

// isDone tells whether the future is finished or cancelled.
func (c *core) isDone() bool { return c.is() >= finished }

// Done reports whether the future is finished or cancelled.
func (f *Future[T]) Done() bool { return f.isDone() }

// Running reports whether the future was handed to a worker, perhaps behind another task. It can then no longer be cancelled, unless it
// comes back because the other task takes long.
func (f *Future[T]) Running() bool { return f.is() == running }

// Cancelled reports whether the future was cancelled.
func (f *Future[T]) Cancelled() bool { return f.is() == cancelled }

// Cancel cancels a pending future. It reports whether the future is cancelled now, even if it was before. A running or finished future
// stays as it is, and Cancel returns false.
//
// After true the work never starts, and every waiting goroutine is released with [ErrCancelled]. The callbacks run where those of a
// finished future do: for an executor's future a moment later on a goroutine of the executor, otherwise in this one. Only the latter can
// make Cancel block. A second call does not wait for the callbacks of the first.
func (f *Future[T]) Cancel() bool {
	list, ok := f.withdraw(nil)
	list.release().run()
	return ok
}

// Interrupt is [Future.Cancel] that also reaches a running task: the context of the task ends. It reports whether the future is cancelled
// now, or the context of its task was ended. False means that the future is done, or that there is no task to reach. It does not wait: the
// future is done when the task returns. A task that does not look at its context goes on. A task that was sent ahead, behind another one,
// does not begin, or begins with a context that has ended.
//
// Futures that are cancelled with this one, as [Future.Cancel] does for a result of [Collect] or [Compose], are interrupted likewise.
func (f *Future[T]) Interrupt() bool { return f.interrupt(nil) }

// DoneChan returns a channel that is closed when the future is done, before the callbacks run.
func (f *Future[T]) DoneChan() <-chan struct{} { return f.doneChannel() }

// doneChannel returns what DoneChan does.
func (c *core) doneChannel() <-chan struct{} {
	if c.isDone() {
		return closed
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.isDone() {
		return closed
	}
	l := c.followers()
	if l.done == nil {
		l.done = make(chan struct{})
	}
	return l.done
}

// Exception waits like [Future.Result]. It returns the error of the task apart from the error of the wait.
//
// taskErr is nil on success, and otherwise the very error that [Future.Result] returns. waitErr matches [ErrCancelled] for a cancelled
// future, which has no outcome. Otherwise it is the error of a wait that ctx ended.
func (f *Future[T]) Exception(ctx context.Context) (taskErr, waitErr error) {
	c := f.base()
	if err := c.awaitOutcome(ctx); err != nil {
		return nil, err
	}
	if c.is() == cancelled {
		return nil, c.whyCancelled()
	}
	return c.failure(), nil
}

// Result waits until the future is done, or until ctx ends. It returns the value or the error that the future was completed with, the same
// ones each time. A cancelled future returns [ErrCancelled]. If a context of [WithContext] was the reason, the error matches that and says
// why.
//
// A future that is done returns its result even if ctx has ended. Otherwise the error matches the error of ctx, and [ErrTimeout] as well if
// that was a deadline; the future is unaffected.
func (f *Future[T]) Result(ctx context.Context) (T, error) {
	if err := f.base().awaitOutcome(ctx); err != nil {
		var zero T
		return zero, err
	}
	return f.outcome()
}

// ResultWithin is [Future.Result] with a time limit in place of a context. With zero or less it does not wait. The error of a wait that ran
// out of time is [ErrTimeout] itself.
func (f *Future[T]) ResultWithin(d time.Duration) (T, error) {
	var zero T
	if f == nil {
		return zero, errNoFuture
	}
	if !f.Done() {
		if d <= 0 {
			return zero, ErrTimeout
		}
		end := time.Now().Add(d)
		if !f.awaitFor(d) {
			return zero, ErrTimeout
		}
		d = max(time.Until(end), 1)
	}
	if f.late && !f.openWithin(d) {
		return zero, ErrTimeout
	}
	return f.outcome()
}

// outcome returns what a done future holds.
func (f *Future[T]) outcome() (T, error) {
	var zero T
	switch {
	case f.Cancelled():
		return zero, f.whyCancelled()
	case f.failure() != nil && !f.partial:
		return zero, f.err
	}
	return f.value, f.err
}

// AddDoneCallback calls fn with the future once that is done, however it ends, exactly once. It may be done already.
//
// Callbacks of a future run after every waiting goroutine was released, one after another in the order in which they were added, even if
// some are added after the end. Callbacks of an executor's futures, and of those made of them by [Then], [Collect] and the like, run on a
// goroutine of the executor, so that none delays a caller of this package. One that is added to a future that is done runs a moment later.
// Callbacks of a [Promise] run in the goroutine that completes or cancels it, or that adds them after that. A panic is recovered and
// logged. A callback that calls [runtime.Goexit] ends its goroutine after the other callbacks have run. The callbacks of different futures
// run in no particular order. AddDoneCallback panics when fn is nil.
func (f *Future[T]) AddDoneCallback(fn func(*Future[T])) {
	if fn == nil {
		panic("futures: AddDoneCallback: the callback is nil; pass a function")
	}
	u := &userCallback[T]{f: f, fn: fn}
	u.node.to = u
	f.addCallback(&u.node)
}

// WaitCallbacks waits until the future is done and the callbacks that were added to it before have run, or until ctx ends. In a callback of
// the same executor it returns an error: the awaited callbacks might have to wait for that one.
func (f *Future[T]) WaitCallbacks(ctx context.Context) error {
	if f == nil {
		return errNoFuture
	}
	if on := f.callbackLane(); on != nil && on.Current() {
		return errInCallback
	}
	if err := f.await(ctx); err != nil {
		return err
	}
	w := &calledBack{ran: make(chan struct{})}
	w.node.to = w
	f.addCallback(&w.node)
	select {
	case <-w.ran:
		return nil
	case <-ctx.Done():
		f.removeCallback(&w.node)
		return gaveUp(ctx, "the callbacks of a future")
	}
}

// calledBack is a callback that tells that those before it have run.
type calledBack struct {
	node node[caller]
	ran  chan struct{}
}

func (w *calledBack) call(*runner) { close(w.ran) }

// userCallback is a callback of the future's user.
type userCallback[T any] struct {
	node node[caller]
	f    *Future[T]
	fn   func(*Future[T])
}

func (u *userCallback[T]) call(*runner) { u.fn(u.f) }

// String describes the future: what it is the result of, its state, and the type of its value or error.
func (f *Future[T]) String() string {
	name := reflect.TypeFor[T]().String()
	if f == nil {
		return fmt.Sprintf("Future[%s](nil)", name)
	}
	switch s := f.is(); {
	case s != finished:
		return fmt.Sprintf("Future[%s](%s)", name, s)
	case f.opener() != nil:
		return fmt.Sprintf("Future[%s](%s, not decoded yet)", name, s)
	case f.err != nil:
		return fmt.Sprintf("Future[%s](%s with error %T)", name, s, f.err)
	default:
		return fmt.Sprintf("Future[%s](%s with %T)", name, s, f.value)
	}
}

// await blocks until the future is done, which is nil, or until ctx ends.
func (c *core) await(ctx context.Context) error {
	if c == nil {
		return errNoFuture
	}
	if c.isDone() {
		return nil
	}
	if ctx.Err() == nil {
		if help := c.helper(); help != nil {
			help(func() bool { return c.isDone() || ctx.Err() != nil })
		}
		lent := c.lend(ctx)
		select {
		case <-c.doneChannel():
			lent.Return(true)
			return nil
		case <-ctx.Done():
			lent.Return(false)
		}
	}
	// Both may have come at once: the outcome counts.
	if c.isDone() {
		return nil
	}
	return gaveUp(ctx, "a "+c.is().String()+" future")
}

// assisted is the owner of a future, whose workers a waiting goroutine can poll.
type assisted interface{ helps() func(done func() bool) }

// helper returns what to call before waiting, or nil. A goroutine that waits for a rank's result and looks for it itself saves
// two changes of thread, which take longer than the message.
func (c *core) helper() func(done func() bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if a, ok := c.owner.(assisted); ok && !c.isDone() {
		return a.helps()
	}
	return nil
}

// awaitFor blocks until the future is done or d has passed, and tells whether it is done.
func (c *core) awaitFor(d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	if help := c.helper(); help != nil {
		end := time.Now().Add(d)
		help(func() bool { return c.isDone() || !time.Now().Before(end) })
	}
	select {
	case <-c.doneChannel():
	case <-t.C:
	}
	return c.isDone()
}

// claim makes a pending future running. It takes no lock and never blocks. False: it is done, or running already.
func (c *core) claim() bool { return c.state.CompareAndSwap(uint32(pending), uint32(running)) }

// unclaim makes a running future pending again, because its work was handed back unstarted or is to be repeated. It
// takes no lock and never blocks.
func (c *core) unclaim() { c.state.CompareAndSwap(uint32(running), uint32(pending)) }

// settle completes a future, releases the goroutines that wait for it, and returns the callbacks that are still to be run,
// by run; mostly none, which is nil. On a future that is done it does nothing.
func (f *Future[T]) settle(v T, err error) *callbackList {
	list, _ := f.finish(v, err)
	return list.release()
}

// fail is settle for a caller that does not know T. It also tells whether it was the one to complete the future.
func (c *core) fail(err error) (*callbackList, bool) {
	if !c.begin() {
		return nil, false
	}
	return c.end(err).release(), true
}

// revoke is Cancel for the owner, which need not be told and runs the callbacks when it suits it. It may be called
// with the owner's locks held, for it calls nothing of his. why is the error of the future; nil is ErrCancelled.
func (c *core) revoke(why error) (*callbackList, bool) {
	list, _, ok := c.cancelNow(why)
	return list.release(), ok
}

// whyCancelled is the error of a cancelled future.
func (c *core) whyCancelled() error {
	if c.err != nil {
		return c.err
	}
	return ErrCancelled
}

// finish completes a future unless it is done, and returns its list, not yet released, and whether it was the one.
func (f *Future[T]) finish(v T, err error) (*callbackList, bool) {
	if !f.begin() {
		return nil, false
	}
	if err == nil { // what comes with an error would not survive the way from another process: drop it everywhere
		f.value = v
	}
	return f.end(err), true
}

// note keeps the error that the future is about to be completed with, unless it is done. Nobody reads it before that.
func (c *core) note(err error) {
	if c.begin() {
		c.err = err
		c.mu.Unlock()
	}
}

// noted returns the error that was kept.
func (c *core) noted() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.err
}

// begin takes the lock for the completion of a future that is not done. After true, end must follow.
func (c *core) begin() bool {
	c.reading.join()
	c.mu.Lock()
	if c.isDone() {
		c.mu.Unlock()
		return false
	}
	return true
}

// end publishes what begin began, and returns the list of the future, which is the caller's to release.
func (c *core) end(err error) *callbackList {
	list := c.over()
	c.err = err
	c.state.Store(uint32(finished))
	c.mu.Unlock()
	return list
}

// cancelNow does the move to cancelled and nothing else. It tells whether the future is cancelled now; list and owner
// are nil unless this call did it. why becomes the future's error then.
func (c *core) cancelNow(why error) (list *callbackList, owner canceller, ok bool) {
	c.reading.join()
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.is() != pending {
		return nil, nil, c.is() == cancelled
	}
	noted := c.err // of a run that is to be repeated
	c.err = why    // first: whoever sees the state reads it
	if !c.state.CompareAndSwap(uint32(pending), uint32(cancelled)) {
		c.err = noted
		return nil, nil, false // it was claimed, without the lock
	}
	owner = c.owner
	return c.over(), owner, true
}

// over returns the list of a future that is done, and lets go of what that does not need. The lock is held.
func (c *core) over() *callbackList {
	list := c.list
	if list != nil && list.calls.first == nil {
		c.list = nil
	}
	if c.laneLocked() == nil {
		c.owner = nil
	}
	return list
}

// withdraw cancels a pending future and tells its owner. What it returns is not yet released.
func (c *core) withdraw(why error) (*callbackList, bool) {
	list, owner, ok := c.cancelNow(why)
	if owner != nil {
		list = join(list, owner.cancelled())
	}
	return list, ok
}
