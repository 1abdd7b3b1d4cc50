package command_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// Two users and a group that both are in.
const (
	victim = 61001 + iota
	attacker
	group
)

// users are a folder that two users see, with what they run.
type users struct{ base string }

// apart skips a test that needs other users, or prepares for them.
func apart(t *testing.T) users {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root, who can be any user")
	}
	u := users{t.TempDir()}
	if err := os.Chmod(filepath.Dir(u.base), 0o755); err != nil {
		t.Fatal(err)
	}
	bin := u.folder(t, "bin", 0, 0, 0o755)
	for name, args := range map[string][]string{
		"good": {"./testdata/word"}, "evil": {"-ldflags", "-X main.word=evil", "./testdata/word"}, "exchanger": {"./testdata/exchanger"},
	} {
		if out, err := exec.Command("go", append([]string{"build", "-o", filepath.Join(bin, name)}, args...)...).CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
	}
	// A go command that "builds" at once, and then waits for the attacker.
	script := `#!/bin/sh
[ "$1" = env ] && echo /x/go.mod && exit
while [ "$1" != -o ]; do shift; done
cp "$BASE/bin/good" "$2" && : >"$BASE/signals/built" || exit 1
n=0; while [ ! -e "$BASE/signals/tried" ] && [ $n -lt 600 ]; do sleep 0.1; n=$((n+1)); done
`
	text := read(t, rankpool)
	for name, text := range map[string]string{"bin/rankpool": text, "bin/go": script, "x.go": "package main\n"} {
		if err := os.WriteFile(filepath.Join(u.base, name), []byte(text), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	u.folder(t, "signals", 0, 0, 0o1777)
	u.folder(t, "tmp", 0, 0, 0o1777)
	return u
}

// folder makes a folder.
func (u users) folder(t *testing.T, name string, uid, gid int, mode uint32) string {
	t.Helper()
	path := filepath.Join(u.base, name)
	if err := errors.Join(os.MkdirAll(path, 0o755), os.Chown(path, uid, gid), syscall.Chmod(path, mode)); err != nil {
		t.Fatal(err)
	}
	return path
}

// as returns a program that one of the users runs.
func (u users) as(ctx context.Context, uid uint32, name string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, filepath.Join(u.base, "bin", name), args...)
	cmd.Dir = u.base
	cmd.Env = []string{"BASE=" + u.base, "PATH=" + filepath.Join(u.base, "bin") + ":/usr/bin:/bin", "TMPDIR=" + filepath.Join(u.base, "tmp")}
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Credential: &syscall.Credential{Uid: uid, Gid: uid, Groups: []uint32{group}}, Pdeathsig: syscall.SIGKILL,
	}
	cmd.WaitDelay = 10 * time.Second
	return cmd
}

// attack starts the attacker. It exchanges what the victim makes in folders. said is what the attacker says; over ends the attack and returns
// all of it.
func (u users) attack(t *testing.T, what []string, watched ...string) (said, over func() string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	cmd := u.as(ctx, attacker, "exchanger", append(append([]string{fmt.Sprint(victim), filepath.Join(u.base, "signals")}, what...), watched...)...)
	var out output
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := false
	over = func() string {
		if !ended {
			ended = true
			cancel()
			_ = cmd.Wait()
		}
		return out.String()
	}
	t.Cleanup(func() { over() })
	return out.String, over
}

// run has the victim run the command, in a job of its own unless rank and size say otherwise.
func (u users) run(t *testing.T, dir string, env []string, args ...string) (status int, said string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	cmd := u.as(ctx, victim, "rankpool", append(append([]string{"exec", "--mpi", "none"}, args...), filepath.Join(u.base, "x.go"))...)
	cmd.Dir, cmd.Env = dir, append(cmd.Env, env...)
	out, err := cmd.CombinedOutput()
	if exit := (*exec.ExitError)(nil); err != nil && !errors.As(err, &exit) || ctx.Err() != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return cmd.ProcessState.ExitCode(), string(out)
}

// job is what a rank sees of a job.
func job(rank, size int) []string {
	return []string{fmt.Sprintf("OMPI_COMM_WORLD_SIZE=%d", size), fmt.Sprintf("OMPI_COMM_WORLD_RANK=%d", rank), "PMIX_NAMESPACE=1"}
}

func TestWithoutAHomeNobodyElsesProgramIsRun(t *testing.T) {
	u := apart(t)
	tmp := filepath.Join(u.base, "tmp")
	// The name that was used once, made by the attacker.
	old := u.folder(t, fmt.Sprintf("tmp/rankpool-%d", victim), attacker, attacker, 0o777)
	_, over := u.attack(t, []string{"program", filepath.Join(u.base, "bin", "evil")}, old, tmp)
	status, said := u.run(t, u.base, nil)
	if want := fmt.Sprintf("good code runs as %d\n", victim); status != 0 || said != want {
		t.Errorf("status %d:\n%s", status, said)
	}
	if tries := over(); strings.Contains(tries, "<nil>") || strings.Count(tries, "operation not permitted") < 2 {
		t.Errorf("the attacker, who should have failed with at least two folders:\n%s", tries)
	}
	eventually(t, "what was built is gone", func() bool {
		left, _ := filepath.Glob(filepath.Join(tmp, "rankpool-*-*"))
		return len(left) == 0
	})
}

func TestInAFolderThatAGroupMayWriteToNobodysProgramIsRun(t *testing.T) {
	u := apart(t)
	shared := u.folder(t, "shared", 0, group, 0o2775)
	for name, tt := range map[string]struct {
		dir  string
		env  []string
		args []string
	}{
		"by the option":            {u.base, nil, []string{"--dir", shared}},
		"below it":                 {u.base, nil, []string{"--dir", filepath.Join(shared, "mine")}},
		"a rank":                   {u.base, job(0, 2), []string{"--dir", shared, "--wait", "3m"}},
		"a rank, by the folder":    {shared, job(0, 2), []string{"--wait", "3m"}},
		"another, by the variable": {shared, append(job(1, 2), "RANKPOOL_RUN_DIR="+shared), []string{"--wait", "3m"}},
		"for temporary files":      {u.base, []string{"TMPDIR=" + shared}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			u.attack(t, []string{"program", filepath.Join(u.base, "bin", "evil")}, shared)
			status, said := u.run(t, tt.dir, tt.env, tt.args...)
			if status != 1 || strings.Contains(said, "code runs as") {
				t.Errorf("status %d:\n%s", status, said)
			}
			for _, want := range []string{shared + " may be written to by its group", "--dir", "RANKPOOL_RUN_DIR"} {
				if !strings.Contains(said, want) {
					t.Errorf("nothing says %q:\n%s", want, said)
				}
			}
		})
	}
}

func TestAFolderThatIsExchangedForALinkLosesNothing(t *testing.T) {
	u := apart(t)
	shared := u.folder(t, "shared", 0, group, 0o2775)
	thesis := u.folder(t, "thesis", victim, victim, 0o755)
	files := []string{"thesis.tex", "data.csv", "results/1", "program", "lock", "hello.1", "outcome"}
	for _, name := range files {
		u.folder(t, filepath.Dir("thesis/"+name), victim, victim, 0o755)
		path := filepath.Join(thesis, name)
		if err := errors.Join(os.WriteFile(path, []byte("work"), 0o600), os.Chown(path, victim, victim)); err != nil {
			t.Fatal(err)
		}
	}
	// Many old folders, which take their time to remove.
	long := time.Now().Add(-time.Hour)
	for i := range 200 {
		path := u.folder(t, fmt.Sprintf("shared/job-%024x", i), victim, victim, 0o700)
		if err := errors.Join(os.WriteFile(filepath.Join(path, "lock"), nil, 0o666), os.Chtimes(path, long, long)); err != nil {
			t.Fatal(err)
		}
	}
	tried, over := u.attack(t, []string{"link", thesis}, shared)
	for range 5 {
		status, said := u.run(t, u.base, job(0, 2), "--dir", shared, "--wait", "3m")
		if status != 1 || !strings.Contains(said, shared+" may be written to by its group") {
			t.Errorf("status %d:\n%s", status, said)
		}
	}
	eventually(t, "the attacker has exchanged something", func() bool { return strings.Contains(tried(), "<nil>") })
	over()
	for _, name := range files {
		if text, err := os.ReadFile(filepath.Join(thesis, name)); err != nil || string(text) != "work" {
			t.Errorf("%s: %q, %v", name, text, err)
		}
	}
}
