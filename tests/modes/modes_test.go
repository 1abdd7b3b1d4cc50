//go:build unix

// Package modes_test starts the same programs in every way there is: on goroutines, on local processes, as the ranks of a
// world, with spawned workers, and as one rank that cannot spawn. Nothing in the programs differs, and nothing in what they print and write.
//
// Built with -tags mpi it runs the ways of the MPI that MPITEST_LAUNCHER names; without, it says which it leaves out.
package modes_test

import (
	"context"
	"crypto/sha256"
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

// limit is what a run may take; then all of it is killed.
var limit = testkit.Limit

// mode is a way to start a program.
type mode struct {
	name    string
	backend string // RANKPOOL_BACKEND
	ranks   int    // under an mpiexec; 0: without
	reports string // what the executor says it runs on
	workers int
	plain   bool     // mpiexec without the options that suit a test
	options []string // of mpiexec
	stdin   string
	tells   mpitest.Signals // to mpiexec's process group
	slots   int             // of each rank, for tests that have them
	long    bool            // it is many runs in one, and may take as long

	binaries *testkit.Programs // what builds the program, unless the usual
}

var (
	threads   = mode{name: "threads", backend: "threads", reports: "threads", workers: 2}
	processes = mode{name: "processes", backend: "auto", reports: "processes", workers: 2}
	world     = mode{name: "world", backend: "auto", ranks: 3, reports: "mpi", workers: 2}
	spawned   = mode{name: "spawned", backend: "auto", ranks: 1, reports: "mpi", workers: 2}
)

// library is the MPI whose launcher starts the programs: "openmpi", "mpich" or nothing.
var library string

// ranksOnly is the variable that, set to ranks, leaves out the modes without an mpiexec: they are the same beside every library.
const ranksOnly = "MODES"

// modes are those that can be run here.
func modes() []mode {
	all := []mode{threads, processes}
	if os.Getenv(ranksOnly) == "ranks" && library != "" {
		all = nil
	}
	if library != "" {
		all = append(all, world)
	}
	if library == "openmpi" {
		all = append(all, spawned)
	}
	if m, ok := spawnless(); ok {
		all = append(all, m)
	}
	return all
}

// spawnless is the mode of one rank that can spawn no others: with MPICH before 5 over UCX, and where Open MPI 4's mpiexec has no slot left.
func spawnless() (m mode, ok bool) {
	m = mode{name: "spawnless", backend: "auto", ranks: 1, reports: "processes", workers: 2}
	switch v := mpitest.VersionOf(library); library {
	case "openmpi":
		m.plain, m.options = true, []string{"-H", "localhost:1", "--bind-to", "none"}
		return m, !v.PRRTE()
	case "mpich":
		return m, v.Major < 5
	}
	return m, false
}

// needsMPI skips a test that makes sense under an mpiexec alone.
func needsMPI(t *testing.T) {
	t.Helper()
	if library == "" {
		t.Skip("built without -tags mpi")
	}
}

var binaries testkit.Programs

func TestMain(m *testing.M) {
	status := func() int {
		if err := prepare(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		defer os.RemoveAll(binaries.Dir)
		status := m.Run()
		if status == 0 && testkit.Whole() {
			if err := ran.Missing("tests/modes", columns()...); err != nil {
				fmt.Fprintln(os.Stderr, err)
				status = 1
			}
		}
		if err := testkit.Leaks(); err != nil && status == 0 {
			fmt.Fprintln(os.Stderr, err)
			status = 1
		}
		return status
	}()
	os.Exit(status)
}

func prepare() error {
	if mpi.Built {
		binaries.Tags = "mpi"
		var err error
		if library, err = mpitest.Linked(); err != nil {
			return err
		}
	} else {
		fmt.Println("lanes left out: Open MPI, MPICH (this binary is built without -tags mpi)")
	}
	var err error
	binaries.Dir, err = os.MkdirTemp("", "rankpool-modes-")
	return err
}

// outcome is how a run ended.
type outcome struct {
	output string // both streams, without what a launcher puts before a line
	own    string // of that what the program has printed, without the lines of a launcher
	code   int
	dir    string // its working directory
	left   []int  // processes that outlived mpiexec
	told   int    // signals that were sent
}

// ran is where the tests of this run have run.
var ran testkit.Ran

// column is where docs/backends.md has what holds in this mode.
func (m mode) column() string {
	switch {
	case m.backend == "threads":
		return "goroutines"
	case m.ranks == 0 || m.reports == "processes":
		return "processes"
	case m.ranks == 1:
		return "spawned"
	}
	return "world"
}

// columns are those that can be run here.
func columns() (all []string) {
	for _, m := range modes() {
		all = append(all, m.column())
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// run starts a program in a directory of its own and waits for its end, for a time.
func (m mode) run(t *testing.T, pkg string, args []string, env ...string) outcome {
	t.Helper()
	limit := limit
	if m.long {
		limit = testkit.Suite
	}
	ran.Note(t, m.column())
	o := outcome{dir: t.TempDir()}
	env = append([]string{"RANKPOOL_BACKEND=" + m.backend, "RANKPOOL_MAX_WORKERS=2", "GORACE=atexit_sleep_ms=20"}, env...)
	if m.binaries == nil {
		m.binaries = &binaries
	}
	program := m.binaries.Build(t, pkg)
	if m.ranks > 0 {
		r, err := mpitest.Run(t.Context(), mpitest.Job{
			Ranks: m.ranks, Program: program, Args: args, Options: append([]string{"-wdir", o.dir}, m.options...), Plain: m.plain,
			Env: env, Limit: limit, Stdin: m.stdin, Tells: m.tells, Launcher: library,
		})
		if err != nil {
			t.Fatal(err)
		}
		o.output, o.code, o.left, o.told = mpitest.Untagged(r.Output), r.Code, r.Left, r.Told
		o.own = mpitest.Untagged(strings.Join(byRanks.FindAllString(r.Output, -1), ""))
		if r.Expired {
			t.Fatalf("%s %v did not end within %v; all was killed. It printed:\n%s", pkg, args, limit, r.Report())
		}
		return o
	}
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Dir, cmd.WaitDelay, cmd.Stdin = o.dir, limit, strings.NewReader(m.stdin)
	cmd.Env = append(os.Environ(), env...)
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGABRT) } // it prints what its goroutines do
	out, err := cmd.CombinedOutput()
	if ctx.Err() != nil {
		t.Fatalf("%s %v did not end within %v. It printed:\n%s", pkg, args, limit, out)
	}
	if exit := (*exec.ExitError)(nil); err != nil && !errors.As(err, &exit) {
		t.Fatalf("%s %v: %v\n%s", pkg, args, err, out)
	}
	o.output, o.own, o.code = string(out), string(out), cmd.ProcessState.ExitCode()
	return o
}

// byRanks are the lines that launchers have tagged with the rank that has printed them. What a launcher says itself has no tag.
var byRanks = regexp.MustCompile(`(?m)^\[[\w.@-]+(?:,\d+\]<std(?:out|err)>:|\] ).*\n?`)

// succeed is run for what must end with status 0.
func (m mode) succeed(t *testing.T, pkg string, args []string, env ...string) outcome {
	t.Helper()
	o := m.run(t, pkg, args, env...)
	if o.code != 0 {
		t.Fatalf("%s %v ended with status %d:\n%s", pkg, args, o.code, o.output)
	}
	return o
}

func onEvery(t *testing.T, test func(*testing.T, mode)) {
	t.Helper()
	for _, m := range modes() {
		t.Run(m.name, func(t *testing.T) { test(t, m) })
	}
}

// lines are the lines of a program that do not depend on how it was started.
func (o outcome) lines() []string {
	return slices.DeleteFunc(strings.Split(o.own, "\n"), func(l string) bool {
		return strings.HasPrefix(l, "backend ") || strings.Contains(l, "so the workers are processes of this host") || l == ""
	})
}

const examples = "github.com/rankpool/rankpool/examples/"

// juliaSum is the SHA-256 of the picture that the script in the documentation of mpi4py.futures writes.
const juliaSum = "c9b7215a136958917dfa0f4af079a4162a7316185815300036600e9b7b8e91f3"

func TestJuliaIsTheSamePictureHoweverItIsStarted(t *testing.T) {
	t.Parallel()
	onEvery(t, func(t *testing.T, m mode) {
		o := m.succeed(t, examples+"julia", nil)
		pgm, err := os.ReadFile(filepath.Join(o.dir, "julia.pgm"))
		if sum := fmt.Sprintf("%x", sha256.Sum256(pgm)); err != nil || sum != juliaSum {
			t.Errorf("julia.pgm: %v, SHA-256 %s, want %s", err, sum, juliaSum)
		}
		if want := fmt.Sprintf("backend %s, workers %d, tasks 960,", m.reports, m.workers); strings.Count(o.output, want) != 1 {
			t.Errorf("want %q once in:\n%s", want, o.output)
		}
	})
}

func TestCpiPrintsTheSameHoweverItIsStarted(t *testing.T) {
	t.Parallel()
	const want = "pi: 3.1415977398528141, error: 5.086e-06 (128 intervals, 2 workers)"
	onEvery(t, func(t *testing.T, m mode) {
		if got := m.succeed(t, examples+"cpi", []string{"128"}).lines(); len(got) != 1 || got[0] != want {
			t.Errorf("cpi 128 printed %q, want %q", got, want)
		}
	})
}

func TestPrimesAndWordcountPrintTheSameHoweverTheyAreStarted(t *testing.T) {
	t.Parallel()
	root, err := filepath.Abs("../../examples")
	if err != nil {
		t.Fatal(err)
	}
	for name, args := range map[string][]string{"primes": nil, "wordcount": {root}} {
		want := threads.succeed(t, examples+name, args).lines()
		if len(want) < 5 {
			t.Fatalf("%s printed only %q", name, want)
		}
		onEvery(t, func(t *testing.T, m mode) {
			if got := m.succeed(t, examples+name, args).lines(); !slices.Equal(got, want) {
				t.Errorf("%s printed\n%s\nwant\n%s", name, strings.Join(got, "\n"), strings.Join(want, "\n"))
			}
		})
	}
}

func TestHelloGreetsFromAWorker(t *testing.T) {
	t.Parallel()
	onEvery(t, func(t *testing.T, m mode) {
		o := m.succeed(t, examples+"hello", []string{"Ada", "Grace"})
		greetings := regexp.MustCompile(`(?m)^hello, (Ada|Grace), from process \d+ on `).FindAllString(o.output, -1)
		if len(greetings) != 2 || len(o.lines()) != 2 {
			t.Errorf("want two greetings, got:\n%s", o.output)
		}
	})
}

func TestPinGivesEachWorkerItsOwnDeviceHoweverItIsStarted(t *testing.T) {
	t.Parallel()
	onEvery(t, func(t *testing.T, m mode) {
		o := m.succeed(t, examples+"pin", []string{"-gpus", "8"})
		for i := range m.workers {
			want := fmt.Sprintf(`(?m)^worker %d of %d, %[1]d of %[2]d on \S+: GPU %[1]d, cores \S+$`, i, m.workers)
			if !regexp.MustCompile(want).MatchString(o.output) {
				t.Errorf("no line %q in:\n%s", want, o.output)
			}
		}
	})
}
