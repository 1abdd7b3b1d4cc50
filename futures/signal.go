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
)

// MainOption is a choice for Main.
type MainOption func(*endingConfig)

// endingConfig is how a program ends before its time.
type endingConfig struct {
	grace   time.Duration
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
var ending = endingConfig{grace: closeGrace}

// DrainGrace sets how long tasks that run when the program is told to end may go on, by SIGTERM or a signal of DrainOn;
// the default is 5 s. From the signal on nothing begins: what is queued fails with ErrDrained, and so does what is
// submitted. The results of the tasks that finish in time are delivered. Then, or as soon as nothing runs, the contexts of
// the tasks and of Main's function end.
//
// Choose it shorter than what sends the signal waits until it kills: 30 s with Slurm (KillWait), 1 s with Open MPI's mpiexec
// (--mca odls_base_sigkill_timeout).
func DrainGrace(d time.Duration) MainOption {
	return func(c *endingConfig) { c.grace = max(d, 0) }
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

// Grace periods: of what runs when a program is told to end at once, and of what has not heeded the end of a drain.
const (
	closeGrace = 5 * time.Second
	drainRest  = time.Second
)

// ErrDrained is the error of what had not begun when the program was told to end. It matches ErrCancelled.
var ErrDrained = fmt.Errorf("futures: the program was told to end by a signal before this began (%w)", ErrCancelled)

// signalled ends when Main's context is ended by a signal.
var signalled, endSignalled = context.WithCancel(context.Background())

// What is left of the time after a signal: until when, in nanoseconds since 1970; and whether nothing may begin any more.
var (
	graceEnd atomic.Int64
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

// awaitSignal ends the context of Main's function when the process is told to end.
func awaitSignal(ctx context.Context, cancel context.CancelCauseFunc) {
	sig, more := make(chan os.Signal, 1), make(chan os.Signal, 8)
	for _, s := range []os.Signal{os.Interrupt, syscall.SIGTERM} {
		if !signal.Ignored(s) { // as nohup and shells without job control have it: that is to stay so
			signal.Notify(sig, s)
		}
	}
	if len(ending.signals) > 0 {
		signal.Notify(more, ending.signals...) // for good: a second one must not end what the first has drained
	}
	meant := (<-chan os.Signal)(more)
	if l := launcherLoss(); l != nil && slices.Contains(ending.signals, l.signal) {
		heeded := make(chan os.Signal, 1)
		go func() {
			if s := l.await(ctx, more); s != nil {
				heeded <- s
			}
		}()
		meant = heeded
	}
	var s os.Signal
	select {
	case s = <-sig:
	case s = <-meant:
	case <-ctx.Done():
		signal.Stop(sig)
		return
	}
	signal.Stop(sig) // the next one ends the process
	grace := closeGrace
	if s != os.Interrupt {
		drain(ctx)
		grace = drainRest
	}
	graceEnd.Store(time.Now().Add(grace).UnixNano())
	cancel(&signalError{s})
	endSignalled()
}

// ignoreSignals has a worker leave the end of the program to the master. The channel is never read: a full one drops. It
// is not signal.Ignore, which programs started by tasks would inherit.
func ignoreSignals() {
	signal.Notify(make(chan os.Signal, 1), append([]os.Signal{os.Interrupt, syscall.SIGTERM}, ending.signals...)...)
}

// drain lets what runs finish, within the grace period, and nothing begin.
func drain(ctx context.Context) {
	draining.Store(true)
	ctx, cancel := context.WithTimeout(ctx, ending.grace)
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
	wg.Wait()
}

// heedSignal has a Shutdown that waits cancel what is queued and end the contexts of what runs when Main's context is
// ended by a signal: a deferred Close would otherwise hold the end of the program up until all that is queued has run.
// The context it returns ends a grace period after the signal. release must be called.
func heedSignal(ctx context.Context, m *dispatch.Master) (bounded context.Context, release func()) {
	ctx, cancel := context.WithCancelCause(ctx)
	stop := context.AfterFunc(signalled, func() {
		_, _ = m.Shutdown(ctx, false, true)
		m.Interrupt()
		// One grace for all executors, however they are closed.
		limit := time.AfterFunc(time.Until(time.Unix(0, graceEnd.Load())), func() { cancel(errSignalled) })
		context.AfterFunc(ctx, func() { limit.Stop() })
	})
	return ctx, func() {
		stop()
		cancel(nil)
	}
}
