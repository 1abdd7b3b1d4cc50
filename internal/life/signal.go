package life

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

// Ending is how a program ends before its time.
type Ending struct {
	Grace   time.Duration // of what runs
	Asked   bool          // Grace was set
	Signals []os.Signal   // that drain, beside SIGTERM
}

// ending is what the program was given. It is written before anything reads it.
var ending Ending

// What is left of the time after a signal: until when, on the monotonic clock; and whether nothing may begin any more.
var (
	graceEnd atomic.Pointer[time.Time]
	draining atomic.Bool
)

var errSignalled = errors.New("the program was told to end by a signal")

// GraceEnd is when what runs is given up, nil before a signal.
func GraceEnd() *time.Time { return graceEnd.Load() }

// Draining tells whether nothing may begin any more, because the program was told to end.
func Draining() bool { return draining.Load() }

// signalError is why the context of Main's function ended.
type signalError struct{ signal os.Signal }

func (e *signalError) Error() string { return "signal: " + e.signal.String() }

// status is the exit status that says so.
func (e *signalError) status() int {
	if n, ok := e.signal.(syscall.Signal); ok {
		return exitSignalled + int(n)
	}
	return ExitFailure
}

// repeat is how long after the first signal a SIGTERM says the same once more. Slurm sends two at the end of a job's time, to a
// step and to its srun, which passes it on; and where all processes of a job get one, Open MPI's mpiexec has another for its ranks.
const repeat = 2 * time.Second

// awaitSignal ends the context of Main's function when the process is told to end. It closes listens when no signal is missed any more,
// and returns when a signal has ended the context, or when over is closed and none has come.
func awaitSignal(ctx context.Context, cancel context.CancelCauseFunc, listens chan<- struct{}, over <-chan struct{}) {
	interrupts, terms, more := make(chan os.Signal, 1), make(chan os.Signal, 1), make(chan os.Signal, 8)
	for s, c := range map[os.Signal]chan os.Signal{os.Interrupt: interrupts, syscall.SIGTERM: terms} {
		if !signal.Ignored(s) { // as nohup and shells without job control have it: that is to stay so
			signal.Notify(c, s)
		}
	}
	if len(ending.Signals) > 0 {
		signal.Notify(more, ending.Signals...) // for good: a second one must not end what the first has drained
	}
	close(listens)
	meant := (<-chan os.Signal)(more)
	if l := job.LauncherLoss(); l != nil && slices.Contains(ending.Signals, l.Signal) {
		caught := make(chan os.Signal, 1)
		go func() {
			if s := l.Await(ctx, more); s != nil {
				caught <- s
			}
		}()
		meant = caught
	}
	var s os.Signal
	select {
	case s = <-interrupts:
	case s = <-terms:
	case s = <-meant:
	case <-over:
		signal.Stop(interrupts) // it waits until signals that have come are in their channels
		signal.Stop(terms)
		select {
		case s = <-interrupts:
		case s = <-terms:
			signal.Notify(terms, syscall.SIGTERM) // which may come twice
		case s = <-meant:
		default:
			return
		}
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
		at := time.Now()
		said := sayLoss(at)
		drain(ctx, s, g.drain, nil, nil)
		if !said { // the launcher may have known it first
			sayLoss(at)
		}
	default:
		cut = drain(ctx, s, g.drain, interrupts, terms)
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

// sayLoss says what to do about a launcher that ends the job because a rank was lost, and tells whether that may be so.
func sayLoss(signalled time.Time) bool {
	text := job.EndedForLoss(signalled)
	if text != "" {
		fmt.Fprintln(os.Stderr, "rankpool: warning:", text)
	}
	return text != ""
}

// ignoreSignals has a worker leave the signals that come to all processes to the master, and with them those of DrainOn. It
// may be called again.
func ignoreSignals() { proc.LeaveSignals(ending.Signals...) }

// drain lets what runs finish, within the grace period, and nothing begin. It returns the signal that ended it before.
func drain(ctx context.Context, s os.Signal, grace time.Duration, interrupts, terms <-chan os.Signal) (cut os.Signal) {
	draining.Store(true)
	Complaints().Warn("rankpool: the program was told to end: nothing begins any more, and what runs may finish", "signal", s.String(), "grace", grace)
	ctx, cancel := context.WithTimeout(ctx, grace)
	defer cancel()
	var wg sync.WaitGroup
	for _, p := range openPools() {
		m := p.Master()
		p.Drain()
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

// UntilSignal has a Shutdown that waits cancel what is queued and end the contexts of what runs when Main's context is
// ended by a signal: a deferred Close would otherwise hold the end of the program up until all that is queued has run.
// The context it returns ends a grace period after the signal. release must be called.
func UntilSignal(ctx context.Context, m *dispatch.Master) (bounded context.Context, release func()) {
	ctx, cancel := context.WithCancelCause(ctx)
	stop := onSignal(func() {
		_, _ = m.Shutdown(ctx, false, true)
		m.Interrupt(0)
		// One grace for all executors, however they are closed.
		afterGrace(ctx, 0, func() { cancel(errSignalled) })
	})
	return ctx, func() {
		stop()
		cancel(nil)
	}
}

// afterGrace calls f when the grace after a signal is over, but not sooner than in least, unless ctx ends before.
func afterGrace(ctx context.Context, least time.Duration, f func()) {
	limit := time.AfterFunc(max(least, time.Until(*GraceEnd())), f)
	context.AfterFunc(ctx, func() { limit.Stop() })
}
