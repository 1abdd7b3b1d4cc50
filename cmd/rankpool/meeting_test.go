//go:build unix

package main

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

const enough = 20 * time.Second

// enter is a rank that comes to a meeting.
func enter(t *testing.T, root string, rank, size int, limit time.Duration) *meeting {
	t.Helper()
	m, err := meet(root, "job-1", rank, size, limit)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(m.lock.release)
	return m
}

// follow lets ranks 1 to size-1 wait, and returns what they got once all have ended.
func follow(t *testing.T, root string, size int) (wait func() []outcome) {
	t.Helper()
	all := make([]outcome, size)
	var group sync.WaitGroup
	for rank := 1; rank < size; rank++ {
		m := enter(t, root, rank, size, enough)
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
			m := enter(t, root, 0, 4, enough)
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
	m := enter(t, root, 0, 3, enough)
	if err := m.publish(t.Context(), 7, errors.New("the earlier one")); err != nil {
		t.Fatal(err)
	}
	wait()
	// This job's other ranks come before its rank 0, and find an outcome.
	wait = follow(t, root, 3)
	m = enter(t, root, 0, 3, enough)
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
	leader, follower := enter(t, root, 0, 3, 50*time.Millisecond), enter(t, filepath.Join(root, "elsewhere"), 1, 3, 50*time.Millisecond)
	err := leader.publish(t.Context(), 0, nil)
	for _, want := range []string{"ranks 1, 2 of 3", leader.folder, "50ms", "--dir", "RANKPOOL_RUN_DIR", "--wait"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("rank 0: no %q in %v", want, err)
		}
	}
	_, err = follower.await(t.Context())
	for _, want := range []string{"rank 1", follower.folder, "50ms", "--dir", "RANKPOOL_RUN_DIR", "--wait"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("rank 1: no %q in %v", want, err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := enter(t, root, 1, 3, enough).await(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("a wait that was ended: %v", err)
	}
}

func TestAFolderThatCannotBeUsedIsNamed(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := meet(file, "job-1", 0, 2, enough)
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
	if _, err := meet(root, "job-1", 0, 2, enough); err == nil || !strings.Contains(err.Error(), "only you can write") {
		t.Errorf("a folder that everybody can write to: %v", err)
	}
}

func TestSweepingLeavesWhatIsInUseOrFreshOrNotOurs(t *testing.T) {
	root := t.TempDir()
	long := time.Now().Add(-time.Hour)
	make := func(name string, hold bool, age time.Time) {
		folder := filepath.Join(root, name)
		l, err := holdLock(folder)
		if err != nil {
			t.Fatal(err)
		}
		if hold {
			t.Cleanup(l.release)
		} else {
			l.release()
		}
		if err := os.Chtimes(folder, age, age); err != nil {
			t.Fatal(err)
		}
	}
	make("job-held", true, long)
	make("job-fresh", false, time.Now())
	make("other", false, long)
	make("job-left", false, long)
	make("one-left", false, long)
	sweep(root)
	entries, err := os.ReadDir(root)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	if got := strings.Join(names, " "); got != "job-fresh job-held other" {
		t.Errorf("what is left: %s", got)
	}
}

func TestALockIsHeldByManyAndThenByOneAlone(t *testing.T) {
	folder := filepath.Join(t.TempDir(), "job-1")
	a, err := holdLock(folder)
	if err != nil {
		t.Fatal(err)
	}
	b, err := holdLock(folder)
	if err != nil {
		t.Fatal(err)
	}
	if l, err := holdAlone(folder, false); err == nil {
		l.release()
		t.Error("somebody got the folder that two need")
	}
	a.release()
	alone := make(chan error, 1)
	go func() {
		l, err := holdAlone(folder, true)
		if err == nil {
			err = os.RemoveAll(folder)
			l.release()
		}
		alone <- err
	}()
	b.release()
	select {
	case err := <-alone:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(enough):
		t.Fatal("nobody got the folder that nobody needs")
	}
	c, err := holdLock(folder) // whoever comes later makes it anew
	if err != nil {
		t.Fatal(err)
	}
	c.release()
}
