package proc_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/rankpool/rankpool/internal/link/proc"
)

func TestAWorkerIsCalledAfterTheProgramAndDiesForItsMaster(t *testing.T) {
	g, e := acting(t, "named", proc.Config{Slots: 2})
	e.frame(t)
	g.Start(1)
	name := filepath.Base(os.Args[0])
	if want := name[:min(len(name), 13)] + ":1\n1000\n"; want != string(e.frame(t).Stream) {
		t.Errorf("the worker's name and what it is offered for are not %q", want)
	}
}

func TestAWorkerCannotTakeTheSharedMemoryAway(t *testing.T) {
	_, e := acting(t, "shrink", proc.Config{})
	if said := string(e.frame(t).Stream); !strings.Contains(said, "operation not permitted") {
		t.Errorf("truncating it says %s", said)
	}
}

func TestAWorkerThatHasChangedItsUserEndsWithItsMaster(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("needs root to change the user")
	}
	master, pids := doomed(t, "dropped")
	guardian, worker := pids[0], pids[1]
	if err := syscall.Kill(guardian, syscall.SIGKILL); err != nil { // which would end it too
		t.Fatal(err)
	}
	defer func() { _ = syscall.Kill(worker, syscall.SIGKILL) }()
	if gone(worker) {
		t.Fatal("the worker has ended")
	}
	_ = master.Process.Kill()
	until(t, "the end of the worker", func() bool { return gone(worker) })
}

// A lease holds up whoever opens the file, as a file system does that does not answer.
func TestAStartThatHangsIsGivenUpAndBlocksNoOtherPool(t *testing.T) {
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	program, err := os.ReadFile(exe)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "program")
	if err := os.WriteFile(path, program, 0o700); err != nil {
		t.Fatal(err)
	}
	file, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if _, err := unix.FcntlInt(file.Fd(), unix.F_SETLEASE, unix.F_WRLCK); err != nil {
		t.Skipf("this file system has no leases: %v", err)
	}
	before := children(t)
	hangs, e := acting(t, "idle", proc.Config{Executable: path})
	other, works := acting(t, "idle", proc.Config{})
	works.frame(t)
	late := errors.New("it was not ready in time")
	hangs.Kill(0, late)
	if l := e.loss(t); !errors.Is(l.Err, late) || !l.Proof {
		t.Errorf("the loss is %v with proof %v, want the cause", l.Err, l.Proof)
	}
	hangs.Start(0) // the next one hangs as well, and does not keep the group from closing
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := hangs.Close(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("Close = %v", err)
	}
	e.loss(t)
	if _, err := unix.FcntlInt(file.Fd(), unix.F_SETLEASE, unix.F_UNLCK); err != nil {
		t.Fatal(err)
	}
	if err := other.Close(context.Background()); err != nil {
		t.Fatal(err)
	}
	until(t, "nothing comes up after all", func() bool { // but what was there before may end
		return !slices.ContainsFunc(children(t), func(pid int) bool { return !slices.Contains(before, pid) })
	})
}

// children lists the children of this process.
func children(t *testing.T) (pids []int) {
	t.Helper()
	lists, err := filepath.Glob("/proc/self/task/*/children")
	if err != nil || len(lists) == 0 {
		t.Skip("this kernel does not tell a process's children")
	}
	for _, path := range lists {
		list, _ := os.ReadFile(path)
		for s := range strings.FieldsSeq(string(list)) {
			pid, _ := strconv.Atoi(s)
			pids = append(pids, pid)
		}
	}
	slices.Sort(pids)
	return pids
}
