package futures

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/rankpool/rankpool/internal/dispatch"
	"github.com/rankpool/rankpool/internal/lane"
	"github.com/rankpool/rankpool/internal/resultlog"
)

// SubmitEach calls fn once on every worker, with the same argument and at the same time. It returns the future of the results, in the order
// of the workers, and does not block. The calls are a gang. With [OnWorkers] a gang has only so many workers, and the others run other
// tasks.
//
// A gang waits until everything that was queued before it has begun. Then it is first in the queue, and begins when every worker is free.
// Until then only short tasks run on workers that are free already. Gangs begin one after another, so they cannot block each other.
//
// The future is done when all calls have ended. If some fail, it has the error of the first that failed by itself and not because of
// another; the error begins with the rank of that call. Other gangs and tasks go on. A call that is lost with its worker is never repeated.
// Other calls that wait for it in the communicator of the workers ([CommWorkers]) get an error that matches [ErrBroken]. Cancel works until
// the calls begin. The errors are those of [Submit].
//
// [WithJournal] records the results of all members together.
func SubmitEach[A, R any](ex Executor, fn Func[A, R], arg A, opts ...EachOption) (*Future[[]R], error) {
	e, err := baseOf(ex)
	if err != nil {
		return nil, err
	}
	if err := e.usable(fn.f == nil, fn.f != nil && fn.f.local, fn.Name()); err != nil {
		return nil, err
	}
	var own taskConfig
	if err := applyEach(&own, opts); err != nil {
		return nil, fmt.Errorf("futures: SubmitEach: %w", err)
	}
	m, err := e.started()
	if err != nil {
		return nil, err
	}
	number, err := fn.f.numberFor(e)
	if err != nil {
		return nil, err
	}
	g := e.generation.Load()
	rec, err := newRecording(e, fn.f, own.journal, g, own.gang)
	if err != nil {
		return nil, err
	}
	var counted resultlog.Entry
	if rec != nil && (own.ctx == nil || own.ctx.Err() == nil) {
		f, c, err := rec.recallEach(m, &arg)
		if f != nil || err != nil {
			return f, err
		}
		counted = c
	}
	t := &eachTask[A, R]{fn: fn.f, ex: e, arg: arg, rec: rec}
	t.take(own.journal, counted)
	t.owner = t
	tc := own.over(fn.f.task).over(e.cfg.task)
	t.more = dispatch.More{Generation: g, Timeout: tc.timeout, Grace: tc.grace, Gang: true, Workers: own.gang, OneHost: own.oneHost}
	t.job = dispatch.Job{Func: number, Units: 1, Sink: t, More: &t.more, Local: e.shares, Foreign: fn.f.foreign && !e.shares || t.key != unrecorded}
	if !e.shares {
		t.job.Data, t.more.Segments, err = fn.f.encode(arg, e.threshold(), tc.snapshot)
		if err != nil {
			t.never()
			return nil, fmt.Errorf("futures: the argument of %s cannot be encoded: %w", fn.f.name, err)
		}
		t.job.Buffers = len(t.more.Segments) > 0
		t.reading = read(t.more.Segments)
	}
	if err := submitUnder(tc.ctx, e, m, &t.job, &t.core, t, (*dispatch.Master).Submit); err != nil {
		t.reading.join()
		t.never()
		if errors.Is(err, ErrTooFewWorkers) {
			err = fmt.Errorf("futures: SubmitEach of %s: %w", fn.f.name, err)
		}
		return nil, refusal(err)
	}
	return &t.Future, nil
}

// eachTask is one call on every worker. It is the sink of its job.
type eachTask[A, R any] struct {
	Future[[]R]
	job  dispatch.Job
	more dispatch.More
	fn   *function[A, R]
	ex   *executor
	arg  A
	rec  *recording[A, R] // nil: it is not recorded
	entry

	mu      sync.Mutex
	results []R
	errs    []error // of local calls, until the sink is told
	left    int
	failed  error            // of the first that failed by itself
	longest *dispatch.Record // of the calls that have ended

	passing bool // a member was lost, or its result cannot be decoded: as a failure of the function this is not recorded
}

// cancelled tells the scheduler that the future was cancelled.
func (t *eachTask[A, R]) cancelled() *callbackList {
	t.ex.dropped(&t.job)
	t.never()
	return nil
}

// interrupt implements interrupter.
func (t *eachTask[A, R]) interrupt() bool { return t.ex.interrupts(&t.job) }

// lane implements canceller.
func (t *eachTask[A, R]) lane() *lane.Lane { return &t.ex.callbacks }

// Claim implements dispatch.Sink.
func (t *eachTask[A, R]) Claim(_, n int) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.left, t.results, t.errs = n, make([]R, n), make([]error, n)
	return t.claim()
}

// Unclaim implements dispatch.Sink: it does not happen to a gang.
func (t *eachTask[A, R]) Unclaim(int, int) {}

// Results implements dispatch.Sink.
func (t *eachTask[A, R]) Results(unit, _ int, data []byte, segments [][]byte, by *dispatch.Record) bool {
	if t.ex.shares {
		t.end(by, nil)
		return false
	}
	_, _, size := dispatch.ResultHeader(data)
	v, err := t.fn.decode(data[size:], segments)
	t.results[unit] = v
	if err != nil {
		t.mu.Lock()
		t.passing = true
		t.mu.Unlock()
	}
	t.end(by, t.ofMember(unit, err))
	return false
}

// ofMember says of which call of the gang an error is.
func (t *eachTask[A, R]) ofMember(rank int, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("rank %d of %d: %w", rank, len(t.results), err)
}

// Part implements dispatch.Sink.
func (t *eachTask[A, R]) Part(unit int, p dispatch.Part) {
	err := p.Err
	if err == nil {
		t.mu.Lock()
		err = t.errs[unit]
		t.mu.Unlock()
	}
	t.end(p.Record, t.ofMember(unit, err))
}

// end takes the end of one call.
func (t *eachTask[A, R]) end(by *dispatch.Record, err error) {
	t.mu.Lock()
	if by != nil && (t.longest == nil || by.Took > t.longest.Took) {
		t.longest = by
	}
	if t.failed == nil || err != nil && isPeerError(t.failed) && !isPeerError(err) {
		t.failed = err
	}
	if errors.Is(err, ErrBroken) {
		t.passing = true // what another member says of the loss may have come first
	}
	t.left--
	over := t.left == 0
	t.mu.Unlock()
	if over {
		if t.key != unrecorded {
			t.record()
		}
		t.ex.notify(t.settleBy(t.longest, t.results, t.failed))
	}
}

// isPeerError tells whether a call failed because another one had.
func isPeerError(err error) bool {
	peer := new(PeerError)
	return errors.As(err, &peer)
}

// Drop implements dispatch.Sink.
func (t *eachTask[A, R]) Drop(_, _ int, why error) {
	t.never()
	if cancels(why) {
		list, _ := t.revoke(whyEnded(t.owner))
		t.ex.notify(list)
		return
	}
	t.ex.notify(t.settle(nil, why))
}

// Run implements dispatch.Local.
func (t *eachTask[A, R]) Run(ctx context.Context, u *dispatch.Units) bool {
	v, err := t.fn.call(ctx, t.arg)
	if err != nil {
		t.Failed(u.Unit, overTime(ctx, err))
		return false
	}
	t.results[u.Unit] = v
	u.Next()
	return true
}

// NeedsContext implements dispatch.Local.
func (t *eachTask[A, R]) NeedsContext() bool { return t.fn.context }

// Failed implements dispatch.Local.
func (t *eachTask[A, R]) Failed(unit int, err error) bool {
	t.mu.Lock()
	t.errs[unit] = err
	t.mu.Unlock()
	return false
}

// Failures implements dispatch.Local.
func (t *eachTask[A, R]) Failures(unit int, f func(int, error)) {
	t.mu.Lock()
	err := t.errs[unit]
	t.mu.Unlock()
	f(0, err)
}
