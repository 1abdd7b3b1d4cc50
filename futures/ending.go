package futures

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/rankpool/rankpool/internal/dispatch"
	"github.com/rankpool/rankpool/internal/life"
)

// MainOption is a choice for [Main].
type MainOption interface{ applyMain(*life.Ending) }

type mainOption func(*life.Ending)

func (o mainOption) applyMain(c *life.Ending) { o(c) }

// WithDrainGrace sets how long running tasks may go on when SIGTERM or a signal of [DrainOn] tells the program to end. From then on no task
// begins: queued calls fail with [ErrDrained], and so do new ones. Tasks that finish in time deliver their results. After that time, or as
// soon as nothing runs, the contexts of the tasks and of [Main]'s function end. Anything that does not end with its context may go on for
// another second.
//
// The default is 5 s, or less where the launcher kills earlier after its SIGTERM, so that time is left for the message, the finished
// results and the deferred functions of the program. Open MPI's mpiexec kills after 1 s, since version 5 after 0.2 s. Tasks have four
// tenths of that, even if WithDrainGrace asks for more. Slurm kills after 30 s (KillWait) unless it is set otherwise; choose less. After a
// signal of [DrainOn] nobody kills, so all of WithDrainGrace applies.
func WithDrainGrace(d time.Duration) MainOption {
	return mainOption(func(c *life.Ending) { c.Grace, c.Asked = max(d, 0), true })
}

// DrainOn makes further signals do what SIGTERM does, such as the one that a batch system sends some time before it ends a job (sbatch
// --signal=USR1@120). Like code before [Main], the option must be the same in every process of the program.
//
// MPICH's mpiexec can be told to leave the other ranks alive when one is lost. It then sends them SIGUSR1. Under it a SIGUSR1 that comes
// with the loss of a rank therefore drains nothing, and one that no loss explains drains 2 s late. If the loss is noticed later than that,
// on another host, the signal drains. SIGWINCH has no second meaning. SIGUSR2 would end that mpiexec itself.
func DrainOn(signals ...os.Signal) MainOption {
	return mainOption(func(c *life.Ending) { c.Signals = append(c.Signals, signals...) })
}

// ErrDrained is the error of calls that had not begun when the program was told to end, and of every later call. It matches [ErrCancelled].
var ErrDrained = fmt.Errorf("futures: a signal told the program to end, so no further task begins (%w)", ErrCancelled)

// program is a program as its end sees it.
func program(run func(context.Context) error, opts []MainOption) life.Program {
	p := life.Program{Run: run, Text: textOf, Status: statusOf, Recovered: func(v any, stack []byte) error {
		if v == nil {
			v = dispatch.Goexit
		}
		return recovered(v, stack)
	}, Prepare: registerSentinels, Service: processService, Server: serveAsked}
	for _, o := range opts {
		if o != nil {
			o.applyMain(&p.Ending)
		}
	}
	return p
}

// textOf is what is printed of the error of Main's function.
func textOf(err error) string {
	text := fmt.Sprint(err) // which survives an Error method that panics
	if p := new(PanicError); errors.As(err, &p) {
		text = fmt.Sprintf("%+v", err)
	} else if m := new(MismatchError); errors.As(err, &m) {
		text += "\n" + m.Diff
	}
	return text
}

// statusOf returns the exit status that the error of Main's function asks for.
func statusOf(err error) (status int) {
	defer func() {
		if recover() != nil { // such as a nil pointer in an error that is not nil
			status = life.ExitFailure
		}
	}()
	if _, panicked := err.(*PanicError); panicked {
		return life.ExitFailure
	}
	var says interface{ ExitCode() int }
	if errors.As(err, &says) {
		if n := says.ExitCode(); n >= 0 && n <= life.ExitGreatest {
			return n
		}
	}
	return life.ExitFailure
}

// track remembers an executor until its workers have left, its callbacks have run and its log is written.
func track(e *executor, m *dispatch.Master) {
	closed := life.Track(pool{e}, e.number)
	m.OnClosed(func() {
		_, _ = e.decoding.Drain(context.Background()), e.callbacks.Drain(context.Background())
		e.endRecording(context.Background(), m)
		life.FlushLast(e.log)
		closed(badEnd(e, m))
	})
}

// badEnd returns what tells, at the end of the program's tests, what they have not looked at and must. It is nil when nothing went wrong.
func badEnd(e *executor, m *dispatch.Master) func() error {
	always, unless := m.BadEnds(), m.Failures()
	if always == nil && unless == nil {
		return nil
	}
	return func() error {
		if e.looked.Load() {
			return always
		}
		return errors.Join(unless, always)
	}
}

// pool is an executor as the end of the program sees it.
type pool struct{ e *executor }

// Master implements life.Pool.
func (p pool) Master() *dispatch.Master { return p.e.master.Load() }

// Drain implements life.Pool.
func (p pool) Drain() { p.Master().Drain(ErrDrained) }

// Finish implements life.Pool.
func (p pool) Finish(ctx context.Context) error { return p.e.shutdown(ctx) }

// Cut implements life.Pool.
func (p pool) Cut(ctx context.Context) error {
	return p.e.shutdown(ctx, CancelFutures(), InterruptTasks())
}

// GiveUp implements life.Pool.
func (p pool) GiveUp(ctx context.Context) error { return p.e.giveUp(ctx) }

// giveUp cancels what is queued and waits for what runs, which has the grace of the program. Then its context ends, and a
// moment later the wait.
func (e *executor) giveUp(ctx context.Context) error {
	grace, cancel := context.WithTimeout(ctx, life.AfterFailure())
	defer cancel()
	if e.shutdown(grace, CancelFutures()) == nil {
		return nil
	}
	rest, cancel := context.WithTimeout(context.WithoutCancel(ctx), life.DrainRest)
	defer cancel()
	return e.shutdown(rest, CancelFutures(), InterruptTasks())
}
