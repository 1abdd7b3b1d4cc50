package journal_test

import (
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"github.com/rankpool/rankpool/internal/resultlog"
	"github.com/rankpool/rankpool/journal"
)

// asNobody has f run with the rights of a user who is not root, on files.
func asNobody(t *testing.T, f func()) {
	t.Helper()
	if os.Geteuid() != 0 {
		f()
		return
	}
	runtime.LockOSThread() // the rights are this thread's
	defer runtime.UnlockOSThread()
	mine := filepath.Join(t.TempDir(), "mine")
	if err := os.WriteFile(mine, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Setfsuid(65534); err != nil {
		t.Fatal(err)
	}
	if _, err := os.ReadFile(mine); !errors.Is(err, os.ErrPermission) {
		_ = syscall.Setfsuid(0)
		t.Skip("this machine has no user without rights on files: ", err)
	}
	f()
	if err := syscall.Setfsuid(0); err != nil {
		t.Fatal(err)
	}
}

// A job for days is not to begin without the journal that it asked for.
func TestAJournalThatMayNotBeWrittenIsAnErrorAtOnceAndIsLeftAsItIs(t *testing.T) {
	for name, tt := range map[string]struct {
		there        bool // the file
		file, folder os.FileMode
	}{
		"the file":                  {true, 0o444, 0o777},
		"the folder":                {true, 0o666, 0o555},
		"the folder of a new one":   {false, 0, 0o555},
		"the file and its folder":   {true, 0o444, 0o555},
		"a file that is not to see": {true, 0, 0o777},
	} {
		t.Run(name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "folder")
			path := filepath.Join(dir, "results")
			err := errors.Join(os.Chmod(filepath.Dir(filepath.Dir(dir)), 0o755), os.Mkdir(dir, 0o700))
			if tt.there {
				j, opened := journal.Open(path)
				err = errors.Join(err, opened, j.Close(), os.Chmod(path, tt.file))
			}
			if err = errors.Join(err, os.Chmod(dir, tt.folder)); err != nil {
				t.Fatal(err)
			}
			defer func() { _ = os.Chmod(dir, 0o700) }() // it is removed
			asNobody(t, func() { _, err = journal.Open(path) })
			if !errors.Is(err, os.ErrPermission) || !strings.Contains(err.Error(), "journal "+path+" cannot be written") {
				t.Error(err)
			}
			left, _ := filepath.Glob(filepath.Join(dir, "*"))
			if len(left) > 1 || len(left) == 1 != tt.there {
				t.Errorf("%q is there", left)
			}
			if tt.file&0o444 > 0 { // the command shows it
				asNobody(t, func() {
					if _, err := resultlog.Inspect(path, true); err != nil {
						t.Error(err)
					}
				})
			}
		})
	}
}
