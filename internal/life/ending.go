package life

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime/pprof"
	"sync"

	"github.com/rankpool/rankpool/internal/dispatch"
	"github.com/rankpool/rankpool/internal/job"
)

// Exit statuses of Main.
const (
	ExitFailure   = 1
	exitSignalled = 128 // and the number of the signal, as a shell reports it
	ExitGreatest  = 255 // beyond it the system keeps the last eight bits, and 256 would be success
)

// Program is a program that has pools.
type Program struct {
	Run       func(context.Context) error
	Text      func(error) string              // of Run's error, for the user
	Status    func(error) int                 // of the process, which Run's error asks for
	Recovered func(v any, stack []byte) error // makes an error of a panic, or for nil of runtime.Goexit
	Test      bool                            // Run runs tests, and its error may be a TestsFailed

	Ending Ending

	Prepare func()                                     // called before anything else, when all functions are registered
	Service func() dispatch.Service                    // what a worker does for its master
	Server  func() (s job.Server, asked bool, _ error) // whether this process is to serve masters that are started apart
}

// runMaster calls the program's function, sees to its pools and returns the exit status.
func (p Program) runMaster() (status int) {
	profiled := p.profile()
	defer func() {
		lastCalls() // first: journals are closed, whatever comes between the profiles and their folder
		profiled()
		FlushLast(Complaints())
	}()
	defer pprof.StopCPUProfile() // what the program has begun before Main, or it would be empty: the process ends without its defers
	if p.Test {
		return p.runTests()
	}
	ctx, cancel := context.WithCancelCause(context.Background())
	defer cancel(nil)
	listens := make(chan struct{})
	there, gone := context.WithCancel(context.Background())
	quitWatched := make(chan struct{})
	go func() {
		defer close(quitWatched)
		awaitQuit(there, listens)
	}()
	defer func() {
		gone()
		<-quitWatched // a signal that has come still ends the program
	}()
	<-listens
	listens = make(chan struct{})
	over, watched := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(watched)
		awaitSignal(ctx, cancel, listens, over)
	}()
	<-listens // or a signal that comes early would end the process
	err := p.protected(ctx)
	if draining.Load() {
		<-ctx.Done() // what runs still finishes
	}
	interrupted := new(signalError)
	stopped := errors.As(context.Cause(ctx), &interrupted)
	switch {
	case stopped:
		status = interrupted.status()
		if err != nil && !errors.Is(err, context.Canceled) {
			p.complain(err)
		}
		fmt.Fprintf(os.Stderr, "rankpool: ended by signal: %v\n", interrupted.signal)
		closeAll(Pool.Cut)
	case err != nil:
		for _, open := range openPools() { // nothing begins after the message
			_, _ = open.Master().Shutdown(ctx, false, true)
		}
		p.complain(err)
		status = p.Status(err)
		abandonAll()
	default:
		closeAll(Pool.Finish)
	}
	close(over)
	<-watched                                                    // a signal that has come ends the program, however soon its function returned
	if !stopped && errors.As(context.Cause(ctx), &interrupted) { // it came while the executors were closed
		fmt.Fprintf(os.Stderr, "rankpool: ended by signal: %v\n", interrupted.signal)
		status = interrupted.status()
	}
	return status
}

// complain prints the error of the program's function, which is the user's own and stands as it is.
func (p Program) complain(err error) {
	if text := p.Text(err); text != "" {
		fmt.Fprintln(os.Stderr, text)
	}
}

// closeAll shuts every open pool down and waits. What runs on when a signal's grace is over is named, and left to the
// end of the process.
func closeAll(how func(Pool, context.Context) error) {
	for {
		all := openPools()
		if len(all) == 0 {
			return
		}
		var wg sync.WaitGroup
		for _, p := range all {
			wg.Go(func() {
				select {
				case <-p.Master().Closed(): // the program has done it
				default:
					report(p.Pool, how(p.Pool, context.Background()))
				}
				p.awaitEnd()
			})
		}
		wg.Wait()
		if WasSignalled() { // Shutdown has done what a signal leaves time for
			return
		}
	}
}

// abandonAll ends what a program that has failed has open.
func abandonAll() {
	var wg sync.WaitGroup
	for _, p := range openPools() {
		wg.Go(func() {
			report(p.Pool, p.GiveUp(context.Background()))
		})
	}
	wg.Wait()
}

// report prints how a pool ended that the program has left open. Why a pool broke is what all its tasks were told, and a program that
// has not looked needs none of them.
func report(p Pool, err error) {
	if state, _ := p.Master().State(); err != nil && state != dispatch.Broken {
		fmt.Fprintln(os.Stderr, "rankpool:", err)
	}
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

// WasSignalled tells whether the context of the program's function was ended by a signal.
func WasSignalled() bool {
	signalled.Lock()
	defer signalled.Unlock()
	return signalled.yes
}
