package resultlog_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/rankpool/rankpool/internal/resultlog"
	"github.com/rankpool/rankpool/internal/testkit"
)

// limited is a file on a disk that may be full.
type limited struct {
	resultlog.File
	limit *atomic.Int64
	tries *atomic.Int64
}

func (f limited) WriteAt(b []byte, off int64) (int, error) {
	if room := f.limit.Load() - off; room < int64(len(b)) {
		f.tries.Add(1)
		n, _ := f.File.WriteAt(b[:max(room, 0)], off) // what there is room for is written
		return n, syscall.ENOSPC
	}
	return f.File.WriteAt(b, off)
}

func limitedTo(limit, tries *atomic.Int64) func(string, int, os.FileMode) (resultlog.File, error) {
	return func(name string, flag int, perm os.FileMode) (resultlog.File, error) {
		f, err := os.OpenFile(name, flag, perm)
		return limited{f, limit, tries}, err
	}
}

func TestAFullDiskIsToldOnceAndRecordingResumesWhenThereIsRoom(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	var limit, tries atomic.Int64
	limit.Store(20_000)
	var w warnings
	l := open(t, path, resultlog.Options{Warn: w.warn, OpenFile: limitedTo(&limit, &tries)})
	f := function(t, l, "f")
	record(l, f, 0, 3000) // 150 kB
	testkit.Until(t, "a second try", func() bool { return tries.Load() >= 2 })
	record(l, f, 3000, 4000) // nobody is held up
	if s := w.text(); strings.Count(s, "cannot be written") != 1 || strings.Count(s, "\n") != 0 {
		t.Errorf("it warns %q", s)
	}
	limit.Store(1 << 40)
	testkit.Until(t, "the end of it", func() bool { return strings.Contains(w.text(), "is written again") })
	record(l, f, 4000, 4100)
	closeLog(t, l)
	l = open(t, path, resultlog.Options{Warn: func(s string) { t.Error(s) }})
	if n := count(recorded(t, l, function(t, l, "f"), 4100)); n != 4100 {
		t.Errorf("%d of 4100 are there", n)
	}
	closeLog(t, l)
}

func TestCloseOnAFullDiskSaysHowManyResultsAreNotRecorded(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	var limit, tries atomic.Int64
	limit.Store(1 << 40)
	l := open(t, path, resultlog.Options{OpenFile: limitedTo(&limit, &tries)})
	f := function(t, l, "f")
	record(l, f, 0, 10)
	if err := l.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	limit.Store(0)
	record(l, f, 10, 17)
	err := l.Close(context.Background())
	if !errors.Is(err, syscall.ENOSPC) || !strings.Contains(err.Error(), "7 results are not recorded") {
		t.Error(err)
	}
	l = open(t, path, resultlog.Options{})
	if n := count(recorded(t, l, function(t, l, "f"), 17)); n != 10 {
		t.Errorf("%d are there", n)
	}
	closeLog(t, l)
}

// stuck is a file system that does not answer.
type stuck struct {
	resultlog.File
	until chan struct{}
}

func (f stuck) WriteAt(b []byte, off int64) (int, error) {
	if off > 0 {
		<-f.until
	}
	return f.File.WriteAt(b, off)
}

func TestAFileSystemThatDoesNotAnswerHoldsUpNobodyForGood(t *testing.T) {
	until := make(chan struct{})
	l := open(t, filepath.Join(t.TempDir(), "log"), resultlog.Options{OpenFile: func(name string, flag int, perm os.FileMode) (resultlog.File, error) {
		f, err := os.OpenFile(name, flag, perm)
		return stuck{f, until}, err
	}})
	f := function(t, l, "f")
	record(l, f, 0, 10)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if err := l.Close(ctx); !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "10 results are not recorded") {
		t.Error(err)
	}
	close(until)
}

func TestAFileThatCannotBeWrittenIsRefused(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "log")
	l := open(t, path, resultlog.Options{})
	record(l, function(t, l, "f"), 0, 10)
	closeLog(t, l)
	readOnly := func(name string, flag int, perm os.FileMode) (resultlog.File, error) {
		if flag&os.O_RDWR != 0 {
			return nil, &os.PathError{Op: "open", Path: name, Err: syscall.EROFS}
		}
		return os.OpenFile(name, flag, perm)
	}
	_, err := resultlog.Open(path, resultlog.Options{OpenFile: readOnly})
	if !errors.Is(err, syscall.EROFS) || !strings.Contains(err.Error(), path+" cannot be written") {
		t.Error(err)
	}
	left, _ := filepath.Glob(filepath.Join(dir, "*"))
	if len(left) != 1 {
		t.Errorf("%q is left", left)
	}
	if os.Geteuid() == 0 {
		return // root may write everything
	}
	if err := os.Chmod(path, 0o444); err != nil {
		t.Fatal(err)
	}
	if _, err := resultlog.Open(path, resultlog.Options{}); !errors.Is(err, os.ErrPermission) {
		t.Error(err)
	}
}
