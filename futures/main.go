package futures

import (
	"context"
	"os"

	"github.com/rankpool/rankpool/internal/life"
	"github.com/rankpool/rankpool/internal/mpi"
	"github.com/rankpool/rankpool/internal/registry"
)

// Main is the program. In the master it calls run and then ends the process; in a worker it serves the master and never
// returns. Every function must be registered before.
//
// Code before Main, in package variables, init functions and main, runs in every worker too: keep output and side effects
// inside run, or ask [InWorker]. Flags may be parsed on either side: tasks see what run has set, see the section on what a program sets.
//
// When run returns nil, executors that are still open finish what is queued and are closed, and the status is 0.
//
// When run returns an error or panics, that is printed at once, on standard error and as it is. What is queued is cancelled,
// and tasks that run may finish, for [WithDrainGrace] at most; then their contexts end, and a second later the process. The status
// is what a method ExitCode() int of the error says, found as by [errors.As], if that is from 0 to 255; otherwise, and after a
// panic, it is 1. A launcher may report another, even 0: see docs/clusters.md. A deferred Close belongs to run and comes before all
// of that: With is the form in which a program that fails stops.
//
// A CPU profile that was begun before Main (see [runtime/pprof.StartCPUProfile]) is stopped at the end of the master, which writes it; workers
// write nothing into its file.
//
// A call of os.Exit in run ends the program there and then, with that status; local workers end with it.
//
// SIGINT ends the context, cancels what is queued and ends the contexts of the tasks that run; those may finish, for 5 s at
// most, or less where the launcher kills before. The status is then 130. Under Open MPI Ctrl-C comes as SIGTERM. SIGTERM, and the
// signals of [DrainOn], let the tasks that run finish first: see [WithDrainGrace]. The status is then 128 and the
// number of the signal, 143 for SIGTERM. A second
// SIGINT ends the process at once, also when run ignores the first; so does a second SIGTERM, unless it comes within 2 s, for
// launchers send several. SIGINT or SIGTERM in a drain that a signal of [DrainOn] has begun ends the contexts. A signal that the
// process was started to ignore stays ignored. Workers act on none of them: the master decides.
//
// SIGQUIT prints what the executors do and what each worker runs, and then, as in any Go program, the stacks of all goroutines; the status is 2.
// A program that asks for it by [os/signal.Notify] gets it twice, the first time. As a signal of [DrainOn] it does nothing but drain.
func Main(run func(ctx context.Context) error, opts ...MainOption) {
	if run == nil {
		panic("futures: Main: the function is nil")
	}
	mpi.Exit(program(run, opts).Main(registry.Caller(0)))
}

// InWorker tells whether this process is a worker: a local process, a rank that serves (all but rank 0 of what mpiexec or srun has
// started, those that were spawned, all of rankpool serve), and a rank as long as it serves an [MPICommExecutor]. It says so before [Main]
// too, in package-level variables and init functions: there it looks at what the launcher has put into the environment, and starts
// nothing.
//
// Workers that are goroutines share the master's process, where it is false. In a program of package spmd, whose ranks all run its
// function, it is false before that begins, but for local processes.
func InWorker() bool { return life.InWorker() }

// outputGone ends this program when its worker was ended by a write that nobody reads: the next write of its own would do the
// same, with SIGPIPE, and the workers share its standard output and error. This is such a write. It returns if the program has
// asked for SIGPIPE, or has put something else in the place of the file.
func outputGone(f *os.File) { _, _ = f.WriteString("\n") }
