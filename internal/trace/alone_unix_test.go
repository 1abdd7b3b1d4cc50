//go:build unix

package trace

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// Without locks two programs would overwrite each other's records.
func TestWhereThereAreNoLocksEachProgramHasAFileOfItsOwn(t *testing.T) {
	interrupted := false
	flock = func(int, int) error {
		if interrupted = !interrupted; interrupted {
			return unix.EINTR
		}
		return unix.ENOLCK
	}
	defer func() { flock = unix.Flock }()
	path := filepath.Join(t.TempDir(), "recording")
	var texts []string
	var why error
	p, err := Open(Config{Path: path, Run: Run{Host: "node1"}, Warn: func(text string, err error) { texts, why = append(texts, text), err }})
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Close(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	left, err := filepath.Glob(path + "*")
	if err != nil || len(left) != 1 || !strings.HasPrefix(left[0], path+".node1.") {
		t.Errorf("files %q, %v", left, err)
	}
	if len(texts) != 1 || !strings.Contains(texts[0], "nothing keeps other programs from writing the recording") || !errors.Is(why, errNoLocks) || !errors.Is(why, unix.ENOLCK) {
		t.Errorf("%q, %v", texts, why)
	}
	if err := os.WriteFile(path, []byte("x"), 0o600); err != nil { // one that was there stays
		t.Fatal(err)
	}
	if _, err := openAlone(path); !errors.Is(err, errNoLocks) {
		t.Error(err)
	}
	if b, err := os.ReadFile(path); string(b) != "x" || err != nil {
		t.Errorf("%q, %v", b, err)
	}
}
