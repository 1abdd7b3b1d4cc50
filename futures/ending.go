package futures

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
)

// Exit statuses of Main.
const (
	exitFailure   = 1
	exitSignalled = 128 // and the number of the signal, as a shell reports it
	exitGreatest  = 255 // beyond it the system keeps the last eight bits, and 256 would be success
)

// runMaster calls run, sees to its executors and returns the exit status.
func runMaster(run func(context.Context) error) (status int) {
	defer func() { complaintLog().Flush(lastWords) }()
	if underTest {
		return runTests(run)
	}
	ctx, cancel := context.WithCancelCause(context.Background())
	defer cancel(nil)
	go awaitSignal(ctx, cancel)
	err := protected(ctx, run)
	if draining.Load() {
		<-ctx.Done() // what runs still finishes
	}
	interrupted := new(signalError)
	stopped := errors.As(context.Cause(ctx), &interrupted)
	switch {
	case stopped:
		status = interrupted.status()
		if err != nil && !errors.Is(err, context.Canceled) {
			complain(err)
		}
		fmt.Fprintf(os.Stderr, "rankpool: ended by signal: %v\n", interrupted.signal)
		closeAll(CancelFutures(), InterruptTasks())
	case err != nil:
		for _, m := range openMasters() { // nothing begins after the message
			_, _ = m.Shutdown(ctx, false, true)
		}
		complain(err)
		status = statusOf(err)
		abandonAll()
	default:
		closeAll()
	}
	if draining.Load() { // from the time while they were closed
		<-ctx.Done()
	}
	if !stopped && errors.As(context.Cause(ctx), &interrupted) { // it came while the executors were closed
		fmt.Fprintf(os.Stderr, "rankpool: ended by signal: %v\n", interrupted.signal)
		status = interrupted.status()
	}
	return status
}

// complain prints the error of Main's function, which is the user's own and stands as it is.
func complain(err error) {
	text := fmt.Sprint(err) // which survives an Error method that panics
	if p := new(PanicError); errors.As(err, &p) {
		text = fmt.Sprintf("%+v", err)
	} else if m := new(MismatchError); errors.As(err, &m) {
		text += "\n" + m.Diff
	}
	if text != "" {
		fmt.Fprintln(os.Stderr, text)
	}
}

// statusOf returns the exit status that the error of Main's function asks for.
func statusOf(err error) (status int) {
	defer func() {
		if recover() != nil { // such as a nil pointer in an error that is not nil
			status = exitFailure
		}
	}()
	if _, panicked := err.(*PanicError); panicked {
		return exitFailure
	}
	var says interface{ ExitCode() int }
	if errors.As(err, &says) {
		if n := says.ExitCode(); n >= 0 && n <= exitGreatest {
			return n
		}
	}
	return exitFailure
}

// closeAll shuts every open executor down and waits. What runs on when a signal's grace is over is named, and left to the
// end of the process.
func closeAll(opts ...ShutdownOption) {
	for {
		all := openExecutors()
		if len(all) == 0 {
			return
		}
		var wg sync.WaitGroup
		for _, e := range all {
			wg.Go(func() {
				if err := e.Shutdown(context.Background(), opts...); err != nil {
					fmt.Fprintln(os.Stderr, "rankpool:", err)
				}
			})
		}
		wg.Wait()
		if wasSignalled() { // Shutdown has done what a signal leaves time for
			return
		}
	}
}

// abandonAll ends what a program that has failed has open.
func abandonAll() {
	var wg sync.WaitGroup
	for _, e := range openExecutors() {
		wg.Go(func() {
			if err := e.giveUp(context.Background()); err != nil {
				fmt.Fprintln(os.Stderr, "rankpool:", err)
			}
		})
	}
	wg.Wait()
}

// giveUp cancels what is queued and waits for what runs, which has the grace of the program. Then its context ends, and a
// moment later the wait.
func (e *executor) giveUp(ctx context.Context) error {
	grace, cancel := context.WithTimeout(ctx, ending.afterFailure())
	defer cancel()
	if e.Shutdown(grace, CancelFutures()) == nil {
		return nil
	}
	rest, cancel := context.WithTimeout(context.WithoutCancel(ctx), drainRest)
	defer cancel()
	return e.Shutdown(rest, CancelFutures(), InterruptTasks())
}

// signalled is what there is to do when Main's context is ended by a signal. It is a list of functions and not a context or
// a channel, which would belong to whoever uses it first: in a test that may be a bubble of testing/synctest.
var signalled struct {
	sync.Mutex
	yes   bool
	calls map[*func()]struct{}
}

// onSignal has f called, on a goroutine of its own, when Main's context is ended by a signal, or now if it was. stop takes
// that back.
func onSignal(f func()) (stop func()) {
	s := &signalled
	s.Lock()
	defer s.Unlock()
	if s.yes {
		go f()
		return func() {}
	}
	if s.calls == nil {
		s.calls = map[*func()]struct{}{}
	}
	s.calls[&f] = struct{}{}
	return func() {
		s.Lock()
		delete(s.calls, &f)
		s.Unlock()
	}
}

// endSignalled calls what onSignal was given.
func endSignalled() {
	s := &signalled
	s.Lock()
	defer s.Unlock()
	s.yes = true
	for f := range s.calls {
		go (*f)()
	}
	s.calls = nil
}

func wasSignalled() bool {
	signalled.Lock()
	defer signalled.Unlock()
	return signalled.yes
}
