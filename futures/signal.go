package futures

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/rankpool/rankpool/internal/dispatch"
	"github.com/rankpool/rankpool/internal/job"
	"github.com/rankpool/rankpool/internal/link/proc"
	"github.com/rankpool/rankpool/internal/mpi"
)

// MainOption is a choice for Main.
type MainOption func(*endingConfig)

// endingConfig is how a program ends before its time.
type endingConfig struct {
	grace   time.Duration
	asked   bool // grace was set
	signals []os.Signal
}

func (c *endingConfig) apply(opts []MainOption) {
	for _, o := range opts {
		if o != nil {
			o(c)
		}
	}
}

// ending is what Main was given. It is written before anything reads it.
var ending endingConfig

// DrainGrace sets how long tasks that run when the program is told to end may go on, by SIGTERM or a signal of DrainOn.
// From the signal on nothing begins: what is queued fails with ErrDrained, and so does what is
// submitted. The results of the tasks that finish in time are delivered. Then, or as soon as nothing runs, the contexts of
// the tasks and of Main's function end, and what does not end with its context may go on for another second.
//
// The default is 5 s, or less where the launcher kills earlier after its SIGTERM: the message, what was done by then and what
// the program defers are to be out before. Open MPI's mpiexec kills after 1 s, since version 5 after 0.2 s, and four tenths of
// that are what tasks have, also where DrainGrace asks for more. Slurm kills after 30 s (KillWait), unless it is set otherwise;
// choose less. After a signal of DrainOn nobody kills, so that all of DrainGrace holds.
func DrainGrace(d time.Duration) MainOption {
	return func(c *endingConfig) { c.grace, c.asked = max(d, 0), true }
}

// DrainOn has further signals do what SIGTERM does, such as the one that a batch system sends some time before it ends a
// job (sbatch --signal=USR1@120). The option must be the same in every process of the program, as code before Main is.
//
// MPICH's mpiexec, told to leave the other ranks alive when one is lost, sends them SIGUSR1 then. Under it a SIGUSR1 that
// comes with the loss of a rank therefore drains nothing, and one that no loss explains drains 2 s late. A loss that is
// noticed later than that, on another host, drains. SIGWINCH has one meaning; SIGUSR2 would end that mpiexec itself.
func DrainOn(signals ...os.Signal) MainOption {
	return func(c *endingConfig) { c.signals = append(c.signals, signals...) }
}

// ErrDrained is the error of what had not begun when the program was told to end, and of every call after that. It matches
// ErrCancelled.
var ErrDrained = fmt.Errorf("futures: the program was told to end by a signal before this began (%w)", ErrCancelled)

// What is left of the time after a signal: until when, on the monotonic clock; and whether nothing may begin any more.
var (
	graceEnd atomic.Pointer[time.Time]
	draining atomic.Bool
)

var errSignalled = errors.New("the program was told to end by a signal")

// signalError is why the context of Main's function ended.
type signalError struct{ signal os.Signal }

func (e *signalError) Error() string { return "signal: " + e.signal.String() }

// status is the exit status that says so.
func (e *signalError) status() int {
	if n, ok := e.signal.(syscall.Signal); ok {
		return exitSignalled + int(n)
	}
	return exitFailure
}

// repeat is how long after the first signal a SIGTERM says the same once more. Slurm sends two at the end of a job's time, to a
// step and to its srun, which passes it on; and where all processes of a job get one, Open MPI's mpiexec has another for its ranks.
const repeat = 2 * time.Second

// awaitSignal ends the context of Main's function when the process is told to end.
func awaitSignal(ctx context.Context, cancel context.CancelCauseFunc) {
	interrupts, terms, more := make(chan os.Signal, 1), make(chan os.Signal, 1), make(chan os.Signal, 8)
	for s, c := range map[os.Signal]chan os.Signal{os.Interrupt: interrupts, syscall.SIGTERM: terms} {
		if !signal.Ignored(s) { // as nohup and shells without job control have it: that is to stay so
			signal.Notify(c, s)
		}
	}
	if len(ending.signals) > 0 {
		signal.Notify(more, ending.signals...) // for good: a second one must not end what the first has drained
	}
	meant := (<-chan os.Signal)(more)
	if l := job.LauncherLoss(); l != nil && slices.Contains(ending.signals, l.Signal) {
		heeded := make(chan os.Signal, 1)
		go func() {
			if s := l.Await(ctx, more); s != nil {
				heeded <- s
			}
		}()
		meant = heeded
	}
	var s os.Signal
	select {
	case s = <-interrupts:
	case s = <-terms:
	case s = <-meant:
	case <-ctx.Done():
		signal.Stop(interrupts)
		signal.Stop(terms)
		return
	}
	letNext := func() { // the next one ends the process
		signal.Stop(interrupts)
		time.AfterFunc(repeat, func() { signal.Stop(terms) })
	}
	launcher := mpi.FindEnding(os.LookupEnv)
	g := ending.gracesAfter(s, launcher)
	if g.short != "" {
		fmt.Fprintln(os.Stderr, "rankpool: warning:", g.short)
	}
	var cut os.Signal
	switch s {
	case os.Interrupt:
		letNext()
	case syscall.SIGTERM:
		letNext()
		drain(ctx, g.drain, nil, nil)
	default:
		cut = drain(ctx, g.drain, interrupts, terms)
		letNext()
	}
	if cut != nil {
		s, g = cut, ending.gracesAfter(os.Interrupt, launcher)
	}
	end := time.Now().Add(g.rest)
	graceEnd.Store(&end)
	cancel(&signalError{s})
	endSignalled()
}

// ignoreSignals has a worker leave the signals that come to all processes to the master, and with them those of DrainOn. It
// may be called again.
func ignoreSignals() { proc.LeaveSignals(ending.signals...) }

// drain lets what runs finish, within the grace period, and nothing begin. It returns the signal that ended it before.
func drain(ctx context.Context, grace time.Duration, interrupts, terms <-chan os.Signal) (cut os.Signal) {
	draining.Store(true)
	ctx, cancel := context.WithTimeout(ctx, grace)
	defer cancel()
	var wg sync.WaitGroup
	for _, m := range openMasters() {
		m.Drain(ErrDrained)
		wg.Go(func() {
			select {
			case <-m.Closed():
			case <-ctx.Done():
			}
		})
	}
	done := make(chan struct{})
	go func() {
		wg.Wait()
		close(done)
	}()
	select {
	case <-done:
	case cut = <-interrupts:
	case cut = <-terms:
	}
	return cut
}

// heedSignal has a Shutdown that waits cancel what is queued and end the contexts of what runs when Main's context is
// ended by a signal: a deferred Close would otherwise hold the end of the program up until all that is queued has run.
// The context it returns ends a grace period after the signal. release must be called.
func heedSignal(ctx context.Context, m *dispatch.Master) (bounded context.Context, release func()) {
	ctx, cancel := context.WithCancelCause(ctx)
	stop := onSignal(func() {
		_, _ = m.Shutdown(ctx, false, true)
		m.Interrupt()
		// One grace for all executors, however they are closed.
		limit := time.AfterFunc(time.Until(*graceEnd.Load()), func() { cancel(errSignalled) })
		context.AfterFunc(ctx, func() { limit.Stop() })
	})
	return ctx, func() {
		stop()
		cancel(nil)
	}
}
