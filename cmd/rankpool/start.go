package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/rankpool/rankpool/internal/mpi"
)

// startOptions are what run and exec have in common.
type startOptions struct {
	chosen

	MPI    choice        `name:"mpi" enum:"auto,none,openmpi,mpich,mpicc" default:"auto" help:"The MPI to build for: openmpi, mpich, mpicc (that of the mpicc on the path), none; auto is the launcher's, and none without a launcher."`
	Tags   string        `placeholder:"LIST" help:"Further build tags, separated by commas."`
	Module string        `placeholder:"DIR" env:"RANKPOOL_RUN_MODULE" help:"The source of rankpool, for a program that is in no module."`
	Dir    string        `placeholder:"DIR" env:"RANKPOOL_RUN_DIR" help:"Where the program is built: a folder that all hosts of the job share. Default: rankpool/run in the user's cache."`
	Wait   time.Duration `default:"5m" env:"RANKPOOL_RUN_WAIT" help:"How long ranks wait for each other while one builds."`
	Job    string        `placeholder:"NAME" env:"RANKPOOL_RUN_JOB" help:"What tells this job from others, where its launcher gives it no name that all ranks know."`
}

// ownVariables are the environment variables that are for this command and that its programs do not see.
const ownVariables = "RANKPOOL_RUN_"

// program is something that can be executed now.
type program struct {
	path string
	argv []string // the name first
	lock *lock    // of the folder it is in; nil when it was there before
	tidy string   // that folder
}

// provide returns the program that t is: t itself, or what is built from it by this rank or another. It blocks until then,
// for as long as the option --wait allows, or until ctx ends.
func (o *startOptions) provide(ctx context.Context, s surroundings, t target, workers bool) (*program, error) {
	argv := append([]string{t.name}, t.args...)
	if t.built() {
		return &program{path: t.path, argv: argv}, nil
	}
	root, err := o.root(s.launcher)
	if err != nil {
		return nil, err
	}
	build := func(out string) error { return o.build(ctx, s, t, workers, out) }
	if s.launcher.Size <= 1 {
		return provideAlone(root, argv, build)
	}
	if s.launcher.Rank < 0 {
		return nil, fmt.Errorf("%s does not say which rank this is: build the program first (rankpool build) and run that", s.launcher.Name)
	}
	key, err := jobKey(s.launcher, os.LookupEnv, o.Job)
	if err != nil {
		return nil, err
	}
	m, err := meet(root, key, s.launcher.Rank, s.launcher.Size, o.Wait)
	if err != nil && localRank(os.LookupEnv) > 0 {
		return nil, &silentError{} // another rank of this host tells
	}
	if err != nil {
		return nil, err
	}
	p := &program{path: m.program(), argv: argv, lock: m.lock}
	if m.rank > 0 {
		found, err := m.await(ctx)
		if err == nil && found.Error != "" {
			err = &silentError{} // rank 0 has told, and has the status
		}
		return p, err
	}
	sweep(root)
	p.tidy = m.folder
	if err := m.clean(); err != nil {
		return nil, folderError(root, err)
	}
	if err := build(m.path(".building")); err != nil {
		// The user reads this before any rank ends: a launcher may end the job then.
		status := report(s, err)
		_ = m.publish(context.WithoutCancel(ctx), status, err)
		p.leave()
		return nil, &silentError{status}
	}
	if err := os.Rename(m.path(".building"), m.program()); err != nil {
		return nil, folderError(root, err)
	}
	err = m.publish(ctx, 0, nil)
	if err != nil {
		p.leave()
	}
	return p, err
}

// provideAlone builds in a folder of this process's own.
func provideAlone(root string, argv []string, build func(out string) error) (*program, error) {
	if err := os.MkdirAll(root, 0o700); err != nil {
		return nil, folderError(root, err)
	}
	sweep(root)
	folder, err := os.MkdirTemp(root, "one-")
	if err != nil {
		return nil, folderError(root, err)
	}
	p := &program{path: filepath.Join(folder, "program"+suffix()), argv: argv, tidy: folder}
	if p.lock, err = holdLock(folder); err != nil {
		return nil, folderError(root, err)
	}
	if err := build(p.path); err != nil {
		_ = os.RemoveAll(folder)
		return nil, err
	}
	return p, nil
}

func suffix() string {
	if runtime.GOOS == "windows" {
		return ".exe"
	}
	return ""
}

// root is the folder that programs are built in, each in a folder of its own.
func (o *startOptions) root(l mpi.Launcher) (string, error) {
	if o.Dir != "" {
		return filepath.Abs(o.Dir)
	}
	cache, err := os.UserCacheDir()
	if err == nil && os.MkdirAll(filepath.Join(cache, "rankpool", "run"), 0o700) == nil {
		return filepath.Join(cache, "rankpool", "run"), nil
	}
	if l.Found() { // the working directory of a job is usually shared, a folder for temporary files is not
		return filepath.Abs(".rankpool")
	}
	return filepath.Join(os.TempDir(), fmt.Sprintf("rankpool-%d", os.Getuid())), nil
}

// build builds t.
func (o *startOptions) build(ctx context.Context, s surroundings, t target, workers bool, out string) error {
	c := compiler{workers: workers, tags: o.Tags, module: o.Module, stdin: os.Stdin, stderr: s.err}
	if o.MPI != withoutMPI && (s.launcher.Found() || o.MPI != automatic || strings.EqualFold(os.Getenv("RANKPOOL_BACKEND"), "mpi")) {
		var err error
		if c.mpi, err = o.settings(ctx, s.launcher); err != nil {
			return err
		}
	}
	scratch, err := os.MkdirTemp("", "rankpool-build-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(scratch)
	return c.compile(ctx, t, scratch, out)
}

// settings returns what to build with: the MPI that was asked for, or the launcher's.
func (o *startOptions) settings(ctx context.Context, l mpi.Launcher) (*settings, error) {
	switch {
	case o.MPI != automatic:
		return findSettings(ctx, o.MPI.family(), o.MPI)
	case l.Name == "srun --mpi=pmi2": // which starts programs of either family, but Open MPI's hardly ever
		if found, err := findSettings(ctx, mpi.MPICH, automatic); err == nil {
			return found, nil
		}
	}
	return findSettings(ctx, l.Family, automatic)
}

// leave gives up a program that was not started.
func (p *program) leave() {
	if p.tidy != "" {
		_ = leaveTidy(p.tidy)
	}
	if p.lock != nil {
		p.lock.release()
	}
}

// childEnv is the environment of the program.
func childEnv() []string {
	return slices.DeleteFunc(os.Environ(), func(v string) bool { return strings.HasPrefix(v, ownVariables) })
}

// report prints an error and returns the exit status that goes with it.
func report(s surroundings, err error) int {
	if stopped := (*stoppedError)(nil); errors.As(err, &stopped) {
		fmt.Fprintln(s.err, "rankpool: ended by signal:", stopped.signal)
		return stopped.status()
	}
	if silent := (*silentError)(nil); errors.As(err, &silent) {
		return silent.status
	}
	fmt.Fprintln(s.err, "rankpool:", err)
	return exitFailure
}

// stoppedError is a signal that ended what this command did.
type stoppedError struct{ signal os.Signal }

func (e *stoppedError) Error() string { return "signal: " + e.signal.String() }

// status is the exit status that a shell would report (E07).
func (e *stoppedError) status() int {
	if n, ok := e.signal.(syscall.Signal); ok {
		return 128 + int(n)
	}
	return exitFailure
}

// untilSignal returns a context that ends, with a *stoppedError, when this process is told to end. Call stop before it becomes
// another program.
func untilSignal() (ctx context.Context, stop func()) {
	ctx, cancel := context.WithCancelCause(context.Background())
	c := make(chan os.Signal, 1)
	for _, sig := range []os.Signal{os.Interrupt, syscall.SIGTERM} {
		if !signal.Ignored(sig) {
			signal.Notify(c, sig)
		}
	}
	go func() {
		select {
		case sig := <-c:
			cancel(&stoppedError{sig})
		case <-ctx.Done():
		}
	}()
	return ctx, func() {
		signal.Stop(c)
		cancel(nil)
	}
}

// find returns the target. Every rank looks at the file system of its own host, so what is wrong there is told once per host;
// a command line that makes no sense is told once.
func (o *startOptions) find(s surroundings) (target, error) {
	t, err := o.target()
	switch missing := (*missingError)(nil); {
	case err == nil || errors.As(err, new(*usageError)):
		return t, err
	case localRank(os.LookupEnv) > 0:
		return t, &silentError{}
	case errors.As(err, &missing) && speaks(s.launcher):
		return t, &usageError{err.Error()}
	}
	return t, err
}

// localRank is the number of this rank among those of its host, or 0 when the launcher does not tell.
func localRank(lookup func(string) (string, bool)) int {
	for _, name := range []string{"OMPI_COMM_WORLD_LOCAL_RANK", "MPI_LOCALRANKID", "SLURM_LOCALID"} {
		if v, ok := lookup(name); ok {
			var n int
			if _, err := fmt.Sscan(v, &n); err == nil {
				return n
			}
		}
	}
	return 0
}
