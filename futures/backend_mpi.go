//go:build mpi && cgo

package futures

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/rankpool/rankpool/internal/dispatch"
	"github.com/rankpool/rankpool/internal/job"
	"github.com/rankpool/rankpool/internal/life"
	"github.com/rankpool/rankpool/internal/link"
	"github.com/rankpool/rankpool/internal/link/mpilink"
	"github.com/rankpool/rankpool/internal/link/proc"
	"github.com/rankpool/rankpool/internal/mpi"
)

// mpiBuilt tells whether MPI is in this program.
const mpiBuilt = true

// leaveLimit is how long the end of Main waits for ranks that do not answer any more.
const leaveLimit = 10 * time.Second

// followLimit is how long a rank that has said goodbye waits for the others. It is the master that aborts a job which does
// not end: two that do so at once confuse Open MPI's mpiexec.
const followLimit = 6 * leaveLimit

// ranks is the MPI job as this process sees it.
var ranks struct {
	sync.Mutex
	warned map[string]bool // what the user has been told
	shared *mpilink.Hub    // the world's other ranks, in its rank 0; every executor shares them
	joined bool            // an executor uses them, or has
	serves bool            // this process is one of them, or was spawned
}

// startMPI initialises MPI unless that has been done, and says once what is odd about it.
func startMPI() (*mpi.Environment, error) {
	level, err := threadLevel(os.Getenv(envMPIThreads))
	if err != nil {
		return nil, err
	}
	if launched() && !mpi.Started() {
		defer job.Muster()()
	}
	env, err := mpi.Init(mpi.Options{Level: level})
	if err != nil {
		return nil, err
	}
	if parent, err := mpi.Parent(); env.Launcher.Rank <= 0 && parent == nil && err == nil { // the others tell this one
		for _, w := range env.Warnings {
			warn("", w)
		}
	}
	return env, nil
}

// warn tells the user something, once, however many ranks have it to say.
func warn(who, text string) {
	ranks.Lock()
	defer ranks.Unlock()
	if ranks.warned[text] {
		return
	}
	if ranks.warned == nil {
		ranks.warned = map[string]bool{}
	}
	ranks.warned[text] = true
	fmt.Fprintf(os.Stderr, "rankpool: warning: %s%s\n", who, text)
}

// threadLevel reads the name of a level.
func threadLevel(name string) (mpi.ThreadLevel, error) {
	switch strings.ToLower(name) {
	case "", "multiple":
		return mpi.Multiple, nil
	case "serialized":
		return mpi.Serialized, nil
	case "funneled":
		return mpi.Funneled, nil
	case "single":
		return mpi.Single, nil
	}
	return 0, fmt.Errorf("futures: %s=%q is unknown; use multiple, serialized, funneled or single", envMPIThreads, name)
}

// linkOptions are the choices of both ends of the link.
func linkOptions() (mpilink.Options, error) {
	o := mpilink.Options{Noted: func(rank int, text string) { warn(fmt.Sprintf("rank %d: ", rank), text) }}
	switch v := os.Getenv(envMPIStage); strings.ToLower(v) {
	case "1", "true", "yes", "on", "y":
		o.Stage = true
	case "", "0", "false", "no", "off", "n":
	default:
		return o, fmt.Errorf("futures: %s=%q is neither yes nor no; use 1 or 0", envMPIStage, v)
	}
	return o, nil
}

func launched() bool { return mpi.FindLauncher(os.LookupEnv).Found() }

// underLauncher tells whether ranks are the workers that auto means: the program was started by an mpiexec, and this
// process is no worker itself.
func underLauncher() bool {
	ranks.Lock()
	serves := ranks.serves
	ranks.Unlock()
	return !serves && !everywhere && !proc.IsWorker() && launched()
}

// loadingInRank tells whether this process is a rank that is to serve and has not reached Main. A process that was
// spawned alone looks like a master until MPI has started.
func loadingInRank() bool {
	l := mpi.FindLauncher(os.LookupEnv)
	if mainBegan.Load() || !l.Found() || proc.IsWorker() {
		return false
	}
	if l.Size > 1 {
		return l.Rank > 0
	}
	if _, err := startMPI(); err != nil {
		return false // Main will say so
	}
	parent, err := mpi.Parent()
	return err == nil && parent != nil
}

// abortJob ends every process of the job, if this one is part of one. MPICH's launcher takes no notice of a process that
// ends before it has initialised MPI, so that is done first; the others may never get that far, hence the limit.
func abortJob(status int) {
	if !launched() && !mpi.Started() {
		return
	}
	started := make(chan struct{})
	go func() {
		defer close(started)
		_, _ = mpi.Init(mpi.Options{})
	}()
	select {
	case <-started:
		time.Sleep(job.PrintPause)
		_ = mpi.Abort(status)
	case <-time.After(leaveLimit):
	}
}

// mainOrRank runs a program that is no local worker: as the master, or as a rank that serves it (E05).
func mainOrRank(p life.Program, everywhere bool) int {
	if !launched() {
		return leaveMPI(p.RunMaster())
	}
	if everywhere {
		return onEveryRank(p)
	}
	if mpi.FindLauncher(os.LookupEnv).Rank > 0 { // it will serve, and MPI takes its time
		life.IgnoreSignals()
		job.EmptyStdin()
	}
	serve, err := joinWorld()
	if err != nil {
		fmt.Fprintln(os.Stderr, "rankpool:", err)
		abortJob(life.ExitFailure)
		return life.ExitFailure
	}
	if serve != nil {
		return serve()
	}
	return leaveMPI(p.RunMaster())
}

// onEveryRank runs a program that runs on all ranks, as the master of its own executors.
func onEveryRank(p life.Program) int {
	_, err := startMPI()
	status := life.ExitFailure
	if err != nil {
		fmt.Fprintln(os.Stderr, "rankpool:", err)
	} else {
		status = p.RunMaster()
	}
	if status == 0 {
		if err = mpi.Finalize(context.Background()); err == nil { // the other ranks may take as long as they like
			return 0
		}
		fmt.Fprintln(os.Stderr, "rankpool: the job is aborted:", err)
		status = life.ExitFailure
	}
	time.Sleep(job.PrintPause)
	abortJob(status)
	return status
}

// joinWorld starts MPI. In a rank that is to serve it returns what to do; in the master it sees to the others.
func joinWorld() (serve func() int, err error) {
	env, err := startMPI()
	if err != nil {
		return nil, err
	}
	options, err := linkOptions()
	if err != nil {
		return nil, err
	}
	options.Notes = env.Warnings
	parent, err := mpi.Parent()
	if err != nil {
		return nil, err
	}
	world, err := mpi.World()
	if err != nil {
		return nil, err
	}
	if parent != nil {
		return func() int { return serveRank(parent, options, world.Rank(), true) }, nil
	}
	if world.Size() == 1 {
		return nil, nil
	}
	c, err := world.Dup()
	if err != nil {
		return nil, err
	}
	if world.Rank() > 0 {
		return func() int { return serveRank(c, options, world.Rank(), false) }, nil
	}
	hub, err := mpilink.Lead(c, options)
	ranks.Lock()
	ranks.shared = hub
	ranks.Unlock()
	return nil, err
}

// serveRank serves until the master says goodbye, and leaves the job.
func serveRank(c *mpi.Comm, o mpilink.Options, rank int, spawned bool) int {
	ranks.Lock()
	ranks.serves = true
	ranks.Unlock()
	serving.Store(true)
	life.IgnoreSignals()
	if spawned { // its number does not tell it from a master
		job.EmptyStdin()
	}

	svc := processService()
	svc.Hello.Rank = rank
	svc.Turn = new(sync.Mutex)
	err := mpilink.Serve(c, o, func(ep link.Endpoint) error { return dispatch.Serve(ep, svc) })
	ctx, cancel := context.WithTimeout(context.Background(), followLimit)
	defer cancel()
	if err == nil && mpi.Lost() { // MPI cannot be left in good order any more
		return 0
	}
	if err == nil && spawned {
		err = mpilink.Disconnect(ctx, c)
	}
	if err == nil {
		err = mpi.Finalize(ctx)
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "rankpool: rank %d: %v\n", rank, err)
		if errors.Is(err, mpilink.ErrMasterSilent) {
			return life.ExitFailure
		}
		abortJob(life.ExitFailure)
		return life.ExitFailure
	}
	return 0
}

// leaveMPI lets the ranks go and ends MPI, if it was started. When a rank does not answer the job is aborted: waiting for
// it would last for ever.
func leaveMPI(status int) int {
	if !mpi.Started() {
		return status
	}
	ctx, cancel := context.WithTimeout(context.Background(), leaveLimit)
	defer cancel()
	ranks.Lock()
	hub := ranks.shared
	ranks.Unlock()
	err := mpilink.Settle(ctx)
	if err == nil && hub != nil {
		err = hub.Close(ctx)
	}
	if err == nil {
		err = mpi.Finalize(ctx)
	}
	if l := job.LauncherLoss(); l != nil {
		l.Review()
	}
	switch {
	case err == nil:
		return status
	case errors.Is(err, mpi.ErrLost) && !mpilink.Adrift():
		fmt.Fprintln(os.Stderr, "rankpool: warning: ranks were lost, so this job ends without MPI_Finalize; the launcher may report a status of its own")
		switch f := mpi.FindLauncher(os.LookupEnv).Family; {
		case f == mpi.OpenMPI && mpilink.Scattered(): // its mpiexec would wait for ever
			time.Sleep(job.PrintPause)
			_ = mpi.Abort(status)
		case f == mpi.OtherMPI: // srun
			time.Sleep(job.PrintPause)
		}
		return status
	}
	fmt.Fprintln(os.Stderr, "rankpool: the job is aborted:", err)
	abortJob(max(status, life.ExitFailure))
	return max(status, life.ExitFailure)
}

// newRankGroup makes the group of an executor whose workers are ranks: those of the world, whatever their number, or
// spawned ones (E09).
func (e *executor) newRankGroup(env environment, log *slog.Logger) (link.Group, error) {
	if err := beMaster(); err != nil {
		return nil, err
	}
	if _, err := startMPI(); err != nil {
		return nil, fmt.Errorf("futures: %w", err)
	}
	ranks.Lock()
	defer ranks.Unlock()
	cfg := mpilink.Config{Backoff: e.cfg.backoff, Liveness: e.cfg.liveness}
	if e.comm != nil {
		options, err := linkOptions()
		if err != nil {
			return nil, err
		}
		g := mpilink.NewGathered(cfg, options, e.comm.comm)
		e.help = g.Help
		return g, nil
	}
	switch {
	case ranks.serves:
		return nil, errors.New("futures: this process is a rank that serves a master; an executor in a task uses processes or threads")
	case ranks.shared != nil:
		e.joins = ranks.joined
		ranks.joined = true
		if e.joins && (e.cfg.dir != "" || len(e.cfg.env) > 0) {
			log.Warn("rankpool: WithDir and WithEnv are ignored: the ranks have been set up by the first executor")
		}
		g := ranks.shared.Group(cfg)
		e.help = g.Help
		return g, nil
	}
	options, err := linkOptions()
	if err != nil {
		return nil, err
	}
	spawn := mpilink.Spawn{Config: cfg, Options: options, Command: e.cfg.executable, Args: e.cfg.args, Info: e.cfg.mpiInfo}
	if spawn.Workers, err = e.spawned(env); err != nil {
		return nil, fmt.Errorf("futures: %w", err)
	}
	if spawn.Command == "" {
		if spawn.Command, err = os.Executable(); err != nil {
			return nil, fmt.Errorf("futures: cannot tell which program to spawn, use WithExecutable: %w", err)
		}
	}
	if !e.cfg.hasArgs {
		spawn.Args = os.Args[1:]
	}
	g := mpilink.NewSpawned(spawn)
	e.help = g.Help
	return g, nil
}

// spawned is how many workers are spawned: what the program or the environment says, else what the launcher has room for.
func (e *executor) spawned(env environment) (int, error) {
	switch {
	case e.cfg.workers > 0:
		return e.cfg.workers, nil
	case env.workers > 0:
		return env.workers, nil
	}
	world, err := mpi.World()
	if err != nil {
		return 0, err
	}
	universe, known, err := mpi.UniverseSize()
	if err != nil || !known {
		return 1, err
	}
	return max(universe-world.Size(), 1), nil
}
