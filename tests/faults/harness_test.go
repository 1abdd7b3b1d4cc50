//go:build unix

package faults_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/rankpool/rankpool/futures"
	"github.com/rankpool/rankpool/internal/testkit"
)

// patience bounds every wait of a test.
var patience = testkit.Limit

type backend struct {
	name  string
	apart bool // workers are processes
	make  func(t *testing.T, opts ...futures.Option) (futures.Executor, error)
}

var processes = backend{"processes", true, func(_ *testing.T, opts ...futures.Option) (futures.Executor, error) {
	return futures.NewProcessPoolExecutor(opts...)
}}

var backends = []backend{
	processes,
	{"threads", false, func(t *testing.T, opts ...futures.Option) (futures.Executor, error) {
		t.Setenv("RANKPOOL_BACKEND", "threads")
		return futures.NewMPIPoolExecutor(opts...)
	}},
	{"shared", false, func(_ *testing.T, opts ...futures.Option) (futures.Executor, error) {
		return futures.NewThreadPoolExecutor(opts...)
	}},
}

func onEveryBackend(t *testing.T, test func(t *testing.T, b backend)) {
	t.Helper()
	for _, b := range backends {
		t.Run(b.name, func(t *testing.T) { test(t, b) })
	}
}

// open returns an executor that is closed, with nothing left of it, when the test ends.
func (b backend) open(t *testing.T, opts ...futures.Option) futures.Executor {
	t.Helper()
	ex, err := b.make(t, opts...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { closeWithin(t, ex) })
	return ex
}

// closeWithin closes an executor and looks for processes that outlived it.
func closeWithin(t *testing.T, ex futures.Executor) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := ex.Shutdown(ctx); err != nil && !errors.Is(err, futures.ErrBroken) {
		t.Error(err)
	}
	noProcess(t, markVariable+"="+os.Getenv(markVariable))
}

func limited(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	t.Cleanup(cancel)
	return ctx
}

func submit[A, R any](t *testing.T, ex futures.Executor, fn futures.Func[A, R], arg A, opts ...futures.TaskOption) *futures.Future[R] {
	t.Helper()
	f, err := futures.Submit(ex, fn, arg, opts...)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// failure waits for a future that must fail and returns its error.
func failure[R any](t *testing.T, f *futures.Future[R]) error {
	t.Helper()
	taskErr, waitErr := f.Exception(limited(t))
	if waitErr != nil {
		t.Fatal(waitErr)
	}
	if taskErr == nil {
		t.Fatal("the task succeeded")
	}
	return taskErr
}

// says checks that an error, or an output, tells a user all of this.
func says(t *testing.T, got any, want ...string) {
	t.Helper()
	text := ""
	switch got := got.(type) {
	case error:
		text = got.Error()
	case string:
		text = got
	case nil:
		t.Error("no error")
		return
	}
	for _, w := range want {
		if !strings.Contains(text, w) {
			t.Errorf("nothing says %q in: %s", w, text)
		}
	}
	if _, isError := got.(error); isError {
		t.Logf("the error: %s", text)
	}
}

// works checks that an executor has survived: every worker of it computes.
func works(t *testing.T, ex futures.Executor) {
	t.Helper()
	var fs []*futures.Future[int]
	for i := range 100 {
		fs = append(fs, submit(t, ex, inc, i))
	}
	for i, f := range fs {
		if y, err := f.Result(limited(t)); err != nil || y != i+1 {
			t.Fatalf("inc(%d) = %d, %v", i, y, err)
		}
	}
}

// until waits for what no event tells, such as the end of a process that is not ours.
func until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	testkit.Until(t, what, ok)
}

// pids returns the processes of the workers, 0 for one that is starting.
func pids(ex futures.Executor) []int {
	var all []int
	for _, w := range ex.Stats().Workers {
		all = append(all, w.Pid)
	}
	return all
}

// booted starts an executor and returns the processes of its workers.
func booted(t *testing.T, ex futures.Executor) []int {
	t.Helper()
	if err := ex.Bootup(limited(t)); err != nil {
		t.Fatal(err)
	}
	return pids(ex)
}

// whole waits until a pool has n living workers, none of them the lost ones.
func whole(t *testing.T, ex futures.Executor, n int, lost ...int) {
	t.Helper()
	until(t, "the pool at its full size", func() bool {
		all := pids(ex)
		for i, pid := range all {
			if pid == 0 || gone(pid) || slices.Contains(lost, pid) || slices.Contains(all[:i], pid) {
				return false
			}
		}
		return len(all) == n
	})
	if got, err := ex.NumWorkers(limited(t)); err != nil || got != n {
		t.Errorf("NumWorkers = %d, %v, want %d", got, err, n)
	}
}

func signalTo(t *testing.T, pid int, s syscall.Signal) {
	t.Helper()
	if err := syscall.Kill(pid, s); err != nil {
		t.Fatal(err)
	}
	if s == syscall.SIGSTOP { // a thread that runs on another processor goes on for a moment
		until(t, "the stop of all threads", func() bool { return stopped(pid) })
	}
}

// stopped tells whether no thread of a process runs, where the system says.
func stopped(pid int) bool {
	threads, _ := filepath.Glob(filepath.Join("/proc", strconv.Itoa(pid), "task", "*", "stat"))
	return !slices.ContainsFunc(threads, func(name string) bool {
		stat, err := os.ReadFile(name)
		_, state, _ := strings.Cut(string(stat), ") ")
		return err == nil && !strings.HasPrefix(state, "T")
	})
}

// gone tells whether a process has ended; one that nobody has reaped yet has.
func gone(pid int) bool {
	if errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) {
		return true
	}
	stat, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "stat"))
	if err != nil { // there is no /proc, or somebody has waited for it meanwhile
		return errors.Is(syscall.Kill(pid, 0), syscall.ESRCH)
	}
	_, state, _ := strings.Cut(string(stat), ") ")
	return strings.HasPrefix(state, "Z")
}

// marked lists the processes that have a variable in their environment, this one not among them, where the system shows
// them.
func marked(variable string) []int {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil
	}
	var all []int
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil || pid == os.Getpid() {
			continue
		}
		// An error is a process that has ended meanwhile, or one of another user.
		environ, _ := os.ReadFile(filepath.Join("/proc", e.Name(), "environ"))
		if slices.Contains(strings.Split(string(environ), "\x00"), variable) && !gone(pid) {
			all = append(all, pid)
		}
	}
	return all
}

// guardian is how the guardian of this process is called.
func guardian() string { return fmt.Sprintf("rankpool-guard of process %d\x00", os.Getpid()) }

// noProcess fails the test, and ends them, when there are processes with a variable in their environment.
func noProcess(t *testing.T, variable string) {
	t.Helper()
	// The guardian of a program that has ended without closing its executors ends a moment later.
	until(t, "the end of guardians", func() bool {
		return !slices.ContainsFunc(marked(variable), func(pid int) bool {
			line, _ := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "cmdline"))
			return strings.HasPrefix(string(line), "rankpool-guard") && !strings.HasPrefix(string(line), guardian())
		})
	})
	for _, pid := range marked(variable) {
		if line, _ := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "cmdline")); strings.HasPrefix(string(line), guardian()) {
			continue // this program's own, which has an executor open
		}
		line, _ := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "cmdline"))
		t.Errorf("process %d remains: %q", pid, line)
		_ = syscall.Kill(pid, syscall.SIGKILL)
	}
}
