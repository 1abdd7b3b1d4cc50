package futures

import (
	"fmt"
	"io"
	"strings"
	"sync/atomic"

	"github.com/rankpool/rankpool/internal/dispatch"
	"github.com/rankpool/rankpool/internal/resultlog"
)

// SubmitAfter is [Submit] for a call whose argument is the result of another one. It queues the call when input is done, which it may be
// already, and returns the future of the call at once. It does not block. A waiting call has no goroutine, so thousands can wait.
//
//	table, err := futures.Submit(ex, load, name)
//	mean, err := futures.SubmitAfter(ex, average, table)
//
// Several inputs are combined into one: by [Collect] if they are of one type, by [Join] if they are two for a function with [Spread], and
// otherwise by [Assemble]. An input may be any future: of another executor, of [SubmitEach], [Then] or a [Promise]. Several calls may have
// the same input. A call cannot be its own input: a future that would wait for itself through [ThenChain] fails with [ErrChainCycle].
//
// When the input fails, the call does not run. It fails with an [*InputError], which says which input it was and wraps its error. When the
// input is cancelled, so is the call. A waiting call is pending. Cancelling it leaves the input alone, since others may use it.
//
// The result of a call of the same executor is passed on in the form in which it came from its worker, if the call already waits for it.
// Then nothing is decoded or encoded in between, and no code of its type runs in this process. The input's own future decodes the result
// when somebody asks for it. If decoding fails, that is the future's error from then on; it does not affect the calls that got the encoded
// form.
//
// Any other argument is encoded when the input is done, on a goroutine of the executor, or on the caller's if the input is done already. If
// encoding fails, so does the call. If the argument is large and not copied ([WithSnapshot]), the value of the input's future must not be
// written to before the call is done. A [ThreadPoolExecutor] passes on the value itself. Options mean the same as for [Submit]: the
// time-out and the retries begin with the call, and the end of a [WithContext] cancels a call that waits. Equal calls are in a
// [WithJournal] in the order in which they became ready.
//
// A shutdown that waits, as Close does, waits for the inputs and the calls behind them. [CancelFutures], a signal that ends the program,
// and a pool that breaks cancel or fail them like queued calls. [Stats.Blocked] is how many wait. A call whose input is done is queued
// behind what is there, as far as priorities allow.
//
// The errors are those of [Submit], and one for a nil input.
func SubmitAfter[A, R any](ex Executor, fn Func[A, R], input *Future[A], opts ...TaskOption) (*Future[R], error) {
	e, err := baseOf(ex)
	if err != nil {
		return nil, err
	}
	if err := e.usable(fn.f == nil, fn.f != nil && fn.f.local, fn.Name()); err != nil {
		return nil, err
	}
	if input == nil {
		return nil, fmt.Errorf("futures: SubmitAfter of %s: the input is nil: look at the error of the call that was to return it", fn.Name())
	}
	var own taskConfig
	if err := applyTo(&own, opts); err != nil {
		return nil, fmt.Errorf("futures: SubmitAfter: %w", err)
	}
	m, err := e.started()
	if err != nil {
		return nil, err
	}
	tc := own.over(fn.f.task).over(e.cfg.task)
	g := e.generation.Load()
	rec, err := newRecording(e, fn.f, tc.journal, g, 0)
	if err != nil {
		return nil, err
	}
	t := &afterTask[A, R]{master: m, rec: rec, snapshot: tc.snapshot}
	t.prepare(e, fn.f, tc, g)
	if err := t.identify(); err != nil {
		return nil, err
	}
	t.owner, t.node.to = t, t
	t.input.Store(input)
	if err := submitUnder(tc.ctx, e, m, &t.job, &t.core, t, (*dispatch.Master).Expect); err != nil {
		return nil, refusal(err)
	}
	if !e.feeds.Load() {
		e.feeds.Store(true)
	}
	if !input.follow(&t.node) {
		if f := t.input.Swap(nil); f != nil {
			t.proceed(f)
		}
	} else if t.isDone() { // it was cancelled, or dropped, before
		t.leave()
	}
	return &t.Future, nil
}

// afterTask is a call whose argument is the result of a future. It waits for that as a hook, and then is the task that it has inside.
type afterTask[A, R any] struct {
	localTask[A, R]
	master   *dispatch.Master
	node     node[hook]
	input    atomic.Pointer[Future[A]] // whoever swaps it for nil goes on with the call, or leaves the input
	rec      *recording[A, R]          // nil: nothing is recorded
	snapshot bool
}

// identify fills in how the scheduler knows the call.
func (t *afterTask[A, R]) identify() (err error) {
	t.job.Func, err = t.fn.numberFor(t.ex)
	if err != nil {
		return err
	}
	if t.job.Local = t.ex.shares; t.job.Local {
		t.job.Sink = &t.localTask
	} else {
		t.job.Sink, t.job.Foreign = &t.task, t.fn.foreign
	}
	if t.rec != nil {
		t.rec.record(&t.task, resultlog.Entry{})
	}
	return nil
}

// fire implements hook: the input is done. What takes a moment, or may be code of the user's, is not for the goroutine that has completed it.
func (t *afterTask[A, R]) fire() *callbackList {
	f := t.input.Swap(nil)
	switch {
	case f == nil, t.isDone(): // cancelled or dropped
	case t.passOn(f, true):
	case !f.late && f.err == nil && !f.Cancelled() && t.rec == nil && (t.ex.shares || t.fn.args.Number()):
		t.supply(f)
	default:
		t.ex.decoding.Add(func() { t.proceed(f) })
	}
	return nil
}

// proceed does what follows from the input, which is done.
func (t *afterTask[A, R]) proceed(f *Future[A]) {
	switch {
	case t.isDone():
	case f.Cancelled():
		t.master.Forgo(&t.job, dispatch.Withheld, func() {
			list, _ := t.revoke(t.because(f.whyCancelled()))
			t.ex.notify(list)
		})
	case t.passOn(f, false):
	case f.failure() != nil:
		t.refuse(t.because(f.err))
	case t.rec != nil:
		t.recall(f)
	default:
		t.supply(f)
	}
}

// takes implements taker.
func (t *afterTask[A, R]) takes(from *executor) (yes, snapshot bool) {
	return t.ex == from && t.takesEncoding(), t.snapshot
}

// takesEncoding tells whether the call can do with the encoding of its input. A journal wants the value, of which it makes an encoding of its own.
func (t *afterTask[A, R]) takesEncoding() bool { return !t.ex.shares && t.rec == nil }

// passOn queues the call with the encoding of its input, if that is there, and tells whether it did. At once, it copies nothing large.
func (t *afterTask[A, R]) passOn(f *Future[A], atOnce bool) bool {
	if !t.takesEncoding() {
		return false
	}
	from := f.opener()
	if from == nil {
		return false
	}
	unit, segments, shared := from.encoding(t.snapshot)
	if unit == nil || shared && atOnce {
		return false
	}
	if shared {
		segments = copies(segments)
	}
	t.master.Supply(&t.job, unit, segments)
	return true
}

// because is the error of a call whose input has not come.
func (t *afterTask[A, R]) because(err error) error {
	if e, ok := err.(*InputError); ok && e.Func == "" { //nolint:errorlint // one of Assemble, which says which input it was
		return &InputError{Func: t.fn.name, Index: e.Index, Inputs: e.Inputs, Err: e.Err}
	}
	return &InputError{Func: t.fn.name, Inputs: 1, Err: err}
}

// refuse fails a call that does not run.
func (t *afterTask[A, R]) refuse(err error) {
	neverRuns(&t.job)
	t.master.Forgo(&t.job, dispatch.Unsupplied, func() {
		var zero R
		t.ex.notify(t.settleBy(nil, zero, err))
	})
}

// supply queues the call with its argument.
func (t *afterTask[A, R]) supply(f *Future[A]) {
	if t.ex.shares {
		t.arg = f.value
		t.master.Supply(&t.job, nil, nil)
		return
	}
	data, segments, err := t.encode(f)
	if err != nil {
		t.refuse(fmt.Errorf("futures: the argument of %s cannot be encoded: %w", t.fn.name, err))
		return
	}
	t.master.Supply(&t.job, data, segments)
}

// encode returns the encoding of the argument, whatever code of the user's that needs.
func (t *afterTask[A, R]) encode(f *Future[A]) (data []byte, segments [][]byte, err error) {
	encode := func() { data, segments, err = t.fn.encode(f.value, t.ex.threshold(), t.snapshot) }
	if !t.fn.foreignArgs {
		encode()
	} else if gone := apart(encode); gone != nil {
		return nil, nil, gone
	}
	return data, segments, err
}

// recall is supply for a call whose result may be recorded.
func (t *afterTask[A, R]) recall(f *Future[A]) {
	var counted resultlog.Entry
	var o resultlog.Outcome
	known := false
	if gone := apart(func() { counted, o, known = t.rec.teller().submit(&f.value) }); gone != nil {
		t.refuse(fmt.Errorf("futures: the argument of %s cannot be encoded: %w", t.fn.name, gone))
		return
	}
	if known {
		if v, err, ok := fromRecord(t.rec, o, t.fn.decode); ok {
			t.master.Forgo(&t.job, dispatch.Known, func() {
				t.ex.recalled.Add(1)
				t.ex.notify(t.settleBy(nil, v, err))
			})
			return
		}
	}
	t.job.Sink.(recorded).take(t.rec.log, counted)
	t.supply(f)
}

// leave has the input forget the call.
func (t *afterTask[A, R]) leave() {
	if f := t.input.Swap(nil); f != nil {
		f.unfollow(&t.node)
	}
}

// cancelled implements canceller: the call is cancelled, or was when it was queued.
func (t *afterTask[A, R]) cancelled() *callbackList {
	t.leave()
	return t.task.cancelled()
}

// awaits implements dependent.
func (t *afterTask[A, R]) awaits() *core {
	if f := t.input.Load(); f != nil {
		return &f.core
	}
	return nil
}

// InputError is the error of a call that did not run because one of its inputs failed or was cancelled: see [SubmitAfter].
type InputError struct {
	Func   string // the registered name of the function; empty for an Assemble or Join
	Index  int    // which input it was, counted from 0
	Inputs int    // how many inputs there are
	Err    error  // why that input has no result; it matches ErrCancelled if it was cancelled
}

// Error names the function, the input if there are several, and the cause.
func (e *InputError) Error() string {
	if e == nil {
		return "futures: an input has no result"
	}
	if e.Err == nil {
		return e.head()
	}
	return e.head() + ": " + strings.TrimPrefix(e.Err.Error(), "futures: ")
}

// head is what comes before the cause.
func (e *InputError) head() string {
	s := "futures: "
	if e.Func != "" {
		s += e.Func + " did not run: "
	}
	if e.Inputs > 1 {
		return s + fmt.Sprintf("input %d of its %d has no result", e.Index, e.Inputs)
	}
	return s + "its input has no result"
}

// Unwrap returns the error of the input.
func (e *InputError) Unwrap() error {
	if e == nil {
		return nil
	}
	return e.Err
}

// Format writes the line of [InputError.Error]. With %+v it adds the details of the cause.
func (e *InputError) Format(s fmt.State, verb rune) {
	switch {
	case verb == 'q':
		fmt.Fprintf(s, "%q", e.Error())
	case verb == 'v' && s.Flag('+') && e != nil && e.Err != nil:
		fmt.Fprintf(s, "%s: %+v", e.head(), e.Err)
	default:
		io.WriteString(s, e.Error())
	}
}
