//go:build unix

package command_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

func TestTheStatusIsTheProgramsOwn(t *testing.T) {
	start("run", greet, "fail").run(t).expect(t, 1, "told to fail")
	start("run", greet, "panic").run(t).expect(t, 1, "told to panic", "goroutine ")
	start("exec", "-c", "os.Exit(7)").run(t).expect(t, 7)
}

func TestAnInterruptEndsWith130(t *testing.T) {
	for _, tt := range []struct {
		signal syscall.Signal
		status int
	}{{syscall.SIGINT, 130}, {syscall.SIGTERM, 143}} {
		c := start("run", greet, "wait")
		c.started = func(cmd *exec.Cmd, out *output) {
			eventually(t, "the program waits", func() bool { return strings.Contains(out.String(), "waiting") })
			_ = cmd.Process.Signal(tt.signal)
		}
		r := c.run(t)
		r.expect(t, tt.status)
		tidied(t, r.folder)
	}
}

// slowGo is a go command that never ends by itself.
func slowGo(t *testing.T) (path string, begun string) {
	t.Helper()
	dir := t.TempDir()
	begun = filepath.Join(dir, "begun")
	script := "#!/bin/sh\n[ \"$1\" = env ] && echo /x/go.mod && exit\n: >" + begun + "\nexec sleep 1000\n"
	if err := os.WriteFile(filepath.Join(dir, "go"), []byte(script), 0o700); err != nil {
		t.Fatal(err)
	}
	return "PATH=" + dir + ":" + os.Getenv("PATH"), begun
}

func TestAnInterruptWhileBuildingEndsWith130(t *testing.T) {
	path, begun := slowGo(t)
	c := start("run", greet)
	c.env = []string{path}
	c.started = func(cmd *exec.Cmd, _ *output) {
		eventually(t, "the build has begun", func() bool { _, err := os.Stat(begun); return err == nil })
		_ = cmd.Process.Signal(os.Interrupt)
	}
	r := c.run(t)
	r.expect(t, 130, "ended by signal: interrupt")
	tidied(t, r.folder)
}

func TestAnInterruptEndsACommandThatReadsItsProgram(t *testing.T) {
	read, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer write.Close()
	defer read.Close()
	scratch := t.TempDir()
	c := start("run", "-")
	c.input, c.env = read, []string{"TMPDIR=" + scratch}
	c.started = func(cmd *exec.Cmd, _ *output) {
		eventually(t, "the build has begun", func() bool { made, err := os.ReadDir(scratch); return err == nil && len(made) > 0 })
		_ = cmd.Process.Signal(os.Interrupt)
	}
	r := c.run(t)
	r.expect(t, 130, "ended by signal: interrupt")
	if left, err := os.ReadDir(scratch); err != nil || len(left) > 0 {
		t.Errorf("%v is left, %v", left, err)
	}
	tidied(t, r.folder)
}

func TestWhatWasBuiltIsRemovedHoweverTheProgramEnds(t *testing.T) {
	c := start("run", greet, "wait")
	c.started = func(cmd *exec.Cmd, out *output) {
		eventually(t, "the program waits", func() bool { return strings.Contains(out.String(), "waiting") })
		if left, err := os.ReadDir(cmdFolder(cmd)); err != nil || len(left) != 1 {
			t.Errorf("while the program runs there are %d folders (%v)", len(left), err)
		}
		_ = cmd.Process.Kill()
	}
	r := c.run(t)
	r.expect(t, -1)
	tidied(t, r.folder)
}

// cmdFolder is where a command builds.
func cmdFolder(cmd *exec.Cmd) string {
	for _, v := range cmd.Env {
		if dir, ok := strings.CutPrefix(v, "RANKPOOL_RUN_DIR="); ok {
			return dir
		}
	}
	return ""
}

func TestWhatAKilledCommandHasLeftIsRemovedByTheNext(t *testing.T) {
	path, begun := slowGo(t)
	c := start("run", greet)
	c.env = []string{path}
	c.started = func(cmd *exec.Cmd, _ *output) {
		eventually(t, "the build has begun", func() bool { _, err := os.Stat(begun); return err == nil })
		killTree(cmd.Process.Pid)
	}
	r := c.run(t)
	left, err := os.ReadDir(r.folder)
	if err != nil || len(left) != 1 {
		t.Fatalf("%d folders are left (%v): this test wants one", len(left), err)
	}
	long := time.Now().Add(-time.Hour)
	if err := os.Chtimes(filepath.Join(r.folder, left[0].Name()), long, long); err != nil {
		t.Fatal(err)
	}
	next := start("exec", "-c", "fmt.Println(1)")
	next.folder = r.folder
	next.run(t).expect(t, 0)
	tidied(t, r.folder)
}

// killTree kills a process and, where the system lists them, its children.
func killTree(pid int) {
	lists, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", pid))
	var children []string
	for _, list := range lists {
		some, _ := os.ReadFile(list)
		children = append(children, strings.Fields(string(some))...)
	}
	_ = syscall.Kill(pid, syscall.SIGKILL)
	for _, child := range children {
		if n, err := strconv.Atoi(child); err == nil {
			_ = syscall.Kill(n, syscall.SIGKILL)
		}
	}
}
