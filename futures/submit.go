package futures

import (
	"errors"
	"fmt"

	"github.com/rankpool/rankpool/internal/dispatch"
	"github.com/rankpool/rankpool/internal/life"
	"github.com/rankpool/rankpool/internal/resultlog"
)

// Submit queues one call of fn and returns its future. It does not block. The first use of an executor starts its workers in the
// background.
//
// The argument is encoded at the call, so later changes to it do not matter, with one exception: slices at or above the out-of-band
// threshold are sent from where they are and must not be written to before the future is done. [WithSnapshot] copies them; its comment says
// how a forgotten copy is noticed. A [ThreadPoolExecutor] shares the argument.
//
// It returns an error, and no future, when the executor is shut down ([ErrShutdown]) or broken ([ErrBroken]), when the function is not
// registered, when the argument cannot be encoded, or when a variable of the environment cannot be used.
func Submit[A, R any](ex Executor, fn Func[A, R], arg A, opts ...TaskOption) (*Future[R], error) {
	e, err := baseOf(ex)
	if err != nil {
		return nil, err
	}
	if err := e.usable(fn.f == nil, fn.f != nil && fn.f.local, fn.Name()); err != nil {
		return nil, err
	}
	tc := fn.f.task
	if len(opts) > 0 {
		var own taskConfig
		if err := applyTo(&own, opts); err != nil {
			return nil, fmt.Errorf("futures: Submit: %w", err)
		}
		tc = own.over(tc)
	}
	m, err := e.started()
	if err != nil {
		return nil, err
	}
	g := e.generation.Load()
	rec, err := newRecording(e, fn.f, tc.journal, g, 0)
	if err != nil {
		return nil, err
	}
	var counted resultlog.Entry
	if rec != nil && (tc.ctx == nil || tc.ctx.Err() == nil) {
		looked := arg // a copy, for only calls with a journal are to pay for an argument on the heap
		f, c, err := rec.recall(m, &looked)
		if f != nil || err != nil {
			return f, err
		}
		counted = c
	}
	t, err := newTask(e, fn.f, arg, tc.over(e.cfg.task), g)
	if err != nil {
		if rec != nil {
			rec.log.GiveBack(counted.Place())
		}
		return nil, err
	}
	if counted.Key() != unrecorded {
		rec.record(t, counted)
	}
	if err := submitUnder(tc.ctx, e, m, &t.job, &t.core, t.owner, (*dispatch.Master).Submit); err != nil {
		t.reading.join()
		neverRuns(&t.job)
		return nil, refusal(err)
	}
	return &t.Future, nil
}

// refusal turns a scheduler's refusal, if it is one, into the package's words.
func refusal(err error) error {
	if errors.Is(err, dispatch.ErrStopping) {
		if life.Draining() {
			return ErrDrained
		}
		return ErrShutdown
	}
	return err
}
