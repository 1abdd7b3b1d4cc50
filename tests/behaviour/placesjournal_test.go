package behaviour_test

import (
	"context"
	"errors"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rankpool/rankpool/futures"
	"github.com/rankpool/rankpool/journal"
)

// anyCall is a call or a gang, whatever its result is.
type anyCall struct {
	cancel func() bool
	wait   func(context.Context) error
	ran    func() bool
}

func anyCallOf[R any](f *futures.Future[R], err error) (anyCall, error) {
	return anyCall{f.Cancel,
		func(ctx context.Context) error { _, err := f.Result(ctx); return err },
		func() bool { _, ran := f.Ran(); return ran }}, err
}

// recordables are what a journal may have, but for maps.
var recordables = map[string]func(ex futures.Executor, x logged, opts ...futures.SingleOption) (anyCall, error){
	"call": func(ex futures.Executor, x logged, opts ...futures.SingleOption) (anyCall, error) {
		return anyCallOf(futures.Submit(ex, squareLogged, x, taskOptions(opts)...))
	},
	"call with an input": func(ex futures.Executor, x logged, opts ...futures.SingleOption) (anyCall, error) {
		p := futures.NewPromise[logged]()
		if err := p.SetResult(x); err != nil { // before, so that the call is counted at once
			return anyCall{}, err
		}
		return anyCallOf(futures.SubmitAfter(ex, squareLogged, p.Future(), taskOptions(opts)...))
	},
	"gang": func(ex futures.Executor, x logged, opts ...futures.SingleOption) (anyCall, error) {
		each := []futures.EachOption{futures.OnWorkers(2)}
		for _, o := range opts {
			each = append(each, o)
		}
		return anyCallOf(futures.SubmitEach(ex, squareLogged, x, each...))
	},
}

func taskOptions(opts []futures.SingleOption) (all []futures.TaskOption) {
	for _, o := range opts {
		all = append(all, o)
	}
	return all
}

// unrun is a call that has not run, and an equal one that does.
type unrun struct {
	what string
	x    int
	call func(ex futures.Executor, x logged, opts ...futures.SingleOption) (anyCall, error)
}

// What a call that never ran was to be recorded as is what the next equal one is recorded as. So that is found the next time, when no call is lost.
func TestACallThatNeverRunsTakesNoPlaceAmongEqualOnesInAJournal(t *testing.T) {
	each(t, func(t *testing.T, b backend) {
		path, file := filepath.Join(t.TempDir(), "journal"), filepath.Join(t.TempDir(), "runs")
		var all []unrun
		for kind, call := range recordables {
			for _, how := range []string{"is cancelled", "loses its context", "is dropped"} {
				all = append(all, unrun{"a " + kind + " that " + how, len(all) + 2, call})
			}
		}
		again := func(j *journal.Journal, runs bool) {
			ex := b.start(t, 2)
			for _, one := range all {
				e, err := one.call(ex, logged{File: file, X: one.x}, futures.WithJournal(j))
				if err == nil {
					err = e.wait(within(t))
				}
				if err != nil || e.ran() != runs {
					t.Errorf("%s: the next equal one has run: %v, not %v: %v", one.what, e.ran(), runs, err)
				}
			}
			mustClose(t, ex)
		}
		recorded(t, path, func(j *journal.Journal) {
			neverRun(t, b, j, file, all)
			if n := runs(t, file); n > 0 {
				t.Errorf("%d runs", n)
			}
			again(j, true)
		})
		recorded(t, path, func(j *journal.Journal) { again(j, false) })
	})
}

// neverRun submits calls while all workers are busy, and ends them as their names say.
func neverRun(t *testing.T, b backend, j *journal.Journal, file string, all []unrun) {
	t.Helper()
	ex, g := b.start(t, 2), newGate(t)
	for range 2 {
		f := submit(t, ex, wait, g)
		eventually(t, "it runs", f.Running)
	}
	ctx, cancel := context.WithCancel(t.Context())
	var ends []anyCall
	for _, one := range all {
		opts := []futures.SingleOption{futures.WithJournal(j)}
		if strings.Contains(one.what, "context") {
			opts = append(opts, futures.WithContext(ctx))
		}
		e, err := one.call(ex, logged{File: file, X: one.x}, opts...)
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(one.what, "cancelled") && !e.cancel() {
			t.Errorf("%s was not", one.what)
		}
		ends = append(ends, e)
	}
	cancel()
	mustClose(t, ex, futures.CancelFutures(), futures.NoWait())
	for i, e := range ends {
		if err := e.wait(within(t)); !errors.Is(err, futures.ErrCancelled) {
			t.Errorf("%s: %v", all[i].what, err)
		}
	}
	g.open()
	mustClose(t, ex)
}
