//go:build unix

package launch

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/rankpool/rankpool/internal/command"
	"github.com/rankpool/rankpool/internal/mpi"
	"github.com/rankpool/rankpool/internal/owndir"
	"github.com/rankpool/rankpool/internal/testkit"
)

var enough = testkit.Limit

// attend is a rank that comes to a meeting.
func attend(t *testing.T, root string, rank, size int, limit time.Duration) *meeting {
	t.Helper()
	m, err := meet(parent(t, root), "job-1", rank, size, limit)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(m.close)
	return m
}

// parent opens a folder for jobs' folders.
func parent(t *testing.T, path string) *os.Root {
	t.Helper()
	root, err := owndir.Parent(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = root.Close() })
	return root
}

// follow lets ranks 1 to size-1 wait, and returns what they got once all have ended.
func follow(t *testing.T, root string, size int) (wait func() []outcome) {
	t.Helper()
	all := make([]outcome, size)
	var group sync.WaitGroup
	for rank := 1; rank < size; rank++ {
		m := attend(t, root, rank, size, enough)
		group.Go(func() {
			var err error
			if all[rank], err = m.await(t.Context()); err != nil {
				t.Errorf("rank %d: %v", rank, err)
			}
		})
	}
	return func() []outcome {
		group.Wait()
		return all
	}
}

func TestRanksMeetWhoeverComesFirst(t *testing.T) {
	for _, late := range []bool{false, true} {
		root := t.TempDir()
		lead := func() {
			m := attend(t, root, 0, 4, enough)
			if err := m.clean(); err != nil {
				t.Fatal(err)
			}
			if err := m.write("program", []byte("x")); err != nil {
				t.Fatal(err)
			}
			if err := m.publish(t.Context(), 0, nil); err != nil {
				t.Fatal(err)
			}
		}
		var wait func() []outcome
		if late {
			wait = follow(t, root, 4)
			lead()
		} else {
			var group sync.WaitGroup
			group.Go(lead)
			wait = follow(t, root, 4)
			group.Wait()
		}
		for rank, o := range wait() {
			if o.Status != 0 || o.Error != "" || rank > 0 && len(o.Nonces) != 3 {
				t.Errorf("rank %d: %+v", rank, o)
			}
		}
	}
}

func TestWhatAnEarlierJobOfThisNameHasLeftIsNotBelieved(t *testing.T) {
	root := t.TempDir()
	// The earlier job: complete, with every file in place.
	wait := follow(t, root, 3)
	m := attend(t, root, 0, 3, enough)
	if err := m.publish(t.Context(), 7, errors.New("the earlier one")); err != nil {
		t.Fatal(err)
	}
	wait()
	// This job's other ranks come before its rank 0, and find an outcome.
	wait = follow(t, root, 3)
	m = attend(t, root, 0, 3, enough)
	if err := m.clean(); err != nil {
		t.Fatal(err)
	}
	if err := m.publish(t.Context(), 0, nil); err != nil {
		t.Fatal(err)
	}
	for rank, o := range wait() {
		if o.Error != "" {
			t.Errorf("rank %d believed %+v", rank, o)
		}
	}
}

func TestWaitingHasAnEndThatNamesTheFolder(t *testing.T) {
	root := t.TempDir()
	leader, follower := attend(t, root, 0, 3, 50*time.Millisecond), attend(t, filepath.Join(root, "elsewhere"), 1, 3, 50*time.Millisecond)
	err := leader.publish(t.Context(), 0, nil)
	for _, want := range []string{"ranks 1, 2 of 3", leader.path(), "50ms", "--dir", "RANKPOOL_RUN_DIR", "--wait"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("rank 0: no %q in %v", want, err)
		}
	}
	_, err = follower.await(t.Context())
	for _, want := range []string{"rank 1", follower.path(), "50ms", "--dir", "RANKPOOL_RUN_DIR", "--wait"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("rank 1: no %q in %v", want, err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := attend(t, root, 1, 3, enough).await(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("a wait that was ended: %v", err)
	}
}

func TestAFolderThatCannotBeUsedIsNamed(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	o := Options{Dir: file}
	_, err := o.root(mpi.Launcher{})
	for _, want := range []string{file, "--dir", "RANKPOOL_RUN_DIR"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("no %q in %v", want, err)
		}
	}
	root := t.TempDir()
	if err := os.Mkdir(filepath.Join(root, "job-1"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(filepath.Join(root, "job-1"), 0o777); err != nil {
		t.Fatal(err)
	}
	if _, err := meet(parent(t, root), "job-1", 0, 2, enough); err == nil || !strings.Contains(err.Error(), "only you can write") {
		t.Errorf("a folder that everybody can write to: %v", err)
	}
}

func TestSweepingLeavesWhatIsInUseOrFreshOrNotOurs(t *testing.T) {
	path := t.TempDir()
	root := parent(t, path)
	long := time.Now().Add(-time.Hour)
	make := func(name string, hold bool, age time.Time, files ...string) {
		f, err := enter(root, name)
		if err != nil {
			t.Fatal(err)
		}
		if hold {
			t.Cleanup(f.close)
		} else {
			f.close()
		}
		for _, file := range files {
			if err := os.WriteFile(filepath.Join(path, name, file), nil, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if err := os.Chtimes(filepath.Join(path, name), age, age); err != nil {
			t.Fatal(err)
		}
	}
	job := func(letter string) string { return "job-" + strings.Repeat(letter, 24) }
	make(job("a"), true, long)
	make(job("b"), false, time.Now())
	make("other", false, long)
	make("job-results", false, long)
	make(job("c"), false, long, "program", "outcome", "hello.1", ".hello.2.ABC", ".outcome.XYZ", ".building")
	make(job("d"), false, long, "program", "thesis.tex")
	make(soloName(), false, long, "program")
	sweep(root)
	entries, err := os.ReadDir(path)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	if want, got := strings.Join([]string{job("a"), job("b"), job("d"), "job-results", "other"}, " "), strings.Join(names, " "); got != want {
		t.Errorf("what is left: %s, want %s", got, want)
	}
	if _, err := os.Stat(filepath.Join(path, job("d"), "thesis.tex")); err != nil {
		t.Error(err)
	}
}

func TestALockIsHeldByManyAndThenByOneAlone(t *testing.T) {
	root := parent(t, t.TempDir())
	a, err := enter(root, "job-1")
	if err != nil {
		t.Fatal(err)
	}
	b, err := enter(root, "job-1")
	if err != nil {
		t.Fatal(err)
	}
	if f, err := take(root, "job-1", false); err == nil {
		f.close()
		t.Error("somebody got the folder that two need")
	}
	a.close()
	alone := make(chan error, 1)
	go func() {
		f, err := take(root, "job-1", true)
		if err == nil {
			err = f.remove()
			f.close()
		}
		alone <- err
	}()
	b.close()
	select {
	case err := <-alone:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(enough):
		t.Fatal("nobody got the folder that nobody needs")
	}
	c, err := enter(root, "job-1") // whoever comes later makes it anew
	if err != nil {
		t.Fatal(err)
	}
	c.close()
}

// A pipe that nobody writes to holds whoever opens it, as a file system does whose server has gone.
func TestAFolderThatHangsIsNotWaitedForLongerThanAllowed(t *testing.T) {
	root := t.TempDir()
	m := attend(t, root, 1, 2, enough)
	pipe := filepath.Join(root, "job-1", "outcome")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	var hung sync.WaitGroup
	t.Cleanup(func() { // whoever still hangs ends, and whoever will
		over := make(chan struct{})
		go func() {
			defer close(over)
			hung.Wait()
		}()
		testkit.Until(t, "the end of what hangs", func() bool {
			if f, err := os.OpenFile(pipe, os.O_WRONLY|syscall.O_NONBLOCK, 0); err == nil {
				_ = f.Close()
			}
			select {
			case <-over:
				return true
			default:
				return false
			}
		})
	})
	await := func(ctx context.Context, limit time.Duration) error {
		hung.Add(1)
		_, err := answered(ctx, limit, 10*time.Millisecond, "meeting the others in "+m.path(), func() (outcome, error) {
			defer hung.Done()
			return m.await(ctx)
		})
		return err
	}
	err := await(t.Context(), 50*time.Millisecond)
	for _, want := range []string{m.path(), "50ms", "hang", "--dir", "RANKPOOL_RUN_DIR", "--wait"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("no %q in %v", want, err)
		}
	}
	told := &command.StoppedError{Signal: syscall.SIGTERM}
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(told)
	if err := await(ctx, noLimit); !errors.Is(err, told) {
		t.Errorf("a signal: %v", err)
	}
}
