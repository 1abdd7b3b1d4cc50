package profile_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"runtime/pprof"
	"strings"
	"testing"

	reader "github.com/google/pprof/profile"

	"github.com/rankpool/rankpool/internal/profile"
	"github.com/rankpool/rankpool/internal/testkit"
)

func TestMain(m *testing.M) { testkit.Main(m) }

// in is what files are in a folder.
func in(t *testing.T, dir string) (names []string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

func whole(t *testing.T, path string) *reader.Profile {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	p, err := reader.ParseData(b)
	if err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	return p
}

func TestWithoutTheVariableThereIsNoSession(t *testing.T) {
	t.Setenv(profile.Variable, "")
	s, err := profile.Start("master", true)
	if s != nil || err != nil {
		t.Error(s, err)
	}
	if err := s.End(); err != nil {
		t.Error(err)
	}
}

func TestTheFolderIsMadeAndNoFileIsWrittenTwice(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "some", "profiles")
	t.Setenv(profile.Variable, dir)
	for range 3 { // with the same name and process number
		s, err := profile.Start("worker-3", true)
		if err != nil {
			t.Fatal(err)
		}
		if err := s.End(); err != nil {
			t.Fatal(err)
		}
	}
	names := in(t, dir)
	if len(names) != 6 {
		t.Errorf("%q", names)
	}
	for _, name := range names {
		kind, role, ok := profile.Named(name)
		if !ok || role != "worker" || !strings.HasPrefix(name, kind+".worker-3.") {
			t.Errorf("%s: %s, %s, %v", name, kind, role, ok)
		}
		if p := whole(t, filepath.Join(dir, name)); len(p.SampleType) == 0 {
			t.Errorf("%s: %v", name, p)
		}
	}
}

func TestARelativeFolderStaysWhereItWas(t *testing.T) {
	t.Setenv(profile.Variable, "profiles")
	t.Chdir(t.TempDir())
	first := profile.Folder()
	t.Chdir(t.TempDir())
	if again := profile.Folder(); again != first || os.Getenv(profile.Variable) != first || !filepath.IsAbs(first) {
		t.Error(first, again, os.Getenv(profile.Variable))
	}
}

func TestAProfileThatTheProgramHasBegunGoesOn(t *testing.T) {
	dir := t.TempDir()
	t.Setenv(profile.Variable, dir)
	var own bytes.Buffer
	if err := pprof.StartCPUProfile(&own); err != nil {
		t.Fatal(err)
	}
	s, err := profile.Start("master", true)
	if !errors.Is(err, profile.ErrTaken) || s == nil {
		t.Fatal(s, err)
	}
	if err := s.End(); err != nil {
		t.Error(err)
	}
	if pprof.StartCPUProfile(new(bytes.Buffer)) == nil {
		t.Error("it was stopped")
	}
	pprof.StopCPUProfile()
	if _, err := reader.ParseData(own.Bytes()); err != nil {
		t.Error(err)
	}
	if names := in(t, dir); len(names) != 1 || !strings.HasPrefix(names[0], "heap.master.") {
		t.Errorf("%q", names)
	}
}

func TestAFolderThatCannotBeUsedIsAnErrorWithoutTheNameOfAFile(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	dirs := []string{file, filepath.Join(file, "below")}
	if locked := filepath.Join(t.TempDir(), "locked"); os.Mkdir(locked, 0o500) == nil && os.WriteFile(filepath.Join(locked, "x"), nil, 0o600) != nil {
		dirs = append(dirs, locked) // which root could write
	}
	for _, dir := range dirs {
		t.Setenv(profile.Variable, dir)
		s, err := profile.Start("worker-7", true)
		if s != nil || err == nil || strings.Contains(err.Error(), "worker-7") || !strings.Contains(err.Error(), profile.Variable+"="+dir) {
			t.Error(s, err)
		}
		if err := pprof.StartCPUProfile(new(bytes.Buffer)); err != nil {
			t.Error("the profile of the processor's time goes on:", err)
		}
		pprof.StopCPUProfile()
	}
}

func TestOtherFilesHaveNoRole(t *testing.T) {
	for _, name := range []string{
		profile.Merged(profile.CPU, "worker"), "cpu.master.host.17.txt", "cpu.out", "cpu..host.17.pb.gz", "mutex.master.host.17.pb.gz", ".pb.gz",
	} {
		if kind, role, ok := profile.Named(name); ok {
			t.Errorf("%s: %s, %s", name, kind, role)
		}
	}
}
