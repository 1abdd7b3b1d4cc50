// Package examples_test builds every example and runs it as a user would: from a directory of its own, on every
// backend, down to its exit status and to what it leaves behind.
package examples_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rankpool/rankpool/internal/testkit"
)

const workers = 3 // what RANKPOOL_MAX_WORKERS says in every run

// A backend is a way to start a program. Everything in this package runs once on each.
type backend struct {
	name     string   // what RANKPOOL_BACKEND is set to and what the program reports
	tags     string   // build tags
	launcher []string // a command in front of the program
	apart    bool     // workers are processes of their own
}

var backends = []backend{
	{name: "threads"},
	{name: "processes", apart: true},
}

// onEveryBackend runs a test once per backend.
func onEveryBackend(t *testing.T, test func(t *testing.T, b backend)) {
	t.Helper()
	for _, b := range backends {
		t.Run(b.name, func(t *testing.T) { test(t, b) })
	}
}

// program is one example, built at most once per set of tags.
type program struct{ name, tags string }

var (
	binaries string // the directory of the built examples
	builds   sync.Map
)

func TestMain(m *testing.M) {
	var err error
	if binaries, err = os.MkdirTemp("", "rankpool-examples-"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	testkit.Main(m, func() { os.RemoveAll(binaries) })
}

// build returns the path of an example's binary. The binary has the race detector when this test has it; otherwise it
// is built without cgo, as on a machine that has Go and nothing else.
func build(t *testing.T, name string, b backend) string {
	t.Helper()
	p := program{name, b.tags}
	once, _ := builds.LoadOrStore(p, sync.OnceValues(func() (string, error) {
		path := filepath.Join(binaries, name+"-"+strings.ReplaceAll(b.tags, ",", "-")+exeSuffix())
		args, cgo := []string{"build", "-o", path, "-tags", b.tags}, "CGO_ENABLED=0"
		if testkit.Race {
			args, cgo = append(args, "-race"), "CGO_ENABLED=1"
		}
		cmd := exec.Command("go", append(args, "./"+name)...)
		cmd.Env = append(os.Environ(), cgo)
		if out, err := cmd.CombinedOutput(); err != nil {
			return "", fmt.Errorf("%v: %w\n%s", cmd.Args, err, out)
		}
		return path, nil
	}))
	path, err := once.(func() (string, error))()
	if err != nil {
		t.Fatal(err)
	}
	return path
}

func exeSuffix() string {
	if runtime.GOOS == "windows" {
		return ".exe"
	}
	return ""
}

// outcome is what a program did.
type outcome struct {
	stdout, stderr string
	code, pid      int
	dir            string // its working directory
}

// start describes a run. The zero value, but for the example, is a plain one.
type start struct {
	example string
	args    []string
	dir     string   // working directory; empty: a fresh one
	env     []string // on top of everything else
}

// run starts an example, waits for its end and fails the test if it takes too long or if a process outlives it.
func run(t *testing.T, b backend, s start) outcome {
	t.Helper()
	if s.dir == "" {
		s.dir = t.TempDir()
	}
	mark := fmt.Sprintf("EXAMPLES_TEST_RUN=%d-%s-%d", os.Getpid(), s.example, time.Now().UnixNano())

	ctx, cancel := context.WithTimeout(t.Context(), testkit.Limit)
	defer cancel()
	line := append(slices.Clone(b.launcher), build(t, s.example, b))
	line = append(line, s.args...)
	cmd := exec.CommandContext(ctx, line[0], line[1:]...)
	cmd.Dir = s.dir
	cmd.Env = slices.DeleteFunc(os.Environ(), func(v string) bool { return strings.HasPrefix(v, "RANKPOOL_") })
	cmd.Env = append(cmd.Env, mark, "RANKPOOL_BACKEND="+b.name, "RANKPOOL_MAX_WORKERS="+strconv.Itoa(workers))
	cmd.Env = append(cmd.Env, "GORACE=atexit_sleep_ms=20") // the race detector idles for a second at every exit
	cmd.Env = append(cmd.Env, s.env...)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	cmd.WaitDelay = testkit.Limit // workers share the output, so Wait does not return before they are gone

	err := cmd.Run()
	o := outcome{stdout.String(), stderr.String(), cmd.ProcessState.ExitCode(), 0, s.dir}
	if cmd.Process != nil {
		o.pid = cmd.Process.Pid
	}
	if ctx.Err() != nil {
		t.Errorf("%v did not end within %v", line, testkit.Limit)
	} else if exit := (*exec.ExitError)(nil); err != nil && !errors.As(err, &exit) {
		t.Errorf("%v: %v", line, err)
	}
	for _, pid := range withEnvironment(t, mark) {
		t.Errorf("process %d has outlived %v", pid, line)
		if p, err := os.FindProcess(pid); err == nil {
			t.Logf("killing it: %v", p.Kill())
		}
	}
	return o
}

// succeed is run for a program that is to end with status 0 and to complain about nothing.
func succeed(t *testing.T, b backend, s start) outcome {
	t.Helper()
	o := run(t, b, s)
	if o.code != 0 || o.stderr != "" {
		t.Fatalf("%s %q: exit status %d\nstdout:\n%s\nstderr:\n%s", s.example, s.args, o.code, o.stdout, o.stderr)
	}
	return o
}

// withEnvironment lists the processes that have a variable in their environment, where the system shows them.
func withEnvironment(t *testing.T, variable string) []int {
	t.Helper()
	if runtime.GOOS != "linux" {
		return nil
	}
	entries, err := os.ReadDir("/proc")
	if err != nil {
		t.Fatal(err)
	}
	var pids []int
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		// An error is a process that has ended meanwhile, or one of another user.
		environ, _ := os.ReadFile(filepath.Join("/proc", e.Name(), "environ"))
		if slices.Contains(strings.Split(string(environ), "\x00"), variable) {
			pids = append(pids, pid)
		}
	}
	return pids
}

var report = regexp.MustCompile(`(?m)^backend (\S+), workers (\d+), tasks (\d+), elapsed (\d\S*s)\n`)

// checkReport checks the line about the pool and returns the rest of the output.
func checkReport(t *testing.T, b backend, o outcome, tasks int) string {
	t.Helper()
	m := report.FindStringSubmatch(o.stdout)
	if m == nil {
		t.Fatalf("no line about the pool in:\n%s", o.stdout)
	}
	if m[1] != b.name || m[2] != strconv.Itoa(workers) || m[3] != strconv.Itoa(tasks) {
		t.Errorf("got %q, want backend %s, workers %d, tasks %d", m[0], b.name, workers, tasks)
	}
	if _, err := time.ParseDuration(m[4]); err != nil {
		t.Error(err)
	}
	return strings.Replace(o.stdout, m[0], "", 1)
}
