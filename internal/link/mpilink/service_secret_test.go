//go:build unix

package mpilink_test

import (
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/rankpool/rankpool/internal/link/mpilink"
)

func TestASecretThatOthersMayKnowIsRefused(t *testing.T) {
	dir := t.TempDir()
	file := func(name, text string, mode os.FileMode) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		return path
	}
	const good = "nobody will ever guess this"
	pipe := filepath.Join(dir, "pipe")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	tests := map[string]string{
		file("open", good, 0o644):     "is open to others (mode 0644): close it (chmod 600 ",
		file("group", good, 0o640):    "is open to others (mode 0640)",
		file("writable", good, 0o602): "is open to others (mode 0602)",
		file("short", "abc\n", 0o600): "has no secret: 3 characters, of 16 or more",
		file("empty", "", 0o600):      "has no secret",
		pipe:                          "is no file",
		dir:                           "is no file",
		filepath.Join(dir, "nothing"): "no such file",
	}
	if os.Geteuid() == 0 {
		theirs := file("theirs", good, 0o600)
		if err := os.Chown(theirs, 61002, 61002); err != nil {
			t.Fatal(err)
		}
		tests[theirs] = "belongs to uid 61002 and not to you"
	}
	ownSecret(t)
	for path, want := range tests {
		t.Setenv(mpilink.SecretVariable, path)
		if err := connect(t, "tcp:127.0.0.1:1"); err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), mpilink.SecretVariable) {
			t.Errorf("%s: %v, want %q", path, err, want)
		}
	}
	// A port file has a secret too.
	t.Setenv(mpilink.SecretVariable, "")
	advert := `{"id":"x","secret":"` + good + `","addresses":["127.0.0.1:1"]}`
	for path, want := range map[string]string{
		file("port", advert, 0o644):                                   "is open to others (mode 0644)",
		file("bare", `{"id":"x","addresses":["127.0.0.1:1"]}`, 0o600): "there is no secret in it",
	} {
		if err := connect(t, "file:"+path); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", path, err, want)
		}
	}
}

func TestServersThatStartTogetherMakeOneSecret(t *testing.T) {
	path := ownSecret(t)
	if err := connect(t, "tcp:127.0.0.1:1"); err == nil || !strings.Contains(err.Error(), "copy "+path+" from the server's host") {
		t.Errorf("a master before there is a secret: %v", err)
	}
	desks := make([]mpilink.Acceptor, 8)
	first := openAcceptor(t, anyPort)
	if err := os.RemoveAll(filepath.Dir(path)); err != nil {
		t.Fatal(err)
	}
	p, err := mpilink.ParsePlace(anyPort)
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("XDG_CONFIG_HOME", filepath.Dir(filepath.Dir(path)))
	var group sync.WaitGroup
	for i := range desks {
		group.Go(func() {
			var err error
			if desks[i], err = mpilink.OpenDesk(t.Context(), p, ""); err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
	if t.Failed() {
		return
	}
	for _, d := range desks {
		if d.Secret() != desks[0].Secret() || d.Secret() == first.Secret() || len(d.Secret()) < 32 {
			t.Errorf("the secrets of two servers are %q and %q", desks[0].Secret(), d.Secret())
		}
		d.Close()
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the secret's file: %v, %v", info, err)
	}
	if left, err := os.ReadDir(filepath.Dir(path)); err != nil || len(left) != 1 {
		t.Errorf("beside the secret: %v, %v", left, err)
	}
}
