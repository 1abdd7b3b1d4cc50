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

// WithDrainGrace sets how long tasks that run when the program is told to end may go on, by SIGTERM or a signal of [DrainOn].
// From the signal on nothing begins: what is queued fails with [ErrDrained], and so does what is
// submitted. The results of the tasks that finish in time are delivered. Then, or as soon as nothing runs, the contexts of
// the tasks and of [Main]'s function end, and what does not end with its context may go on for another second.
//
// The default is 5 s, or less where the launcher kills earlier after its SIGTERM: the message, what was done by then and what
// the program defers are to be out before. Open MPI's mpiexec kills after 1 s, since version 5 after 0.2 s, and four tenths of
// that are what tasks have, also where WithDrainGrace asks for more. Slurm kills after 30 s (KillWait), unless it is set otherwise;
// choose less. After a signal of [DrainOn] nobody kills, so that all of WithDrainGrace holds.
func WithDrainGrace(d time.Duration) MainOption {
	return mainOption(func(c *life.Ending) { c.Grace, c.Asked = max(d, 0), true })
}

// DrainOn has further signals do what SIGTERM does, such as the one that a batch system sends some time before it ends a
// job (sbatch --signal=USR1@120). The option must be the same in every process of the program, as code before [Main] is.
//
// MPICH's mpiexec, told to leave the other ranks alive when one is lost, sends them SIGUSR1 then. Under it a SIGUSR1 that
// comes with the loss of a rank therefore drains nothing, and one that no loss explains drains 2 s late. A loss that is
// noticed later than that, on another host, drains. SIGWINCH has one meaning; SIGUSR2 would end that mpiexec itself.
func DrainOn(signals ...os.Signal) MainOption {
	return mainOption(func(c *life.Ending) { c.Signals = append(c.Signals, signals...) })
}

// ErrDrained is the error of what had not begun when the program was told to end, and of every call after that. It matches
// [ErrCancelled].
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
