package futures

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"sync"

	"github.com/rankpool/rankpool/internal/dispatch"
	"github.com/rankpool/rankpool/internal/lane"
	"github.com/rankpool/rankpool/internal/pkl5"
)

// This file is where types are left behind: what is below it deals in bytes and numbers.

func typeOf[T any]() reflect.Type { return reflect.TypeFor[T]() }

// body runs a registered function in a worker.
type body[A, R any] struct {
	fn *function[A, R]
}

// cell is where an argument and a result stand while they are decoded and encoded.
type cell[A, R any] struct {
	of      *body[A, R]
	arg     A
	result  R
	borrows bool // what is encoded of a result may be sent from where it is
}

// NeedsContext says whether the function takes a context.
func (b *body[A, R]) NeedsContext() bool { return b.fn.context }

// Call runs the function on each element of a unit.
func (b *body[A, R]) Call(c *dispatch.Call) error {
	x, _ := c.Scratch.(*cell[A, R])
	if x == nil || x.of != b {
		x = &cell[A, R]{of: b, borrows: b.fn.result.Codec().Borrows()}
	}
	c.Scratch = nil // while it is in use
	var (
		noArg    A
		noResult R
	)
	for c.Done < c.N {
		x.arg, x.result = noArg, noResult
		if err := b.decode(c, &x.arg); err != nil {
			return fmt.Errorf("its argument cannot be decoded: %w", err)
		}
		if c.Skip > 0 {
			c.Skip--
			continue
		}
		r, err := b.fn.call(c.Context, x.arg)
		if err != nil {
			return overTime(c.Context, err)
		}
		result := &x.result
		if x.borrows { // it lives on as a segment
			result = new(R)
		}
		*result = r
		begin, segments := len(c.Out.Stream), len(c.Out.Segments)
		if err := b.fn.result.Encode(c.Out, result); err != nil {
			return fmt.Errorf("its result cannot be encoded: %w", err)
		}
		if c.Chunked && b.fn.foreign {
			c.Out.Bound(begin, segments)
		}
		if c.Done++; c.Done < c.N {
			if !c.Over() {
				return context.Canceled
			}
		} else if !c.Next() {
			break
		}
	}
	x.arg, x.result = noArg, noResult
	c.Scratch = x
	return nil
}

// decode reads the next argument. Whatever becomes of that, the one after it can be read if it is bounded.
func (b *body[A, R]) decode(c *dispatch.Call, arg *A) error {
	c.Reading = true
	if c.Chunked && b.fn.foreignArgs {
		var d pkl5.Decoder
		if err := c.In.Split(&d); err != nil {
			return err
		}
		c.Reading = false
		if c.Skip > 0 {
			return nil
		}
		return b.fn.args.Decode(&d, arg)
	}
	err := b.fn.args.Decode(c.In, arg)
	c.Reading = err != nil
	return err
}

// task is a submitted call: the future and its job in one allocation. It is the job's sink.
type task[A, R any] struct {
	Future[R]
	job dispatch.Job
	fn  *function[A, R]
	ex  *executor
}

// numberTask is a task whose argument is a number: its unit stands in it.
type numberTask[A, R any] struct {
	task[A, R]
	unit [pkl5.LongestOne]byte
}

// cancelled tells the scheduler that the future was cancelled.
func (t *task[A, R]) cancelled() *callbackList {
	t.ex.dropped(&t.job)
	neverRuns(&t.job)
	return nil
}

// lane implements canceller.
func (t *task[A, R]) lane() *lane.Lane { return &t.ex.callbacks }

// helps implements assisted.
func (t *task[A, R]) helps() func(done func() bool) { return t.ex.help }

// Claim implements dispatch.Sink.
func (t *task[A, R]) Claim(int, int) bool { return t.claim() }

// Unclaim implements dispatch.Sink.
func (t *task[A, R]) Unclaim(int, int) { t.unclaim() }

// Results implements dispatch.Sink.
func (t *task[A, R]) Results(_, _ int, data []byte, segments [][]byte, by *dispatch.Record) bool {
	_, _, size := dispatch.ResultHeader(data)
	if t.ex.feeds.Load() && !t.fn.result.Number() && t.arrive(data[size:], segments, by) {
		return false
	}
	v, err := t.fn.decode(data[size:], segments)
	t.finish(by, v, err)
	return false
}

// Part implements dispatch.Sink: a unit of one element has one part, its failure.
func (t *task[A, R]) Part(_ int, p dispatch.Part) {
	var zero R
	t.finish(p.Record, zero, p.Err)
}

// Drop implements dispatch.Sink.
func (t *task[A, R]) Drop(_, _ int, why error) {
	if cancels(why) {
		list, _ := t.revoke(whyEnded(t.owner))
		t.release()
		t.ex.notify(list)
		return
	}
	var zero R
	t.finish(nil, zero, why)
}

func (t *task[A, R]) finish(by *dispatch.Record, v R, err error) {
	t.release()
	t.ex.notify(t.settleBy(by, v, err))
}

// interrupt implements interrupter.
func (t *task[A, R]) interrupt() bool { return t.ex.interrupts(&t.job) }

// cancels tells whether what a sink is told is that the unit was cancelled.
func cancels(why error) bool {
	return errors.Is(why, dispatch.ErrDropped) || errors.Is(why, dispatch.ErrInterrupted)
}

// release lets go of what only a waiting task needs.
func (t *task[A, R]) release() {
	t.job.Release()
}

// localTask is a task for a goroutine of this process: its argument is shared, not encoded. What its call returns goes
// where the future keeps it, which nobody reads before that is done.
type localTask[A, R any] struct {
	task[A, R]
	arg A
}

// Run implements dispatch.Local.
func (t *localTask[A, R]) Run(ctx context.Context, u *dispatch.Units) bool {
	v, err := t.fn.call(ctx, t.arg)
	if err != nil {
		t.Failed(u.Unit, overTime(ctx, err))
		return false
	}
	t.value = v // if the future has failed meanwhile, because its time is over, nobody reads this
	u.Next()
	return true
}

// NeedsContext implements dispatch.Local.
func (t *localTask[A, R]) NeedsContext() bool { return t.fn.context }

// Failed implements dispatch.Local.
func (t *localTask[A, R]) Failed(_ int, err error) bool {
	t.note(err)
	return false
}

// Failures implements dispatch.Local.
func (t *localTask[A, R]) Failures(_ int, f func(int, error)) { f(0, t.noted()) }

// Results implements dispatch.Sink.
func (t *localTask[A, R]) Results(_, _ int, _ []byte, _ [][]byte, by *dispatch.Record) bool {
	t.finish(by, t.value, nil)
	return false
}

// Part implements dispatch.Sink.
func (t *localTask[A, R]) Part(_ int, p dispatch.Part) {
	var zero R
	if p.Err != nil { // the call may still be running: what it reads and writes is left alone
		t.ex.notify(t.settleBy(p.Record, zero, p.Err))
		return
	}
	t.finish(p.Record, zero, t.err)
}

// writer encodes arguments. Those of many calls share a slab of memory, so that a small call costs no allocation of its
// own.
type writer struct {
	enc  pkl5.Encoder
	slab []byte
}

const slabSize = 32 << 10

var writers = sync.Pool{New: func() any { return new(writer) }}

// sender encodes the arguments of a function's calls, one at a time.
type sender[A any] struct {
	writer
	arg A
}

// encode returns the encoding of one unit.
func (fn *function[A, R]) encode(arg A, threshold int, snapshot bool) (data []byte, segments [][]byte, err error) {
	w, _ := fn.senders.Get().(*sender[A])
	if w == nil {
		w = new(sender[A])
	}
	w.arg = arg
	w.enc.Reset()
	w.enc.Threshold, w.enc.Snapshot = threshold, snapshot
	if err := fn.args.Encode(&w.enc, &w.arg); err != nil {
		return nil, nil, err
	}
	if len(w.enc.Segments) > 0 {
		segments = append(segments, w.enc.Segments...)
		clear(w.enc.Segments)
		if fn.args.Codec().Borrows() { // the argument itself may be sent from where it is
			return w.unit(segments), segments, nil
		}
	}
	data = w.unit(segments)
	var zero A
	w.arg = zero
	fn.senders.Put(w)
	return data, segments, nil
}

// unit appends what was encoded to the slab, as a unit, and returns that.
func (w *writer) unit(segments [][]byte) []byte {
	n := len(w.enc.Stream) + dispatch.LongestHead
	if cap(w.slab)-len(w.slab) < n {
		w.slab = make([]byte, 0, max(slabSize, n))
	}
	start := len(w.slab)
	w.slab = dispatch.AppendUnit(w.slab, w.enc.Stream, segments, len(segments) > 0)
	return w.slab[start:len(w.slab):len(w.slab)]
}

// newTask makes the task of a call: ready to be submitted to m.
func newTask[A, R any](ex *executor, fn *function[A, R], arg A, tc taskConfig, g *dispatch.Generation) (*task[A, R], error) {
	if ex.shares {
		t := &localTask[A, R]{arg: arg}
		t.prepare(ex, fn, tc, g)
		t.job.Func, t.job.Sink, t.job.Local = fn.sharedNumber(), t, true
		t.owner = t
		return &t.task, nil
	}
	number, err := fn.number()
	if err != nil {
		return nil, err
	}
	if fn.args.Number() {
		t := new(numberTask[A, R])
		// What has no pointers is written first: while the collector runs, a pointer is read before it is written, and for
		// memory that is new to the process the kernel gives a page of zeros for the one, and another page for the other.
		unit := fn.args.AppendOne(t.unit[:0], arg)
		t.prepare(ex, fn, tc, g)
		t.job.Func, t.job.Sink, t.job.Foreign = number, &t.task, fn.foreign
		t.owner = &t.task
		t.job.Data = unit
		return &t.task, nil
	}
	t := new(task[A, R])
	t.prepare(ex, fn, tc, g)
	t.job.Func, t.job.Sink, t.job.Foreign = number, t, fn.foreign
	t.owner = t
	var segments [][]byte
	t.job.Data, segments, err = fn.encode(arg, ex.threshold(), tc.snapshot)
	if len(segments) > 0 {
		t.job.Buffers, t.job.Own().Segments = true, segments
		t.reading = read(segments)
	}
	if err != nil {
		return nil, fmt.Errorf("futures: the argument of %s cannot be encoded: %w", fn.name, err)
	}
	return t, nil
}

func (t *task[A, R]) prepare(ex *executor, fn *function[A, R], tc taskConfig, g *dispatch.Generation) {
	t.job.Units = 1
	t.fn, t.ex = fn, ex
	if tc.timeout > 0 || tc.retries > 0 || tc.grace > 0 || tc.priority != 0 {
		t.job.More = &dispatch.More{Generation: g, Timeout: tc.timeout, Grace: tc.grace, Retries: tc.retries, Again: tc.again, Priority: tc.priority}
	} else if g != nil {
		t.job.More = g.Plain()
	}
}
