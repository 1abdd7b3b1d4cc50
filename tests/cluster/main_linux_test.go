// Package cluster_test runs the examples as jobs of a cluster: on three hosts that talk TCP, and under Slurm.
//
// The hosts are namespaces of this machine. That needs root, and the tools ip and nsenter; Slurm needs the packages slurm-wlm
// and munge. What is missing is skipped, with the reason. Built with -tags mpi it runs what the MPI can do whose
// launcher MPITEST_LAUNCHER names.
package cluster_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/rankpool/rankpool/internal/mpi"
	"github.com/rankpool/rankpool/internal/mpi/mpitest"
	"github.com/rankpool/rankpool/internal/testkit"
)

// limit is what a job may take; then all of it is killed.
var limit = testkit.Limit

// library is the MPI whose launcher starts the programs: "openmpi", "mpich" or nothing.
var library string

var binaries = testkit.Programs{Tags: "mpi"}

func TestMain(m *testing.M) {
	play()
	status := func() int {
		if err := prepare(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		defer os.RemoveAll(binaries.Dir)
		status := m.Run()
		if err := errors.Join(closeCluster(), testkit.Leaks()); err != nil && status == 0 {
			fmt.Fprintln(os.Stderr, err)
			status = 1
		}
		return status
	}()
	os.Exit(status)
}

func prepare() error {
	if mpi.Built {
		var err error
		if library, err = mpitest.Linked(); err != nil {
			return err
		}
	}
	for _, missing := range []error{needsMPI(), unable(), noSlurm()} {
		if missing != nil {
			fmt.Println("left out:", missing)
		}
	}
	var err error
	binaries.Dir, err = os.MkdirTemp("", "rankpool-cluster-")
	return err
}

func needsMPI() error {
	if library == "" {
		return errors.New("jobs of Open MPI and MPICH: this binary is built without -tags mpi")
	}
	return nil
}

const examples = "github.com/rankpool/rankpool/examples/"

// build returns the path of an example, built as this test is.
func build(t *testing.T, name string) string {
	t.Helper()
	if err := needsMPI(); err != nil {
		t.Skip(err)
	}
	return binaries.Build(t, examples+name)
}

// outcome is how a run ended.
type outcome struct {
	output string // both streams, without what a launcher puts before a line
	code   int
	dir    string         // its working directory
	signal syscall.Signal // what ended the launcher itself, if that was a signal
}

// finished is the outcome of a launch that must have ended by itself.
func finished(t *testing.T, dir string, r mpitest.Result, err error) outcome {
	t.Helper()
	switch {
	case err != nil:
		t.Fatal(err)
	case r.Expired:
		t.Fatalf("the job did not end in time; all of it was killed. It printed:\n%s", r.Report())
	}
	return outcome{mpitest.Untagged(r.Output), r.Code, dir, r.Signal}
}

// succeeded fails the test unless the job ended with status 0.
func (o outcome) succeeded(t *testing.T) outcome {
	t.Helper()
	if o.code != 0 {
		t.Fatalf("the job ended with status %d:\n%s", o.code, o.output)
	}
	return o
}

// lines are the lines of an output that do not depend on how the program was started. Open MPI's mpiexec warns now and then that it could
// not put the rsh that it has started into a process group: the rsh has done that itself by then.
func (o outcome) lines() []string {
	return slices.DeleteFunc(strings.Split(o.output, "\n"), func(l string) bool {
		return strings.HasPrefix(l, "backend ") || l == "" || launchersOwn.MatchString(l)
	})
}

// launchersOwn are lines of Open MPI's launcher about itself, also in jobs that end well: those of PRRTE come where a program spawns.
var launchersOwn = regexp.MustCompile(`^\[\w+:\d+\] (plm:\w+: Warning: setpgid\(|PMIX ERROR: PMIX_ERROR in file \S+pmix_server_dyn\.c )`)

// picture is what julia wrote.
func (o outcome) picture(t *testing.T) []byte {
	t.Helper()
	pgm, err := os.ReadFile(filepath.Join(o.dir, "julia.pgm"))
	if err != nil {
		t.Fatalf("%v; the job printed:\n%s", err, o.output)
	}
	return pgm
}

// environment is what every run gets. A program that loads its library takes that of this test.
func environment(env ...string) []string {
	return append([]string{"GORACE=atexit_sleep_ms=20", "RANKPOOL_MAX_WORKERS=", "RANKPOOL_MPI=" + library}, env...)
}

// onThreads runs an example without MPI, on goroutines: what all others are compared with.
func onThreads(t *testing.T, name string, args ...string) outcome {
	t.Helper()
	o := outcome{dir: t.TempDir()}
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	cmd := exec.CommandContext(ctx, build(t, name), args...)
	cmd.Dir, cmd.WaitDelay = o.dir, limit
	cmd.Env = append(os.Environ(), environment("RANKPOOL_BACKEND=threads")...)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s on threads: %v\n%s", name, err, out)
	}
	o.output = string(out)
	return o
}
