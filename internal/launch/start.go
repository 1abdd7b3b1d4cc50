package launch

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/rankpool/rankpool/internal/command"
	"github.com/rankpool/rankpool/internal/findmpi"
	"github.com/rankpool/rankpool/internal/mpi"
	"github.com/rankpool/rankpool/internal/owndir"
)

// Options say what is started and how. At most one of Package and Statements is set.
type Options struct {
	Package    *string  // an import path
	Statements *string  // Go statements
	Words      []string // the program, unless one of the two is set, and its arguments

	MPI    findmpi.Choice // the MPI to link with, of a program that imports mpicomm
	Tags   string         // further build tags, separated by commas
	Module string         // the folder of the library's source, if the user says
	Dir    string         // where the program is built, if the user says
	Wait   time.Duration  // how long ranks wait for each other, and for a file system
	Job    string         // a name for the job, if the user gives it one
}

// ownVariables are the environment variables that are for this command and that its programs do not see.
const ownVariables = "RANKPOOL_RUN_"

// program is something that can be executed now.
type program struct {
	path   string   // of one that was there before
	folder *folder  // else: that it was built in
	argv   []string // the name first
	tidies bool     // this process sees to it that the folder is removed
}

// name is what users may call the program's file.
func (p *program) name() string {
	if p.folder == nil {
		return p.path
	}
	return p.folder.path(programName())
}

// provide returns the program that t is: t itself, or what is built from it by this rank or another. It blocks until then,
// for as long as the option --wait allows, or until ctx ends.
func (o *Options) provide(ctx context.Context, s command.Surroundings, t target, workers bool) (*program, error) {
	argv := append([]string{t.name}, t.args...)
	if t.built() {
		return &program{path: t.path, argv: argv}, nil
	}
	if l := s.Launcher; l.Strange() || l.Size > 1 && l.Rank < 0 { // each would build for itself
		return nil, fmt.Errorf("%s does not say which of how many ranks this is: build the program first (rankpool build) and run that", l.Name)
	}
	if err := reached(ctx, o.Wait, o.places()...); err != nil {
		return nil, once(err)
	}
	root, err := answered(ctx, o.Wait, fileGrace, "opening the folder where programs are built"+o.at(), func() (*os.Root, error) {
		return o.root(s.Launcher)
	})
	if err != nil {
		return nil, once(err)
	}
	build := func(f *folder) error {
		return finished(ctx, noLimit, buildGrace, "building", func() error { return o.build(ctx, s, t, workers, f) })
	}
	if s.Launcher.Size <= 1 {
		return provideAlone(ctx, root, o.Wait, argv, build)
	}
	key, err := jobKey(s.Launcher, os.LookupEnv, o.Job)
	if err != nil {
		return nil, err
	}
	m, err := answered(ctx, o.Wait, fileGrace, "entering "+root.Name(), func() (*meeting, error) {
		return meet(root, key, s.Launcher.Rank, s.Launcher.Size, o.Wait)
	})
	if err != nil {
		return nil, once(err)
	}
	p := &program{folder: m.folder, argv: argv}
	// A meeting keeps to its limit by itself, unless the file system hangs.
	meeting := "meeting the other ranks in " + m.path()
	if m.rank > 0 {
		found, err := answered(ctx, later(o.Wait), fileGrace, meeting, func() (outcome, error) { return m.await(ctx) })
		if err == nil && found.Error != "" {
			err = &command.SilentError{} // rank 0 has told, and has the status
		}
		return p, err
	}
	p.tidies = true
	if err := finished(ctx, o.Wait, fileGrace, "cleaning "+m.path(), func() error {
		sweep(root)
		return m.clean()
	}); err != nil {
		return nil, folderError(root.Name(), err)
	}
	if err := build(m.folder); err != nil {
		// The user reads this before any rank ends: a launcher may end the job then.
		status := command.Report(s, err)
		ctx := context.WithoutCancel(ctx)
		_ = finished(ctx, later(failedLimit), 0, meeting, func() error { return m.publish(ctx, status, err) })
		p.leave()
		return nil, &command.SilentError{Status: status}
	}
	err = finished(ctx, later(o.Wait), fileGrace, meeting, func() error { return m.publish(ctx, 0, nil) })
	if err != nil {
		p.leave()
	}
	return p, err
}

// places are the folders that building uses.
func (o *Options) places() []string {
	all := []string{".", os.TempDir()}
	if o.Dir != "" {
		return append(all, o.Dir)
	}
	if cache, err := os.UserCacheDir(); err == nil {
		all = append(all, cache)
	}
	return all
}

// at names the folder that was asked for.
func (o *Options) at() string {
	if o.Dir == "" {
		return ""
	}
	return ", " + o.Dir + ","
}

// later is when something has hung that ends by itself within a time.
func later(limit time.Duration) time.Duration {
	if limit > noLimit-5*time.Second {
		return noLimit
	}
	return limit + 5*time.Second
}

// once leaves it to another rank of this host to tell of what all of them find.
func once(err error) error {
	if localRank(os.LookupEnv) > 0 {
		return &command.SilentError{}
	}
	return err
}

// provideAlone builds in a folder of this process's own.
func provideAlone(ctx context.Context, root *os.Root, limit time.Duration, argv []string, build func(*folder) error) (*program, error) {
	f, err := answered(ctx, limit, fileGrace, "making a folder in "+root.Name(), func() (*folder, error) {
		sweep(root)
		return enter(root, soloName())
	})
	if err != nil {
		return nil, folderError(root.Name(), err)
	}
	if err := build(f); err != nil {
		_ = finished(context.WithoutCancel(ctx), fileGrace, 0, "removing "+f.path(), f.remove)
		return nil, err
	}
	return &program{folder: f, argv: argv, tidies: true}, nil
}

// root opens the folder that programs are built in, each in a folder of its own: the one that was asked for, or the first that can
// be used and that nobody else can change.
func (o *Options) root(l mpi.Launcher) (*os.Root, error) {
	if o.Dir != "" {
		root, err := owndir.Parent(o.Dir)
		if err != nil {
			err = folderError(o.Dir, err)
		}
		return root, err
	}
	var tried []error
	try := func(path string, err error) *os.Root {
		var root *os.Root
		if err == nil {
			root, err = owndir.Parent(path)
		}
		if err != nil {
			tried = append(tried, err)
		}
		return root
	}
	cache, err := os.UserCacheDir()
	if root := try(filepath.Join(cache, "rankpool", "run"), err); root != nil {
		return root, nil
	}
	last := os.TempDir()
	if l.Found() { // the working directory of a job is usually shared, a folder for temporary files is not
		last = ".rankpool"
	}
	if root := try(last, nil); root != nil {
		return root, nil
	}
	return nil, fmt.Errorf("there is no folder to build the program in: name one, that all hosts of the job share, with --dir or "+
		"RANKPOOL_RUN_DIR; tried\n%w", errors.Join(tried...))
}

// build builds t into a folder.
func (o *Options) build(ctx context.Context, s command.Surroundings, t target, workers bool, f *folder) error {
	c := compiler{workers: workers, tags: o.Tags, module: o.Module, wait: o.Wait, stdin: os.Stdin, stderr: s.Err}
	c.mpi = o.MPI != findmpi.Without && (s.Launcher.Found() || o.MPI != findmpi.Automatic || strings.EqualFold(os.Getenv("RANKPOOL_BACKEND"), "mpi"))
	c.settings = func() (*findmpi.Settings, error) { return o.settings(ctx, s.Launcher) }
	dir, remove, err := owndir.Scratch("", "rankpool-build-")
	if err != nil {
		return err
	}
	defer remove()
	name := programName()
	if err := c.compile(ctx, t, dir.Name(), filepath.Join(dir.Name(), name)); err != nil {
		return err
	}
	if err := finished(ctx, o.Wait, fileGrace, "copying the program to "+f.path(), func() error { return f.adopt(dir, name) }); err != nil {
		return folderError(f.root.Name(), err)
	}
	return nil
}

// settings returns what to link a program with that imports mpicomm: the MPI that was asked for, or the launcher's.
func (o *Options) settings(ctx context.Context, l mpi.Launcher) (*findmpi.Settings, error) {
	if o.MPI != findmpi.Automatic {
		return findmpi.FindSettings(ctx, o.MPI.Family(), o.MPI)
	}
	if family := mpi.SpokenTo(os.LookupEnv); family != mpi.OtherMPI { // srun's: it starts the other one too, if that was built for it
		if found, err := findmpi.FindSettings(ctx, family, findmpi.Automatic); err == nil {
			return found, nil
		}
	}
	return findmpi.FindSettings(ctx, l.Family, findmpi.Automatic)
}

// leave gives up a program that was not started.
func (p *program) leave() {
	if p.tidies {
		_ = p.folder.leaveTidy()
	}
	if p.folder != nil {
		p.folder.close()
	}
}

// childEnv is the environment of the program.
func childEnv() []string {
	return slices.DeleteFunc(os.Environ(), func(v string) bool { return strings.HasPrefix(v, ownVariables) })
}

// find returns the target. Every rank looks at the file system of its own host, so what is wrong there is told once per host;
// a command line that makes no sense is told once.
func (o *Options) find(ctx context.Context, s command.Surroundings) (target, error) {
	if o.Wait <= 0 {
		return target{}, command.Usagef("--wait %v leaves no time: give more than 0s", o.Wait)
	}
	name := "the program"
	if o.Package == nil && o.Statements == nil && len(o.Words) > 0 && o.Words[0] != "" && o.Words[0] != "-" {
		name = o.Words[0]
		if err := reached(ctx, o.Wait, ".", name); err != nil {
			return target{}, once(err)
		}
	}
	t, err := answered(ctx, o.Wait, fileGrace, "looking for "+name, o.target)
	switch missing := (*missingError)(nil); {
	case err == nil || errors.As(err, new(*command.UsageError)):
		return t, err
	case localRank(os.LookupEnv) > 0:
		return t, &command.SilentError{}
	case errors.As(err, &missing) && command.Speaks(s.Launcher):
		return t, command.Usagef("%v", err)
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
