package proc_test

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

	"github.com/rankpool/rankpool/internal/link"
	"github.com/rankpool/rankpool/internal/link/proc"
)

// family tells a worker to start processes and returns their numbers.
func family(t *testing.T, g *proc.Group, w int, e events) (pids []int) {
	t.Helper()
	g.Send(w, link.Frame{})
	for s := range strings.FieldsSeq(string(e.frame(t).Stream)) {
		pid, err := strconv.Atoi(s)
		if err != nil {
			t.Fatal(err)
		}
		pids = append(pids, pid)
	}
	if len(pids) != 5 || slices.ContainsFunc(pids, gone) {
		t.Fatalf("the worker has started %v, want five that live", pids)
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

func allGone(pids []int) bool {
	return !slices.ContainsFunc(pids, func(pid int) bool { return !gone(pid) })
}

func TestWhatATaskHasStartedEndsWithItsWorkerHoweverThatEnds(t *testing.T) {
	for name, end := range map[string]func(*proc.Group, int){
		"killed by its master":     func(g *proc.Group, _ int) { g.Kill(0, errors.New("too slow")) },
		"killed by somebody else":  func(_ *proc.Group, pid int) { _ = syscall.Kill(pid, syscall.SIGKILL) },
		"left when it was told to": func(g *proc.Group, _ int) { g.Send(0, link.Frame{}) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Cleanup(proc.WaitForLineage(time.Second, patience/2)) // a stopped one does not end before it is killed
			g, e := acting(t, "family", proc.Config{Slots: 2})
			g.Start(1)
			first, second := family(t, g, 0, e), family(t, g, 1, e)
			end(g, g.Pid(0))
			e.loss(t)
			if !allGone(first) {
				t.Errorf("of %v some live", first)
			}
			if slices.ContainsFunc(second, gone) {
				t.Errorf("of %v, which another worker has started, some have ended", second)
			}
		})
	}
}

func TestWhatATaskHasStartedIsAskedToEndAtARegularEnd(t *testing.T) {
	trace := filepath.Join(t.TempDir(), "trace")
	t.Cleanup(proc.WaitForLineage(patience/4, patience/4))
	g, e := acting(t, "polite", proc.Config{Env: []string{traceVariable + "=" + trace}})
	g.Send(0, link.Frame{})
	e.frame(t)
	g.Send(0, link.Frame{})
	if l := e.loss(t); l.Err != nil {
		t.Fatal(l.Err)
	}
	if _, err := os.Stat(trace); err != nil {
		t.Errorf("it could not put its things in order: %v", err)
	}
}

func TestWhatTasksHaveStartedEndsWithAMasterThatIsKilled(t *testing.T) {
	for name, kill := range map[string]func(*exec.Cmd){
		"alone":                  func(m *exec.Cmd) { _ = m.Process.Kill() },
		"with its process group": func(m *exec.Cmd) { _ = syscall.Kill(-m.Process.Pid, syscall.SIGKILL) },
	} {
		t.Run(name, func(t *testing.T) {
			master, pids := doomed(t, "families")
			own, pids := pids[0], pids[1:]
			defer func() { _ = syscall.Kill(own, syscall.SIGKILL) }()
			if len(pids) != 10 || slices.ContainsFunc(pids, gone) {
				t.Fatalf("tasks have started %v, want ten that live", pids)
			}
			until(t, "the guardian", func() bool { return guardianOf(master.Process.Pid) != 0 })
			kill(master)
			until(t, "the end of what tasks have started", func() bool { return allGone(pids) })
			if name == "alone" && gone(own) {
				t.Error("what the master has started has ended as well")
			}
		})
	}
}

func TestAGuardianThatWasKilledIsReplacedWithTheNextWorker(t *testing.T) {
	g, e := acting(t, "idle", proc.Config{Slots: 2})
	e.frame(t)
	until(t, "the guardian", func() bool { return guardianOf(os.Getpid()) != 0 })
	old, ended := guardianOf(os.Getpid()), proc.GuardianEnded()
	if err := syscall.Kill(old, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	select {
	case <-ended: // a moment after the kernel has forgotten it
	case <-time.After(patience):
		t.Fatal("the guardian does not end")
	}
	g.Start(1)
	e.frame(t)
	until(t, "the next guardian", func() bool { return guardianOf(os.Getpid()) != 0 })
}

func TestTheGuardianEndsWithTheLastGroup(t *testing.T) {
	g, e := acting(t, "idle", proc.Config{})
	e.frame(t)
	other, e := acting(t, "idle", proc.Config{})
	e.frame(t)
	until(t, "the guardian", func() bool { return guardianOf(os.Getpid()) != 0 })
	if err := g.Close(context.Background()); err != nil {
		t.Fatal(err)
	}
	if guardianOf(os.Getpid()) == 0 {
		t.Error("it has ended with the first one")
	}
	if err := other.Close(context.Background()); err != nil {
		t.Fatal(err)
	}
	if pid := guardianOf(os.Getpid()); pid != 0 {
		t.Errorf("process %d remains", pid)
	}
}
