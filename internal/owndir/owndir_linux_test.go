package owndir_test

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/rankpool/rankpool/internal/owndir"
	"github.com/rankpool/rankpool/internal/testkit"
)

// racing has this program be another user who exchanges two names without end.
const racing = "_RANKPOOL_TEST_EXCHANGE"

func TestMain(m *testing.M) {
	if names := strings.Split(os.Getenv(racing), ":"); len(names) == 2 {
		for n := 0; ; n++ {
			err := unix.Renameat2(unix.AT_FDCWD, names[0], unix.AT_FDCWD, names[1], unix.RENAME_EXCHANGE)
			if n == 0 {
				fmt.Println("tried:", err)
			}
		}
	}
	testkit.Main(m)
}

// other is a user who is neither this one nor root.
const other = 61002

// needsRoot skips a test that needs other users.
func needsRoot(t *testing.T) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root, who can be any user")
	}
}

// folder makes a folder with an owner and a mode.
func folder(t *testing.T, path string, uid int, mode uint32) string {
	t.Helper()
	err := errors.Join(os.MkdirAll(path, 0o755), os.Chown(path, uid, uid), syscall.Chmod(path, mode))
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// open tells whether a folder is opened, and refused for nothing but that others may change it.
func open(t *testing.T, path string) bool {
	t.Helper()
	dir, err := owndir.Parent(path)
	if err == nil {
		_ = dir.Close()
		return true
	}
	if unsafe := (*owndir.UnsafeError)(nil); !errors.As(err, &unsafe) || !strings.HasPrefix(err.Error(), "/") {
		t.Errorf("%s: %v", path, err)
	}
	return false
}

func TestAFolderThatOthersMayChangeIsRefusedAndSoIsOneBelowIt(t *testing.T) {
	needsRoot(t)
	base := folder(t, filepath.Join(t.TempDir(), "base"), 0, 0o755)
	for name, tt := range map[string]struct {
		uid  int
		mode uint32
		want bool
	}{
		"own": {0, 0o755, true}, "closed": {0, 0o700, true}, "sticky": {0, 0o1777, true}, "sticky for a group": {0, 0o3775, true},
		"open to all": {0, 0o777, false}, "open to others": {0, 0o757, false}, "another's": {other, 0o755, false},
		"another's, closed": {other, 0o700, false}, "another's, sticky": {other, 0o1777, false},
	} {
		path := folder(t, filepath.Join(base, name), tt.uid, tt.mode)
		for _, p := range []string{path, filepath.Join(path, "below", "it"), filepath.Join(path, "..", name)} {
			if got := open(t, p); got != tt.want {
				t.Errorf("%s: %s is opened: %v, want %v", name, p, got, tt.want)
			}
		}
		if _, err := os.Stat(filepath.Join(path, "below")); tt.want != (err == nil) {
			t.Errorf("%s: the folder below it is there: %v", name, err == nil)
		}
		if err := owndir.Check(path, other); strings.HasPrefix(name, "another's") && err != nil {
			t.Errorf("%s: with its owner trusted: %v", name, err)
		}
	}
	group := folder(t, filepath.Join(base, "group"), 0, 0o2775)
	if err := os.Chown(group, 0, other); err != nil || os.Chmod(group, 0o775|os.ModeSetgid) != nil {
		t.Fatal(err)
	}
	if open(t, group) || open(t, filepath.Join(group, "below")) {
		t.Error("a folder of a group that others are in is opened")
	}
}

func TestALinkIsFollowedWhenNobodyElseHasPutItThere(t *testing.T) {
	needsRoot(t)
	base := folder(t, filepath.Join(t.TempDir(), "base"), 0, 0o755)
	good, sticky := folder(t, filepath.Join(base, "good"), 0, 0o755), folder(t, filepath.Join(base, "sticky"), 0, 0o1777)
	group := folder(t, filepath.Join(base, "open"), 0, 0o777)
	folder(t, filepath.Join(group, "inner"), 0, 0o700)
	link := func(path, target string, uid int) string {
		if err := errors.Join(os.Symlink(target, path), os.Lchown(path, uid, uid)); err != nil {
			t.Fatal(err)
		}
		return path
	}
	for path, want := range map[string]bool{
		link(filepath.Join(base, "mine"), good, 0):                                   true,
		link(filepath.Join(base, "relative"), "sticky/../good", 0):                   true,
		link(filepath.Join(sticky, "mine"), good, 0):                                 true,
		link(filepath.Join(sticky, "theirs"), good, other):                           false,
		link(filepath.Join(base, "through an open one"), group+"/inner", 0):          false,
		link(filepath.Join(base, "to a link"), filepath.Join(sticky, "mine"), 0):     true,
		link(filepath.Join(base, "to theirs"), filepath.Join(sticky, "theirs/x"), 0): false,
	} {
		if got := open(t, path); got != want {
			t.Errorf("%s is opened: %v, want %v", path, got, want)
		}
	}
	round := link(filepath.Join(base, "round"), "round", 0)
	if _, err := owndir.Parent(round); !errors.Is(err, unix.ELOOP) {
		t.Errorf("a link to itself: %v", err)
	}
	file := filepath.Join(base, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := owndir.Parent(file); err == nil || !strings.Contains(err.Error(), "is not a folder") {
		t.Errorf("a file: %v", err)
	}
}

func TestAFolderOfOnesOwnIsNoLinkAndNobodyElses(t *testing.T) {
	needsRoot(t)
	base := folder(t, filepath.Join(t.TempDir(), "base"), 0, 0o1777)
	parent, err := owndir.Parent(base)
	if err != nil {
		t.Fatal(err)
	}
	defer parent.Close()
	dir, err := owndir.Make(parent, "mine")
	if err != nil {
		t.Fatal(err)
	}
	defer dir.Close()
	folder(t, filepath.Join(base, "theirs"), other, 0o755)
	folder(t, filepath.Join(base, "open"), 0, 0o775)
	for name, target := range map[string]string{"link": "mine", "away": "/"} {
		if err := os.Symlink(target, filepath.Join(base, name)); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"theirs", "open", "link", "away"} {
		if d, err := owndir.Make(parent, name); err == nil || !strings.Contains(err.Error(), "only you can write") {
			t.Errorf("%s: %v, %v", name, d, err)
		}
	}
}

// race has another user exchange two names until the test ends.
func race(t *testing.T, a, b string) (first string) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("/proc/self/fd/3")
	text, err := os.Open(self)
	if err != nil {
		t.Fatal(err)
	}
	defer text.Close()
	cmd.ExtraFiles = []*os.File{text} // the way to it is closed to others
	cmd.Env, cmd.Dir = []string{racing + "=" + a + ":" + b}, "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: other, Gid: other}, Pdeathsig: syscall.SIGKILL}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	return line
}

func TestARaceOfAnotherUserWinsNothing(t *testing.T) {
	needsRoot(t)
	top := t.TempDir()
	folder(t, filepath.Dir(top), 0, 0o755)
	t.Run("who may rename", func(t *testing.T) {
		base := folder(t, filepath.Join(top, "open"), 0, 0o777)
		mine, theirs := folder(t, filepath.Join(base, "mine"), 0, 0o700), folder(t, filepath.Join(base, "theirs"), other, 0o755)
		folder(t, filepath.Join(theirs, "run"), other, 0o777)
		if first := race(t, mine, theirs); first != "tried: <nil>\n" {
			t.Fatalf("the race is none: %s", first)
		}
		for range 2000 {
			if open(t, filepath.Join(mine, "run")) {
				t.Fatal("a folder that another user may exchange was opened")
			}
		}
	})
	t.Run("who may not", func(t *testing.T) {
		base := folder(t, filepath.Join(top, "sticky"), 0, 0o1777)
		mine, theirs := folder(t, filepath.Join(base, "mine"), 0, 0o700), folder(t, filepath.Join(base, "theirs"), other, 0o755)
		if first := race(t, mine, theirs); first != "tried: operation not permitted\n" {
			t.Fatalf("the race is none: %s", first)
		}
		for range 2000 {
			if !open(t, filepath.Join(mine, "run")) {
				t.Fatal("a folder that nobody else can exchange was refused")
			}
		}
	})
}
