package launch

import (
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/rankpool/rankpool/internal/command"
	"github.com/rankpool/rankpool/internal/mpi"
)

// exchange puts one thing in the place of another, as whoever may write to the folder that both are in can do at any moment.
func exchange(t *testing.T, a, b string) {
	t.Helper()
	if err := unix.Renameat2(unix.AT_FDCWD, a, unix.AT_FDCWD, b, unix.RENAME_EXCHANGE); err != nil {
		t.Fatal(err)
	}
}

// thesis is a folder of files that nobody wants to lose.
func thesis(t *testing.T, path string) (intact func()) {
	t.Helper()
	names := []string{"thesis.tex", "results/data.csv", "program", "hello.1", "lock"}
	for _, name := range names {
		file := filepath.Join(path, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte("years of work"), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	return func() {
		t.Helper()
		for _, name := range names {
			if text, err := os.ReadFile(filepath.Join(path, name)); err != nil || string(text) != "years of work" {
				t.Errorf("%s: %q, %v", name, text, err)
			}
		}
	}
}

func TestWhateverIsPutInThePlaceOfAFolderIsNeitherChangedNorRun(t *testing.T) {
	for name, put := range map[string]func(t *testing.T, path, thesis string){
		"a link":         func(t *testing.T, path, thesis string) { must(t, os.Symlink(thesis, path)) },
		"a relative one": func(t *testing.T, path, thesis string) { must(t, os.Symlink(filepath.Base(thesis), path)) },
		"the folder":     func(t *testing.T, path, thesis string) { must(t, os.Rename(thesis, path)) },
	} {
		t.Run(name, func(t *testing.T) {
			path := t.TempDir()
			folder, victim, other := filepath.Join(path, "job-1"), filepath.Join(path, "thesis"), filepath.Join(path, "other")
			m := attend(t, path, 0, 2, 20*time.Millisecond)
			must(t, os.WriteFile(filepath.Join(folder, "hello.1"), []byte("old"), 0o600))
			intact := thesis(t, victim)
			put(t, other, victim)
			exchange(t, folder, other)
			if name == "the folder" {
				victim = folder
				must(t, os.Symlink(victim, filepath.Join(path, "thesis"))) // for intact
			}
			if err := m.clean(); err != nil {
				t.Error(err)
			}
			intact()
			from, err := os.OpenRoot("/bin")
			must(t, err)
			defer from.Close()
			if err := m.adopt(from, "echo"); err != nil {
				t.Error(err)
			}
			if err := m.publish(t.Context(), 0, nil); err == nil || !strings.Contains(err.Error(), "rank 1 of 2 have not come") {
				t.Errorf("publish: %v", err) // the hello of the earlier job was removed from the folder that was opened
			}
			p := &program{folder: m.folder, argv: []string{"echo", "run"}}
			run, err := p.prepare()
			must(t, err)
			cmd := exec.Command(run, "run")
			if out, err := cmd.Output(); err != nil || string(out) != "run\n" {
				t.Errorf("%s ran: %q, %v", run, out, err)
			}
			if filepath.Base(run) != "program" { // what ps shows
				t.Errorf("the path is %s", run)
			}
			if err := m.remove(); err != nil {
				t.Error(err)
			}
			intact()
		})
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestSweepingRemovesNothingThroughALink(t *testing.T) {
	path := t.TempDir()
	intact := thesis(t, filepath.Join(path, "thesis"))
	link := filepath.Join(path, "job-"+strings.Repeat("a", 24))
	must(t, os.Symlink("thesis", link))
	long := time.Now().Add(-time.Hour)
	must(t, os.Chtimes(filepath.Join(path, "thesis"), long, long))
	sweep(parent(t, path))
	intact()
}

// A file system whose server never answers, as a network file system's does that has gone.
func TestASignalAndTheLimitEndWhatAHungFileSystemHolds(t *testing.T) {
	fd, err := unix.Open("/dev/fuse", unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Skipf("needs FUSE: %v", err)
	}
	where := t.TempDir()
	if err := unix.Mount("hung", where, "fuse", 0, "fd="+strconv.Itoa(fd)+",rootmode=40000,user_id=0,group_id=0"); err != nil {
		_ = unix.Close(fd)
		t.Skipf("needs the right to mount: %v", err)
	}
	t.Cleanup(func() { // what hangs ends then
		_ = unix.Close(fd)
		_ = unix.Unmount(where, unix.MNT_DETACH)
	})
	s := command.Surroundings{Launcher: mpi.Launcher{Rank: -1}, Err: io.Discard}
	text := "return nil"
	build := Options{Dir: filepath.Join(where, "run"), Statements: &text}
	provide := func(ctx context.Context) error {
		_, err := build.provide(ctx, s, target{form: statements}, true)
		return err
	}
	look := Options{Words: []string{filepath.Join(where, "x.go")}}
	find := func(ctx context.Context) error {
		_, err := look.find(ctx, s)
		return err
	}
	const wait = 3 * time.Second // long enough for the file systems that answer
	build.Wait, look.Wait = wait, wait
	for what, do := range map[string]func(context.Context) error{build.Dir: provide, look.Words[0]: find} {
		err := do(t.Context())
		for _, want := range []string{what, wait.String(), "hang", "--dir", "--wait"} {
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("no %q in %v", want, err)
			}
		}
	}
	build.Wait, look.Wait = noLimit, noLimit
	told := &command.StoppedError{Signal: unix.SIGTERM}
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(told)
	for what, do := range map[string]func(context.Context) error{build.Dir: provide, look.Words[0]: find} {
		if err := do(ctx); !errors.Is(err, told) {
			t.Errorf("%s, after a signal: %v", what, err)
		}
	}
}
