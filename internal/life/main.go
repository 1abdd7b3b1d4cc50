package life

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime/debug"
	"sync/atomic"

	"github.com/rankpool/rankpool/internal/dispatch"
	"github.com/rankpool/rankpool/internal/everyrank"
	"github.com/rankpool/rankpool/internal/job"
	"github.com/rankpool/rankpool/internal/link"
	"github.com/rankpool/rankpool/internal/link/proc"
	"github.com/rankpool/rankpool/internal/link/slots"
	"github.com/rankpool/rankpool/internal/profile"
	"github.com/rankpool/rankpool/internal/registry"
	"github.com/rankpool/rankpool/internal/settings"
)

// began says that Main has been called.
var began atomic.Bool

// Began tells whether the program's main function has called Main.
func Began() bool { return began.Load() }

// Main is the program: it serves a master, or is one. It returns the exit status. Where names the place of the call.
func (p Program) Main(where string) (status int) {
	spmdAt, called := everyrank.Called()
	if called {
		where = spmdAt
	}
	if willServe() && !called {
		Serving() // for good
	}
	if began.Swap(true) {
		fmt.Fprintf(os.Stderr, "rankpool: Main was called a second time, at %s; call it once, from main\n", where)
		return ExitFailure
	}
	if everyrank.Linked() && !called && (!p.Test || job.This.Launched()) {
		fmt.Fprintf(os.Stderr, "rankpool: %s\n", p.contradiction(where))
		job.This.Abort(ExitFailure)
		return ExitFailure
	}
	ending, everywhere = p.Ending, called
	profile.Folder() // before anybody changes the working directory
	origin = settings.Begin()
	registry.Default().Freeze(where)
	p.Prepare()
	ep, worker, err := proc.Attach()
	switch {
	case err != nil:
		fmt.Fprintln(os.Stderr, "rankpool: this worker cannot reach its master:", err)
		return ExitFailure
	case worker:
		ignoreSignals()
		profiles := profileWorker(ep)
		err := serve(ep, p.Service())
		_ = profiles.End() // a file that it has left empty says so
		FlushLast(Complaints())
		if err != nil {
			return ExitFailure // the master is gone: there is nobody to tell
		}
		return 0
	}
	inJob := job.Program{Everywhere: everywhere, Master: p.runMaster, Service: p.Service, LeaveSignals: ignoreSignals}
	if s, asked, err := p.Server(); asked {
		if err == nil {
			err = job.This.ServeMasters(inJob, s)
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, "rankpool: serve:", err)
			job.This.Abort(ExitFailure)
			return ExitFailure
		}
		return 0
	}
	return job.This.Run(inJob)
}

// serve works for the master at the other end of ep, as one worker or as several.
func serve(ep link.Endpoint, svc dispatch.Service) error {
	j, _ := ep.(link.Journals)
	if j == nil || len(j.Journals()) == 1 {
		return dispatch.Serve(ep, svc)
	}
	svc = svc.Slots()
	return slots.Serve(ep, len(j.Journals()), func(ep link.Endpoint) error { return dispatch.Serve(ep, svc) })
}

// origin is what the process had when Main began.
var origin settings.Origin

// Changed returns what the program has set in this process since Main began.
func Changed() settings.Settings { return origin.Changed() }

// everywhere says that the program runs on every rank. It is written before Main's work begins.
var everywhere bool

// Everywhere tells whether the program runs on every rank.
func Everywhere() bool { return everywhere }

// UnderLauncher tells whether ranks are the workers that auto means: the program was started by an mpiexec, and this
// process is no worker itself.
func UnderLauncher() bool { return !everywhere && !proc.IsWorker() && job.This.Launched() }

// OwnRanks tells whether what the environment says of workers that were started apart is meant for another process than this
// one.
func OwnRanks() bool { return everywhere || proc.IsWorker() || job.This.Serves() }

// serving counts the communicators whose ranks this process serves for a while.
var serving atomic.Int32

// Serving has InWorker say true until over is called.
func Serving() (over func()) {
	serving.Add(1)
	return func() { serving.Add(-1) }
}

// InWorker tells whether this process is a worker, or will be one when its program calls Main.
func InWorker() bool {
	return proc.IsWorker() || job.This.Serves() || serving.Load() > 0 || !began.Load() && willServe()
}

// willServe tells, before Main, whether this process is a rank that is to serve.
func willServe() bool { return !everyrank.Linked() && job.This.WillServe() }

// contradiction says what is wrong with a program of package spmd that has called another function than spmd.Main.
func (p Program) contradiction(where string) string {
	if p.Test {
		return fmt.Sprintf("the tests of a program that imports package spmd call futures.TestMain, at %s: run them without an mpiexec, or move "+
			"what they test into a package that does not import spmd", where)
	}
	return fmt.Sprintf("futures.Main was called, at %s, in a program that imports package spmd, so futures.InWorker was false on ranks that "+
		"would serve: call spmd.Main and have all ranks run the function, or leave the import out", where)
}

// BeMaster says whether this process may start workers that run its program again.
func BeMaster() error {
	if began.Load() {
		return nil
	}
	return errors.New("futures: futures.Main has not been called: workers run this program again from its start, and without " +
		"Main they would not know that they are workers; call it first thing in main, or in a test use futures.TestMain. " +
		"A ThreadPoolExecutor needs neither")
}

// RefuseInIdleWorker ends a worker process whose program reaches an executor before Main. It would start workers without end.
func RefuseInIdleWorker(what string) {
	if !began.Load() && (proc.IsWorker() || !everyrank.Linked() && job.This.Loading()) {
		refuse(what)
	}
}

// RefuseInLocalWorker ends a local worker whose program reaches a journal before Main: it is its master's. A rank may have one of its own, in a program
// that has no Main.
func RefuseInLocalWorker(what string) {
	if !began.Load() && proc.IsWorker() {
		refuse(what)
	}
}

func refuse(what string) {
	fmt.Fprintf(os.Stderr, "rankpool: %s was reached in a worker process before futures.Main: code before Main runs in every worker, "+
		"so this belongs into the function that Main is given\n", what)
	job.This.Abort(ExitFailure)
	os.Exit(ExitFailure)
}

// Stuck ends a job that can neither go on nor end by itself.
func Stuck(err error) {
	fmt.Fprintln(os.Stderr, "rankpool: the job is aborted:", err)
	job.This.Abort(ExitFailure)
	os.Exit(ExitFailure)
}

// protected calls the program's function; a panic in it, or a call of runtime.Goexit, is an error.
func (p Program) protected(ctx context.Context) error {
	result := make(chan error, 1)
	go func() {
		normal := false
		defer func() {
			if normal {
				return
			}
			if v := recover(); v != nil {
				result <- p.Recovered(v, debug.Stack())
				return
			}
			result <- p.Recovered(nil, debug.Stack())
		}()
		err := p.Run(ctx)
		normal = true
		result <- err
	}()
	return <-result
}
