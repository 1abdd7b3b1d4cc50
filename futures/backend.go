package futures

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"

	"github.com/rankpool/rankpool/internal/dispatch"
	"github.com/rankpool/rankpool/internal/job"
	"github.com/rankpool/rankpool/internal/life"
	"github.com/rankpool/rankpool/internal/link"
	"github.com/rankpool/rankpool/internal/link/loopback"
	"github.com/rankpool/rankpool/internal/link/mpilink"
	"github.com/rankpool/rankpool/internal/link/proc"
	"github.com/rankpool/rankpool/internal/link/slots"
	"github.com/rankpool/rankpool/internal/mpi"
)

// MPIPoolExecutor runs tasks on workers that depend on how the program was started. Under an mpiexec with several ranks, all ranks but rank
// 0 are the workers of every executor. Under `mpiexec -n 1` the workers are spawned. They are processes of this machine without an mpiexec,
// without MPI in the program, and where nothing can be spawned (under srun, with MPICH 4 over UCX, without a slot), which is logged once.
// The variable RANKPOOL_BACKEND can choose otherwise. Its methods are those of [Executor].
type MPIPoolExecutor struct{ executor }

// NewMPIPoolExecutor returns an executor and starts nothing. The error lists every option that is wrong.
func NewMPIPoolExecutor(opts ...Option) (*MPIPoolExecutor, error) {
	ex := &MPIPoolExecutor{}
	if err := ex.init(mpiClass, "NewMPIPoolExecutor", opts); err != nil {
		return nil, err
	}
	return ex, nil
}

// ProcessPoolExecutor runs tasks on processes of this machine, whatever RANKPOOL_BACKEND says.
//
// On Linux, programs that a task or an initializer has started, directly or not, end with their worker, however that ends, and with the
// master, even if that is killed. They end with the task if the task's context had ended before. After a regular end they get SIGTERM and a
// second to exit, otherwise SIGKILL. A daemon that a task starts on purpose leaves its worker by `prlimit --rttime=unlimited: PROGRAM`.
// Programs that [Main]'s function starts are not affected.
//
// A worker ignores signals that are sent to whole process groups: SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2 and those of
// [DrainOn]. The programs that tasks start do not. SIGABRT shows what a hanging worker does: the worker prints the stacks of all goroutines
// and ends. Send it by kill -ABRT to the process that [Stats] names. In ps that process has the program's name, a colon and the worker's
// index. A worker's standard input is empty. The methods of the executor are those of [Executor].
type ProcessPoolExecutor struct{ executor }

// NewProcessPoolExecutor returns an executor and starts nothing. The error lists every option that is wrong.
func NewProcessPoolExecutor(opts ...Option) (*ProcessPoolExecutor, error) {
	ex := &ProcessPoolExecutor{}
	if err := ex.init(processClass, "NewProcessPoolExecutor", opts); err != nil {
		return nil, err
	}
	return ex, nil
}

// ThreadPoolExecutor runs tasks on goroutines of this process, never more at once than its size. Arguments and results are shared, not
// copied, and closures are allowed ([Local]). It needs no [Main]. The only variables of the environment that it respects are RANKPOOL_LOG,
// RANKPOOL_TRACE (see [WithTrace]) and that of package monitor.
//
// A task may wait for tasks of its own executor. It must wait with its own context, or one derived from it, for a future of the executor or
// of a [Promise] ([Future.Result], Exception, [Wait], [AsCompleted], [Collect], [Then], ranging over a [Map]). Then its slot is lent to
// another task, and the awaited task goes to the head of the queue. When the wait has succeeded, the task goes on as soon as a slot is
// free, before anything that is queued. A wait that its context ends returns at once; until the next wait there may be one task more. A
// task counts as waiting while one of its goroutines waits. Each waiting task keeps a worker with three goroutines; a tree of tasks has
// about as many of these as it is deep.
//
// Other waits are not noticed: with another context, [Future.ResultWithin], DoneChan, channels, locks. If all tasks wait in such a way for
// queued tasks, the executor deadlocks. Close and [ThreadPoolExecutor.Shutdown] return an error at once when a task of the executor calls
// them, unless [NoWait] is given. All this is only for this executor. With RANKPOOL_BACKEND=threads other executors have goroutines too,
// but their tasks are written for processes, where a task cannot reach its executor. The methods are those of [Executor].
type ThreadPoolExecutor struct{ executor }

// NewThreadPoolExecutor returns an executor and starts nothing. Without [WithMaxWorkers] it has one worker per core
// that Go uses (GOMAXPROCS). The error lists every option that is wrong.
func NewThreadPoolExecutor(opts ...Option) (*ThreadPoolExecutor, error) {
	ex := &ThreadPoolExecutor{}
	if err := ex.init(threadClass, "NewThreadPoolExecutor", opts); err != nil {
		return nil, err
	}
	return ex, nil
}

func (e *executor) init(c class, constructor string, opts []Option) error {
	if c != threadClass {
		life.RefuseInIdleWorker(constructor)
	}
	registerSentinels()
	cfg, problems := newConfig(opts)
	e.class, e.cfg, e.shares = c, cfg, c == threadClass
	if err := errors.Join(append(problems, e.pack()...)...); err != nil {
		return fmt.Errorf("futures: %s: %w", constructor, err)
	}
	if e.shares {
		e.home = new(dispatch.Home)
	}
	if err := e.refuseService(); err != nil {
		return fmt.Errorf("futures: %s: %w", constructor, err)
	}
	if c == threadClass {
		if err := e.needsProcesses(); err != nil {
			return fmt.Errorf("futures: %s: %w", constructor, err)
		}
	} else if i := cfg.initializer; i != nil && i.local {
		return fmt.Errorf("futures: %s: WithInitializer: %s is a Local function; workers outside this process know only registered ones",
			constructor, i.name)
	}
	return nil
}

// needsProcesses complains about options that goroutines cannot honour.
func (e *executor) needsProcesses() error {
	var problems []error
	for name, set := range map[string]bool{
		"WithDir": e.cfg.dir != "", "WithEnv": len(e.cfg.env) > 0, "WithExecutable": e.cfg.executable != "", "WithArgs": e.cfg.hasArgs,
	} {
		if set {
			problems = append(problems, fmt.Errorf("%s: workers that are goroutines share this process and cannot have their own; "+
				"use processes", name))
		}
	}
	return errors.Join(problems...)
}

// chooseBackend decides what the workers are.
func (e *executor) chooseBackend(env environment) (string, error) {
	service, err := e.useService(env)
	switch {
	case err != nil:
		return "", err
	case service != nil:
		return backendMPI, nil
	case e.class == threadClass:
		return backendThreads, nil
	case e.comm != nil && e.comm.Size() == 1:
		if err := e.needsProcesses(); err != nil {
			return "", fmt.Errorf("futures: MPICommExecutor: the only rank of its communicator: %w", err)
		}
		return backendThreads, nil
	case e.comm != nil:
		return backendMPI, nil
	case e.class == processClass, env.backend == backendProcesses:
		return backendProcesses, nil
	case env.backend == backendMPI && !job.This.Built():
		return "", fmt.Errorf("futures: %s=mpi, but this program was built without MPI: build it with `go build -tags mpi`, for Linux on amd64 or "+
			"arm64 (that needs no MPI, and with CGO_ENABLED=0 no C compiler), or use processes or threads",
			envBackend)
	case env.backend == backendAuto && e.insteadOfSpawning(env) != "":
		return backendProcesses, nil
	case env.backend == backendMPI, env.backend == backendAuto && life.UnderLauncher():
		return backendMPI, nil
	case env.backend == backendAuto:
		return backendProcesses, nil
	}
	if err := e.needsProcesses(); err != nil {
		return "", fmt.Errorf("futures: %s=threads: %w", envBackend, err)
	}
	return backendThreads, nil
}

// saidInstead is for what insteadOfSpawning says, which one executor logs.
var saidInstead sync.Once

// insteadOfSpawning says why the workers are local processes though the program was started by a launcher, if that is so.
func (e *executor) insteadOfSpawning(env environment) string {
	if e.class != mpiClass || e.comm != nil || e.cfg.mpiInfo != nil || env.backend != backendAuto || !life.UnderLauncher() {
		return "" // whoever says how to spawn wants that
	}
	why, instead := job.This.Spawnless()
	if why == "" {
		return ""
	}
	return fmt.Sprintf("%s, so the workers are processes of this host; for workers that are ranks start the program with %s (one is the "+
		"master, the others work). If local processes are meant, set %s=processes", why, instead, envBackend)
}

func (e *executor) chooseWorkers(env environment) int {
	switch {
	case e.comm != nil:
		return max(e.comm.Size()-1, 1)
	case e.cfg.workers > 0:
		return e.cfg.workers
	case life.InWorker() && e.class != threadClass: // every worker would start as many, and its host has others
		return 1
	case env.workers > 0: // not of a thread pool, which respects no variable
		return env.workers
	}
	return cores()
}

// newGroup makes the group of workers. Nothing runs yet.
func (e *executor) newGroup(env environment, log *slog.Logger) (link.Group, error) {
	if e.backend == backendMPI {
		if e.cfg.maxTasks > 0 {
			return nil, errors.New("futures: WithMaxTasksPerChild: the workers are ranks of an MPI job, which cannot be replaced; " +
				"leave the option out, or use a ProcessPoolExecutor")
		}
		if _, err := e.payload.own(); err != nil {
			return nil, err
		}
		service, err := e.useService(env)
		switch {
		case err != nil:
			return nil, err
		case service != nil:
			return e.helped(e.connect(*service))
		case e.cfg.service != nil:
			log.Warn("rankpool: WithService is ignored: the ranks of this program's own world are the workers")
		}
		return e.helped(e.ranks(env, log))
	}
	if e.backend == backendThreads {
		segments, err := e.payload.forGoroutines(e.cfg.initializer)
		if err != nil {
			return nil, err
		}
		svc := e.threadService(segments)
		return loopback.New(loopback.Config{
			Slots:  e.workers * e.slots,
			Serve:  func(ep link.Endpoint) { _ = dispatch.Serve(ep, svc) }, // its end reaches the master as a Loss
			Traits: &link.Traits{Kind: backendThreads, Replaces: true, SharesMem: true},
		}), nil
	}
	err := life.BeMaster()
	if err != nil {
		return nil, err
	}
	cfg := proc.Config{Slots: e.workers, Journals: e.slots, Executable: e.cfg.executable, Logger: log, OutputGone: outputGone,
		Environ: os.Environ(), Dir: workingDirectory()}
	cfg.Prefix, cfg.File = e.cfg.output.prefix(e.slots), e.cfg.output.file(e.slots)
	if cfg.Inherit, err = e.payload.forProcesses(); err != nil {
		return nil, err
	}
	if why := e.payload.refusal(); why != nil {
		log.Warn("rankpool: the workers get copies of the globals, since there is no memory that they can share", "err", why)
	}
	if e.cfg.hasArgs {
		cfg.Args = append([]string{}, e.cfg.args...)
	}
	for name, value := range e.cfg.env { // from the start, for what the runtime and code before Main read
		cfg.Env = append(cfg.Env, name+"="+value)
	}
	g := proc.New(cfg)
	e.help, e.endPrograms = g.Help, g.EndPrograms
	if e.slots > 1 {
		return slots.Share(g, e.slots), nil
	}
	return g, nil
}

// request is what this executor asks of ranks.
func (e *executor) request(env environment) job.Request {
	q := job.Request{Slots: e.slots, Backoff: e.cfg.backoff, Liveness: e.cfg.liveness, Limit: e.cfg.start, Workers: cmp.Or(e.cfg.workers, env.workers), Command: e.cfg.executable,
		Info: e.cfg.mpiInfo}
	if e.cfg.hasArgs {
		q.Args = append([]string{}, e.cfg.args...)
	}
	return q
}

// ranks makes the group of an executor whose workers are ranks of its job.
func (e *executor) ranks(env environment, log *slog.Logger) (job.Group, error) {
	if err := life.BeMaster(); err != nil {
		return nil, err
	}
	if e.comm != nil {
		return e.comm.Group(e.request(env))
	}
	g, world, shared, err := job.This.Ranks(e.request(env))
	e.world, e.joins = world, shared
	if err == nil {
		log.Debug("rankpool: MPI has started", "library", mpi.Chosen())
	}
	if shared && (e.cfg.dir != "" || len(e.cfg.env) > 0) {
		log.Warn("rankpool: WithDir and WithEnv are ignored: the ranks have been set up by the first executor")
	}
	return g, err
}

// connect makes the group of an executor whose workers were started apart.
func (e *executor) connect(place mpilink.Place) (job.Group, error) {
	if err := life.BeMaster(); err != nil {
		return nil, err
	}
	return job.This.Connect(e.request(environment{}), place)
}

// helped lets a waiting goroutine poll the ranks.
func (e *executor) helped(g job.Group, err error) (link.Group, error) {
	if err != nil {
		return nil, err
	}
	e.help = g.Help
	return g, nil
}
