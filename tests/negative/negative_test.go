//go:build unix

// Package negative_test builds programs that are wrong and checks that each fails: soon, with the status and the words
// that tell its author what to repair, and with no process left.
package negative_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/rankpool/rankpool/internal/testkit"
)

var binaries string // the directory of the built programs

func TestMain(m *testing.M) {
	var err error
	if binaries, err = os.MkdirTemp("", "rankpool-negative-"); err == nil {
		// Without the race detector: what is looked at is how they end.
		build := exec.Command("go", "build", "-o", binaries+string(filepath.Separator), "./...")
		build.Stdout, build.Stderr = os.Stderr, os.Stderr
		err = build.Run()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.RemoveAll(binaries)
		os.Exit(1)
	}
	testkit.Main(m, func() { os.RemoveAll(binaries) })
}

var runs atomic.Int64

// run starts a program and returns how it ended. It fails the test when it does not end or leaves a process.
func run(t *testing.T, name string, args ...string) (status int, stdout, stderr string) {
	t.Helper()
	mark := fmt.Sprintf("NEGATIVE_RUN=%d-%d", os.Getpid(), runs.Add(1))
	ctx, cancel := context.WithTimeout(t.Context(), testkit.Limit)
	defer cancel()
	cmd := exec.CommandContext(ctx, filepath.Join(binaries, name), args...)
	cmd.Env = slices.DeleteFunc(os.Environ(), func(v string) bool { return strings.HasPrefix(v, "RANKPOOL_") })
	cmd.Env = append(cmd.Env, mark)
	var out, complaints bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &complaints
	cmd.WaitDelay = testkit.Limit
	err := cmd.Run()
	if exit := (*exec.ExitError)(nil); err != nil && !errors.As(err, &exit) || ctx.Err() != nil {
		t.Errorf("%s: %v", name, err)
	}
	for end := time.Now().Add(testkit.Limit); ; time.Sleep(2 * time.Millisecond) {
		left := marked(mark)
		if len(left) == 0 {
			break
		}
		if time.Now().After(end) {
			for _, pid := range left {
				t.Errorf("process %d has outlived %s", pid, name)
				_ = syscall.Kill(pid, syscall.SIGKILL)
			}
			break
		}
	}
	return cmd.ProcessState.ExitCode(), out.String(), complaints.String()
}

// marked lists the processes that have a variable in their environment, where the system shows them.
func marked(variable string) []int {
	if runtime.GOOS != "linux" {
		return nil
	}
	var all []int
	entries, _ := os.ReadDir("/proc")
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		// An error is a process that has ended meanwhile, or one of another user.
		environ, _ := os.ReadFile(filepath.Join("/proc", e.Name(), "environ"))
		if slices.Contains(strings.Split(string(environ), "\x00"), variable) {
			all = append(all, pid)
		}
	}
	return all
}

func TestWrongProgramsFailAndSayWhatToMend(t *testing.T) {
	for _, tt := range []struct {
		name   string
		args   []string
		status int
		want   []string
	}{
		{name: "forgotten", status: 1, want: []string{"futures.Main has not been called", "call it first thing in main", "futures.TestMain"}},
		{name: "early", status: 1, want: []string{"futures.Main has not been called", "call it first thing in main"}},
		{name: "executorbeforemain", status: 1, want: []string{
			"NewProcessPoolExecutor was reached in a worker process before futures.Main", "this belongs into the function that Main is given",
			"the pool is broken: worker", "exit status 1"}},
		{name: "journalbeforemain", args: []string{filepath.Join(t.TempDir(), "journal")}, status: 1, want: []string{
			"journal.Open was reached in a worker process before futures.Main", "this belongs into the function that Main is given",
			"the pool is broken: worker", "exit status 1"}},
		{name: "workerleaves", status: 1, want: []string{"the pool is broken: worker", "ended before it served", "without calling futures.Main"}},
		{name: "workerleaves", args: []string{"x"}, status: 1, want: []string{"the pool is broken: worker", "exit status 1, before futures.Main; what a program does before that", "standard error"}},
		{name: "workerhangs", status: 1, want: []string{"the pool is broken: worker", "not ready after 300ms", "has not reached futures.Main", "WithStartTimeout"}},
		{name: "duplicate", status: 2, want: []string{`"twice"`, "duplicate/main.go:11", "duplicate/main.go:12"}},
		{name: "emptyname", status: 2, want: []string{"emptyname/main.go:10", "name"}},
		{name: "nilfunction", status: 2, want: []string{`Register("nothing")`, "the function is nil"}},
		{name: "unencodable", status: 2, want: []string{`"do"`, "unencodable/main.go:17", "Parts", "Done", "chan bool"}},
		{name: "reused", status: 1, want: []string{"first failed on worker 0", "its argument was written to", "WithSnapshot"}},
		{name: "spmdmain", status: 1, want: []string{"futures.Main was called", "spmdmain/main.go:23", "package spmd", "call spmd.Main", "leave the import out"}},
		{name: "late", status: 1, want: []string{`"late"`, "too late", "late/main.go:12", "late/main.go:11", "package-level variable"}},
	} {
		t.Run(strings.Join(append([]string{tt.name}, tt.args...), " "), func(t *testing.T) {
			status, stdout, stderr := run(t, tt.name, tt.args...)
			if status != tt.status || stdout != "" {
				t.Errorf("status %d, output %q, want %d and nothing", status, stdout, tt.status)
			}
			for _, w := range tt.want {
				if !strings.Contains(stderr, w) {
					t.Errorf("nothing says %q", w)
				}
			}
			first, _, _ := strings.Cut(stderr, "\n\n")
			t.Logf("it says:\n%s", first)
		})
	}
}

func TestAWorkerBuiltFromOtherSourceIsRefusedWithTheDifference(t *testing.T) {
	status, stdout, stderr := run(t, "master", filepath.Join(binaries, "worker"))
	if status != 1 || stdout != "" {
		t.Errorf("status %d, output %q, want 1 and nothing", status, stdout)
	}
	for _, w := range []string{"worker", "runs a different program", "onlyMaster", "more differences", "same executable",
		"- only the master has  onlyMaster(int) int", "+ only the worker has  onlyWorker(int) int", "~ differs  inc: master (int) int, worker (int64) int", "~ build"} {
		if !strings.Contains(stderr, w) {
			t.Errorf("nothing says %q", w)
		}
	}
	t.Logf("it says:\n%s", stderr)
}

// The same names and types do not make the same program.
func TestAWorkerOfAnotherBuildIsRefused(t *testing.T) {
	other := filepath.Join(t.TempDir(), "other")
	build := exec.Command("go", "build", "-o", other, "-ldflags=-X=main.unused=1", "-gcflags=-N", "./mismatch/master")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	status, _, stderr := run(t, "master", other)
	if status != 1 || !strings.Contains(stderr, "runs a different program: build") {
		t.Errorf("status %d, want 1 and a complaint about the build:\n%s", status, stderr)
	}
	t.Logf("it says:\n%s", stderr)
}

func TestTheRaceDetectorNamesWhoeverWritesToASliceThatHasNotLeft(t *testing.T) {
	if !testkit.Race {
		t.Skip("what this builds needs the race detector; make race runs it")
	}
	build := exec.Command("go", "build", "-race", "-o", filepath.Join(binaries, "raced"), "./reused")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	status, _, stderr := run(t, "raced")
	if status == 0 {
		t.Error("the program ended with success")
	}
	for _, w := range []string{"WARNING: DATA RACE", "reused/main.go:50"} {
		if !strings.Contains(stderr, w) {
			t.Errorf("nothing says %q:\n%s", w, stderr)
		}
	}
}
