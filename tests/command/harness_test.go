//go:build unix

// Package command_test builds the command rankpool and runs it as users do: every form of a program, every mistake, with
// local processes and, where there is an mpiexec, on ranks.
package command_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rankpool/rankpool/internal/mpi/mpitest"
	"github.com/rankpool/rankpool/internal/testkit"
)

// limit is what one command may take.
var limit = testkit.Limit

var (
	binaries string // a folder
	rankpool string // the command, built without MPI
	greet    string // the source of testdata/greet, absolute
)

func TestMain(m *testing.M) {
	status := func() int {
		if err := prepare(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		defer os.RemoveAll(binaries)
		status := m.Run()
		if err := testkit.Leaks(); err != nil && status == 0 {
			fmt.Fprintln(os.Stderr, err)
			status = 1
		}
		return status
	}()
	os.Exit(status)
}

func prepare() error {
	for _, v := range os.Environ() {
		if name, _, _ := strings.Cut(v, "="); strings.HasPrefix(name, "RANKPOOL_") {
			os.Unsetenv(name)
		}
	}
	var err error
	if binaries, err = os.MkdirTemp("", "rankpool-command-"); err != nil {
		return err
	}
	if greet, err = filepath.Abs("testdata/greet/main.go"); err != nil {
		return err
	}
	rankpool = filepath.Join(binaries, "rankpool")
	// Without the race detector: this command is started often, and its own tests run under it.
	out, err := exec.Command("go", "build", "-o", rankpool, "../../cmd/rankpool").CombinedOutput()
	if err != nil {
		return fmt.Errorf("%w\n%s", err, out)
	}
	return nil
}

// call is one start of the command.
type call struct {
	program string // rankpool unless set
	args    []string
	stdin   string
	input   *os.File // in place of stdin
	dir     string
	env     []string
	folder  string // where it builds; one of its own unless set
	started func(*exec.Cmd, *output)
	tells   mpitest.Signals // for ranks
}

// result is how a call ended.
type result struct {
	status      int
	out, errors string
	folder      string
}

// output is what a process has printed so far.
type output struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.String()
}

// run runs a call to its end.
func (c call) run(t *testing.T) result {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	if c.folder == "" {
		c.folder = t.TempDir()
	}
	if c.program == "" {
		c.program = rankpool
	}
	cmd := exec.CommandContext(ctx, c.program, c.args...)
	cmd.Dir = c.dir
	cmd.Env = append(append(os.Environ(), "RANKPOOL_RUN_DIR="+c.folder), c.env...)
	cmd.Stdin = strings.NewReader(c.stdin)
	if c.input != nil {
		cmd.Stdin = c.input
	}
	cmd.WaitDelay = limit
	var out, complaints output
	cmd.Stdout, cmd.Stderr = &out, &complaints
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if c.started != nil {
		c.started(cmd, &out)
	}
	err := cmd.Wait()
	if exit := (*exec.ExitError)(nil); err != nil && !errors.As(err, &exit) || ctx.Err() != nil {
		t.Errorf("rankpool %q: %v\n%s", c.args, err, complaints.String())
	}
	return result{cmd.ProcessState.ExitCode(), out.String(), complaints.String(), c.folder}
}

func start(args ...string) call { return call{args: args} }

// expect fails the test unless the call ended with a status and said certain things.
func (r result) expect(t *testing.T, status int, want ...string) {
	t.Helper()
	if r.status != status {
		t.Errorf("status %d, want %d", r.status, status)
	}
	for _, w := range want {
		if !strings.Contains(r.out+r.errors, w) {
			t.Errorf("nothing says %q", w)
		}
	}
	if t.Failed() {
		t.Logf("output:\n%s\nerrors:\n%s", r.out, r.errors)
	}
}

// tidied fails the test unless the folder that programs are built in becomes empty, which the process that sees to it does
// soon after the end.
func tidied(t *testing.T, folder string) {
	t.Helper()
	var left []os.DirEntry
	eventually(t, "the folder is empty", func() bool {
		left, _ = os.ReadDir(folder)
		return len(left) == 0
	})
	for _, e := range left {
		t.Errorf("%s is left", e.Name())
	}
}

// eventually fails the test unless something becomes true.
func eventually(t *testing.T, what string, ask func() bool) {
	t.Helper()
	for end := time.Now().Add(limit); !ask(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Errorf("never: %s", what)
			return
		}
	}
}

// source writes a Go file into a folder that belongs to no module.
func source(t *testing.T, text string) (path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "program.go")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// libraries are the MPI libraries whose launchers are here.
func libraries(t *testing.T) (all []string) {
	t.Helper()
	for _, l := range []string{"openmpi", "mpich"} {
		if _, err := exec.LookPath("mpiexec." + l); err == nil {
			all = append(all, l)
		} else {
			t.Logf("left out: %s: no mpiexec.%[1]s on the path", l)
		}
	}
	if len(all) == 0 {
		t.Skip("neither mpiexec.openmpi nor mpiexec.mpich is on the path")
	}
	return all
}

// onEach runs a test under every launcher there is.
func onEach(t *testing.T, test func(*testing.T, string)) {
	t.Helper()
	for _, l := range libraries(t) {
		t.Run(l, func(t *testing.T) { test(t, l) })
	}
}

var prefix = regexp.MustCompile(`(?m)^(\[\d+,\d+\]<std(out|err|diag)>:|\[\d+\] ?)`)

// ranks runs the command on several ranks. What the launcher says of itself is not taken away.
func (c call) ranks(t *testing.T, library string, n int, options ...string) result {
	t.Helper()
	if c.folder == "" {
		c.folder = t.TempDir()
	}
	if c.program == "" {
		c.program = rankpool
	}
	r, err := mpitest.Run(t.Context(), mpitest.Job{
		Ranks: n, Program: c.program, Args: c.args, Launcher: library, Limit: limit, Options: options, Tells: c.tells,
		Env: append(slices.Clone(c.env), "RANKPOOL_RUN_DIR="+c.folder),
	})
	if err != nil || r.Expired {
		t.Errorf("%v, ended in time %v:\n%s", err, !r.Expired, r.Report())
	}
	return result{status: r.Code, out: prefix.ReplaceAllString(mpitest.Untagged(r.Output), ""), folder: c.folder}
}
