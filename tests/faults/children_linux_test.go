package faults_test

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rankpool/rankpool/futures"
	"github.com/rankpool/rankpool/pool"
)

// ways are how a task may run a program.
var ways = []string{"plainly", "with its context", "with its context and a limit"}

// kept reads the numbers that tool has written, of a shell and its child, once both are there.
func kept(t *testing.T, dir string) (pids []int) {
	t.Helper()
	for _, name := range []string{"shell", "child"} {
		until(t, "the "+name, func() bool {
			b, _ := os.ReadFile(filepath.Join(dir, name))
			pid, err := strconv.Atoi(strings.TrimSpace(string(b)))
			if err != nil || !strings.HasSuffix(string(b), "\n") {
				return false
			}
			pids = append(pids, pid)
			return true
		})
	}
	t.Cleanup(func() {
		for _, pid := range pids {
			if !gone(pid) {
				_ = syscall.Kill(pid, syscall.SIGKILL)
			}
		}
	})
	return pids
}

func endOf(t *testing.T, pids []int) {
	t.Helper()
	until(t, "the end of what the task has started", func() bool {
		return !slices.ContainsFunc(pids, func(pid int) bool { return !gone(pid) })
	})
}

func TestWhatATaskHasStartedEndsWithItsTime(t *testing.T) {
	for _, way := range ways {
		t.Run(way, func(t *testing.T) {
			ex := processes.open(t, futures.WithMaxWorkers(1))
			worker := booted(t, ex)
			helper := t.TempDir()
			if _, err := submit(t, ex, tool, futures.Pair[string, string]{First: "as a helper", Second: helper}).Result(limited(t)); err != nil {
				t.Fatal(err)
			}
			before := kept(t, helper)
			dir := t.TempDir()
			f := submit(t, ex, tool, futures.Pair[string, string]{First: way, Second: dir}, futures.WithTaskTimeout(3*time.Second)) // in which the shell has come up
			pids := kept(t, dir)
			if err := failure(t, f); way != ways[2] && !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("the task: %v", err)
			}
			endOf(t, pids)
			if !gone(worker[0]) && gone(before[1]) {
				t.Error("what an earlier task of the same worker has left has ended as well")
			}
			if (way == ways[2]) == gone(worker[0]) {
				t.Errorf("the worker has ended: %v", gone(worker[0]))
			}
			closeWithin(t, ex)
			endOf(t, before)
		})
	}
}

func TestWhatATaskHasStartedEndsWithItsWorker(t *testing.T) {
	for _, way := range ways {
		t.Run(way, func(t *testing.T) {
			ex := processes.open(t, futures.WithMaxWorkers(2))
			worker := booted(t, ex)
			dir, other := t.TempDir(), t.TempDir()
			f := submit(t, ex, tool, futures.Pair[string, string]{First: way, Second: dir})
			pids := kept(t, dir)
			submit(t, ex, tool, futures.Pair[string, string]{First: way, Second: other})
			others := kept(t, other)
			signalTo(t, worker[0], syscall.SIGKILL)
			if err := failure(t, f); !errors.Is(err, futures.ErrBroken) {
				t.Errorf("the task: %v", err)
			}
			endOf(t, pids)
			if slices.ContainsFunc(others, gone) {
				t.Error("what a task of another worker has started has ended as well")
			}
			signalTo(t, worker[1], syscall.SIGKILL)
		})
	}
}

func TestWhatATaskHasStartedEndsWithTerminate(t *testing.T) {
	for _, way := range ways {
		t.Run(way, func(t *testing.T) {
			p, err := pool.New(pool.WithProcesses(1))
			if err != nil {
				t.Fatal(err)
			}
			dir := t.TempDir()
			if _, err := pool.ApplyAsync(p, tool, futures.Pair[string, string]{First: way, Second: dir}); err != nil {
				t.Fatal(err)
			}
			pids := kept(t, dir)
			p.Terminate()
			endOf(t, pids)
			if err := p.Join(limited(t)); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestWhatTasksHaveStartedEndsWithTheMasterAndWhatItHasStartedStays(t *testing.T) {
	p := role(t, true, "with programs")
	var pids []int
	for _, way := range ways[:2] {
		pids = append(pids, kept(t, filepath.Join(p.dir, way))...)
	}
	b, err := os.ReadFile(filepath.Join(p.dir, "own"))
	own, wrong := strconv.Atoi(string(b))
	if err != nil || wrong != nil {
		t.Fatal(err, wrong)
	}
	defer func() { _ = syscall.Kill(own, syscall.SIGKILL) }()
	signalTo(t, p.cmd.Process.Pid, syscall.SIGKILL)
	endOf(t, pids)
	p.leavesNothing()
	if gone(own) {
		t.Error("what the master has started has ended")
	}
}

func TestAJobIsStoppedAndGoesOn(t *testing.T) {
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	// In a process group of its own, as a shell with job control has it.
	p := launch(t, true, &exec.Cmd{Path: exe, Args: []string{exe}, SysProcAttr: &syscall.SysProcAttr{Setpgid: true}}, roleVariable+"=waiting")
	leader := p.cmd.Process.Pid
	all := append([]int{leader}, p.workers...)
	if err := syscall.Kill(-leader, syscall.SIGTSTP); err != nil {
		t.Fatal(err)
	}
	until(t, "the stop of all processes", func() bool {
		return !slices.ContainsFunc(all, func(pid int) bool { return state(pid) != "T" })
	})
	if err := syscall.Kill(-leader, syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(p.dir, "go"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if s := p.status(); s != 0 {
		t.Errorf("status %d", s)
	}
	p.leavesNothing()
}

func TestTimeoutEndsAProgramWithItsWorkers(t *testing.T) {
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	timeout, err := exec.LookPath("timeout")
	if err != nil {
		t.Skip(err)
	}
	p := launch(t, true, exec.Command(timeout, "3", exe), roleVariable+"=waiting")
	if s := p.status(); s != 124 {
		t.Errorf("status %d", s)
	}
	p.leavesNothing()
}

// state returns the letter that /proc has for a process.
func state(pid int) string {
	stat, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "stat"))
	if err != nil {
		return ""
	}
	_, rest, _ := strings.Cut(string(stat), ") ")
	return rest[:min(1, len(rest))]
}

func TestASignalToTheWholeGroupThatTheMasterHandlesCostsNoWorker(t *testing.T) {
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	p := launch(t, true, &exec.Cmd{Path: exe, Args: []string{exe}, SysProcAttr: &syscall.SysProcAttr{Setpgid: true}}, roleVariable+"=handling signals")
	for _, s := range handled {
		if err := syscall.Kill(-p.cmd.Process.Pid, s); err != nil {
			t.Fatal(err)
		}
	}
	if s := p.status(); s != 0 {
		t.Errorf("status %d", s)
	}
	stdout, _ := p.leavesNothing()
	says(t, stdout, "told: hangup", "told: quit", "told: user defined signal 2", "lost: 0")
}
