package futures

import (
	"context"
	"os"

	"github.com/rankpool/rankpool/internal/life"
	"github.com/rankpool/rankpool/internal/mpi"
	"github.com/rankpool/rankpool/internal/registry"
)

// Main runs the program. In the master it calls run and then ends the process. In a worker it serves the master and never returns. Every
// function must be registered before.
//
// Code before Main, in package variables, init functions and main, runs in every worker too: keep output and side effects inside run, or
// ask [InWorker]. Flags may be parsed before Main or in run: tasks see what run has set, see the section on what a program sets.
//
// When run returns nil, executors that are still open finish their queues and are closed, and the status is 0.
//
// When run returns an error or panics, that is printed at once, unchanged, on standard error. Queued calls are cancelled. Running tasks may
// finish, for [WithDrainGrace] at most; then their contexts end, and a second later the process. If the error, or one found in it as by
// [errors.As], has a method ExitCode() int and that returns 0 to 255, it is the status. Otherwise, and after a panic, the status is 1. A
// launcher may report another, even 0: see docs/clusters.md. A deferred Close belongs to run and comes before all of that. In a program
// that should stop when it fails, use [With].
//
// A CPU profile that was begun before Main (see [runtime/pprof.StartCPUProfile]) is stopped and written at the end of the master. Workers
// write nothing into its file.
//
// A call of os.Exit in run ends the program at once with that status; local workers end with it.
//
// SIGINT ends the context of run, cancels queued calls and ends the contexts of running tasks. These may finish, for 5 s at most, or less
// where the launcher kills earlier. The status is then 130. Under Open MPI Ctrl-C arrives as SIGTERM. SIGTERM and the signals of [DrainOn]
// let running tasks finish first: see [WithDrainGrace]. The status is then 128 plus the number of the signal, 143 for SIGTERM.
//
// A second SIGINT ends the process at once, even when run ignores the first. So does a second SIGTERM, unless it comes within 2 s, because
// launchers send several. SIGINT or SIGTERM in a drain that a signal of [DrainOn] has begun ends the contexts. A signal that the process
// was started to ignore stays ignored. Workers act on none of them: the master decides.
//
// SIGQUIT prints what the executors do and what each worker runs, and then, as in any Go program, the stacks of all goroutines; the status
// is 2. A program that asks for SIGQUIT by [os/signal.Notify] gets the first one twice. As a signal of [DrainOn] it only drains.
func Main(run func(ctx context.Context) error, opts ...MainOption) {
	if run == nil {
		panic("futures: Main: the function is nil")
	}
	mpi.Exit(program(run, opts).Main(registry.Caller(0)))
}

// InWorker reports whether this process is a worker. Local processes are. So are ranks that serve: all but rank 0 of what mpiexec or srun
// has started, spawned ranks, and all ranks of rankpool serve. A rank is one while it serves an [MPICommExecutor]. InWorker works before
// [Main] too, in package-level variables and init functions: there it looks at the environment that the launcher has set, and starts
// nothing.
//
// Workers that are goroutines share the master's process, where it returns false. In a program of package spmd, whose ranks all run its
// function, it returns false before that begins, except in local processes.
func InWorker() bool { return life.InWorker() }

// outputGone ends this program when its worker was ended by a write that nobody reads: the next write of its own would do the
// same, with SIGPIPE, and the workers share its standard output and error. This is such a write. It returns if the program has
// asked for SIGPIPE, or has put something else in the place of the file.
func outputGone(f *os.File) { _, _ = f.WriteString("\n") }
