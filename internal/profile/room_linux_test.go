package profile_test

import (
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/rankpool/rankpool/internal/profile"
)

// A limit on the size of files stands for a file system that is full.
func TestWhatThereIsNoRoomForIsLeftEmptyAndSaid(t *testing.T) {
	dir := t.TempDir()
	t.Setenv(profile.Variable, dir)
	s, err := profile.Start("master", true)
	if err != nil {
		t.Fatal(err)
	}
	var was unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_FSIZE, &was); err != nil {
		t.Fatal(err)
	}
	if err := unix.Setrlimit(unix.RLIMIT_FSIZE, &unix.Rlimit{Cur: 16, Max: was.Max}); err != nil {
		t.Fatal(err)
	}
	err = s.End() // Go's runtime takes SIGXFSZ for a failed write
	if err := unix.Setrlimit(unix.RLIMIT_FSIZE, &was); err != nil {
		t.Fatal(err)
	}
	if err == nil {
		t.Error("nothing was said")
	}
	names := in(t, dir)
	for _, name := range names {
		if is, err := os.Stat(filepath.Join(dir, name)); err != nil || is.Size() > 0 {
			t.Errorf("%s has %d bytes, %v", name, is.Size(), err)
		}
	}
	if len(names) != 2 {
		t.Errorf("%q", names)
	}
}
