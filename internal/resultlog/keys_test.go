package resultlog_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/rankpool/rankpool/internal/resultlog"
	"github.com/rankpool/rankpool/internal/testkit"
)

// twins returns the same log twice, with so many arguments of which a third each has a result, a failure, and nothing; in some it has several. One of them has few entries
// of its index in memory.
func twins(t *testing.T, arguments int, few resultlog.Options) (whole, paged *resultlog.Log) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "log")
	l := open(t, path, resultlog.Options{})
	f := function(t, l, "f")
	for round := range 2 {
		for i := range arguments {
			k, kind := f.Key(argument(i), nil), i%6
			if (kind == 0 || kind == 2) && round == 0 || kind == 1 { // the result last, first, and twice
				l.Record(f, k, fmt.Appendf(nil, "result %d of %d", round, i), nil)
			}
			if kind == 0 && round == 1 || kind == 2 && round == 1 || kind == 3 {
				l.Failed(f, k, fmt.Sprint("failure ", i))
			}
		}
	}
	closeLog(t, l)
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	other := filepath.Join(t.TempDir(), "log")
	if err := os.WriteFile(other, b, 0o600); err != nil {
		t.Fatal(err)
	}
	return open(t, path, resultlog.Options{Warn: func(s string) { t.Error(s) }}), open(t, other, few)
}

// compare submits the same calls to both, in any order and some again and again. Some give their places back.
func compare(t *testing.T, whole, paged *resultlog.Log, arguments int) {
	t.Helper()
	wf, pf := function(t, whole, "f"), function(t, paged, "f")
	wr, pr := whole.Reader(), paged.Reader()
	have := 0
	type pair struct{ whole, paged resultlog.Place }
	var places []pair
	for n := range 4 * arguments {
		if n%5 == 0 && len(places) > 0 {
			i := rand.IntN(len(places))
			whole.GiveBack(places[i].whole)
			paged.GiveBack(places[i].paged)
			places = slices.Delete(places, i, i+1)
		}
		i := rand.IntN(arguments)
		if n%7 == 0 {
			i = rand.IntN(3)
		}
		wk, we := whole.Submit(wf, wf.Key(argument(i), nil))
		pk, pe := paged.Submit(pf, pf.Key(argument(i), nil))
		wo, wok := wr.Read(we)
		po, pok := pr.Read(pe)
		if wk != pk || wok != pok || !bytes.Equal(wo.Stream, po.Stream) || wo.Failed != po.Failed || wo.Text != po.Text {
			t.Fatalf("call %d, of %d: %v %v %q %q, and with few entries in memory %v %v %q %q", n, i, wk, wok, wo.Stream, wo.Text, pk, pok, po.Stream, po.Text)
		}
		if wok {
			have++
		}
		places = append(places, pair{we.Place(), pe.Place()})
	}
	if have < arguments/4 {
		t.Errorf("only %d of %d are there", have, arguments)
	}
}

func TestWhereTheIndexIsMakesNoDifference(t *testing.T) {
	for _, entries := range []int{20, 1000} {
		arguments := 1_000
		if entries > 20 {
			arguments = 8_000
		}
		whole, paged := twins(t, arguments, resultlog.Options{IndexEntries: entries, Warn: func(s string) { t.Error(s) }})
		compare(t, whole, paged, arguments)
		if resultlog.Runs(paged) == 0 {
			t.Error("all of it is in memory")
		}
		if runtime.GOOS != "windows" {
			testkit.Until(t, "the end of the names", func() bool { // that of a run which is being merged may be there for a moment
				left, _ := filepath.Glob(paged.Path() + ".index*")
				return len(left) == 0
			})
		}
		closeLog(t, whole)
		closeLog(t, paged)
		if left, _ := filepath.Glob(paged.Path() + "?*"); len(left) > 0 {
			t.Errorf("%q is left", left)
		}
	}
}

// beside is a file system on which files beside the log may fail.
type beside struct {
	full, damaged, late, lossy, flaky, logFull atomic.Bool

	hangs         chan struct{} // until it is closed, if it is set; it is told each write
	began         chan struct{}
	opened, tries atomic.Int64
	read          sync.Map // where it has been read while it was flaky
}

type besideFile struct {
	resultlog.File
	of *beside
}

type readAt struct {
	file resultlog.File
	off  int64
}

func (b *beside) open(name string, flag int, perm os.FileMode) (resultlog.File, error) {
	f, err := os.OpenFile(name, flag, perm)
	if err != nil {
		return nil, err
	}
	if !strings.Contains(filepath.Base(name), ".index") {
		return logFile{f, b}, nil
	}
	b.opened.Add(1)
	return besideFile{f, b}, nil
}

type logFile struct {
	resultlog.File
	of *beside
}

func (f logFile) WriteAt(b []byte, off int64) (int, error) {
	if f.of.logFull.Load() {
		return 0, syscall.ENOSPC
	}
	return f.File.WriteAt(b, off)
}

func (f besideFile) WriteAt(b []byte, off int64) (int, error) {
	if f.of.hangs != nil {
		select {
		case f.of.began <- struct{}{}:
		default:
		}
		<-f.of.hangs
	}
	if f.of.full.Load() {
		f.of.tries.Add(1)
		return 0, syscall.ENOSPC
	}
	if f.of.lossy.Load() {
		f.of.tries.Add(1)
		return len(b), nil
	}
	return f.File.WriteAt(b, off)
}

// Sync fails on a file system that says late that there is no room.
func (f besideFile) Sync() error {
	if f.of.late.Load() {
		f.of.tries.Add(1)
		return syscall.EDQUOT
	}
	return f.File.Sync()
}

func (f besideFile) ReadAt(b []byte, off int64) (int, error) {
	if f.of.flaky.Load() {
		if _, again := f.of.read.LoadOrStore(readAt{f.File, off}, true); !again {
			f.of.tries.Add(1)
			return 0, syscall.EIO
		}
	}
	n, err := f.File.ReadAt(b, off)
	if f.of.damaged.Load() && n > 0 {
		b[n/2] ^= 1
	}
	return n, err
}

func TestAnIndexForWhichThereIsNoRoomStaysInMemory(t *testing.T) {
	for name, fault := range map[string]func(*beside) *atomic.Bool{
		"it says so at once":            func(b *beside) *atomic.Bool { return &b.full },
		"it says so when it is synced":  func(b *beside) *atomic.Bool { return &b.late },
		"what was written is not there": func(b *beside) *atomic.Bool { return &b.lossy },
	} {
		t.Run(name, func(t *testing.T) {
			var disk beside
			inMemory(t, &disk, fault(&disk))
		})
	}
}

func inMemory(t *testing.T, disk *beside, fault *atomic.Bool) {
	var w warnings
	fault.Store(true)
	const arguments = 3_000
	whole, paged := twins(t, arguments, resultlog.Options{IndexEntries: 100, OpenFile: disk.open, Warn: w.warn})
	compare(t, whole, paged, arguments)
	if s := w.text(); strings.Count(s, "its index cannot be written") != 1 || strings.Count(s, "\n") > 0 || disk.tries.Load() < 2 {
		t.Errorf("after %d tries it warns %q", disk.tries.Load(), s)
	}
	fault.Store(false)
	resultlog.AwaitIndex(paged) // a try that has begun may fail yet
	f := function(t, paged, "f")
	for i := range 1000 {
		if k, e := paged.Submit(f, f.Key(argument(arguments+i), nil)); e.Recorded() || k == (resultlog.Key{}) {
			t.Fatal("what is new is there")
		}
	}
	resultlog.AwaitIndex(paged)
	if resultlog.Runs(paged) == 0 {
		t.Error("it is still in memory")
	}
	closeLog(t, whole)
	closeLog(t, paged)
}

// A disk that does not answer when a part of the index is written holds up neither the calls nor the end of the program.
func TestCallsGoOnWhileTheIndexIsWritten(t *testing.T) {
	disk := beside{hangs: make(chan struct{}), began: make(chan struct{}, 1)}
	defer close(disk.hangs)
	l := open(t, filepath.Join(t.TempDir(), "log"), resultlog.Options{IndexEntries: 100, OpenFile: disk.open, Warn: func(s string) { t.Error(s) }})
	f := function(t, l, "f")
	done := make(chan struct{})
	go func() {
		defer close(done)
		submit := func(from, to int, fresh bool) {
			for i := from; i < to; i++ {
				first := f.Key(argument(i), nil)
				if k, _ := l.Submit(f, first); (k == first) != fresh {
					t.Errorf("call of %d: new %v, want %v", i, !fresh, fresh)
				}
			}
		}
		submit(0, 101, true)
		<-disk.began // the first hundred are being written
		submit(101, 5_000, true)
		submit(0, 5_000, false)
		submit(0, 5_000, false)
		k, _ := l.Submit(f, f.Key(argument(5_000), nil))
		l.Record(f, k, result(0), nil)
	}()
	select {
	case <-done:
	case <-testkit.Within(t).Done():
		t.Fatal("calls wait for the disk")
	}
	if resultlog.Runs(l) > 0 {
		t.Error("it did not hang")
	}
	if err := l.Flush(t.Context()); err != nil {
		t.Error(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	closing := make(chan error, 1)
	go func() { closing <- l.Close(ctx) }()
	testkit.Until(t, "the end of the results", func() bool { return resultlog.Written(l) })
	cancel()
	select {
	case err := <-closing:
		if err != nil {
			t.Error(err)
		}
	case <-testkit.Within(t).Done():
		t.Fatal("Close does not end with its context")
	}
	l = open(t, l.Path(), resultlog.Options{})
	if _, e := l.Submit(function(t, l, "f"), f.Key(argument(5_000), nil)); !e.Recorded() {
		t.Error("the result is not there")
	}
	closeLog(t, l)
}

func TestTheIndexTakesNoRoomFromResultsOnAFullDisk(t *testing.T) {
	var disk beside
	var w warnings
	l := open(t, filepath.Join(t.TempDir(), "log"), resultlog.Options{IndexEntries: 100, OpenFile: disk.open, Warn: w.warn})
	f := function(t, l, "f")
	if err := l.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	disk.logFull.Store(true)
	k, _ := l.Submit(f, f.Key(argument(0), nil))
	l.Record(f, k, result(0), nil)
	testkit.Until(t, "a full disk", func() bool { return strings.Contains(w.text(), "cannot be written") })
	const arguments = 5_000
	for i := range arguments {
		l.Submit(f, f.Key(argument(i), nil))
	}
	if n := disk.opened.Load(); n > 0 || resultlog.Runs(l) > 0 {
		t.Errorf("%d files of the index were made", n)
	}
	disk.logFull.Store(false)
	testkit.Until(t, "the end of it", func() bool { return strings.Contains(w.text(), "is written again") })
	for i := range 100 {
		l.Submit(f, f.Key(argument(arguments+i), nil))
	}
	testkit.Until(t, "a run", func() bool { return resultlog.Runs(l) > 0 })
	if n, memory := l.Size(); n < arguments || memory > 8*arguments {
		t.Errorf("%d entries take %d bytes of memory", n, memory)
	}
	if s := w.text(); strings.Contains(s, "index") {
		t.Errorf("it warns %q", s)
	}
	closeLog(t, l)
}

// A call of which nobody knows whether it was submitted before must not get the result of the one before.
func TestWhatADamagedIndexSaysIsNotUsed(t *testing.T) {
	var disk beside
	var w warnings
	const arguments = 1_000
	whole, paged := twins(t, arguments, resultlog.Options{IndexEntries: 10, OpenFile: disk.open, Warn: w.warn})
	f := function(t, paged, "f")
	for i := range arguments {
		paged.Submit(f, f.Key(argument(i), nil))
	}
	resultlog.AwaitIndex(paged)
	disk.damaged.Store(true)
	unknown := 0
	for i := range arguments {
		first := f.Key(argument(i), nil)
		k, e := paged.Submit(f, first)
		if k == first || e.Recorded() {
			t.Errorf("the second call of %d is taken for the first", i)
		}
		if k == (resultlog.Key{}) {
			unknown++
		}
	}
	if s := w.text(); unknown == 0 || strings.Count(s, "its index cannot be read") != 1 || strings.Count(s, "\n") > 2 {
		t.Errorf("%d are unknown; it warns %q", unknown, s)
	}
	closeLog(t, whole)
	if err := paged.Close(t.Context()); err == nil || !strings.Contains(err.Error(), fmt.Sprint(unknown, " results are not recorded")) {
		t.Errorf("of %d unknown ones it says %v", unknown, err)
	}
	if s := w.text(); !strings.Contains(s, fmt.Sprint("could not be read for ", unknown, " calls")) {
		t.Errorf("of %d unknown ones it warns %q", unknown, s)
	}
}

func TestAReadOfTheIndexThatFailsIsTriedAgain(t *testing.T) {
	var disk beside
	var w warnings
	l := open(t, filepath.Join(t.TempDir(), "log"), resultlog.Options{IndexEntries: 10, OpenFile: disk.open, Warn: w.warn})
	f := function(t, l, "f")
	const arguments = 1_000
	for i := range arguments {
		l.Submit(f, f.Key(argument(i), nil))
	}
	resultlog.AwaitIndex(l)
	disk.flaky.Store(true)
	for i := range arguments {
		first := f.Key(argument(i), nil)
		if k, _ := l.Submit(f, first); k == first || k == (resultlog.Key{}) {
			t.Errorf("the second call of %d is not known", i)
		}
	}
	if s := w.text(); strings.Contains(s, "its index cannot be read") || disk.tries.Load() == 0 {
		t.Errorf("after %d reads that have failed it warns %q", disk.tries.Load(), s)
	}
	closeLog(t, l)
}

// Two masters have a log when the lease of one has run out. The index of neither may be taken for that of the other, not even if their files are one.
func TestTheFileOfAnotherIndexIsNotTakenForItsOwn(t *testing.T) {
	shared := filepath.Join(t.TempDir(), "shared")
	if err := os.WriteFile(shared, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	one := func(name string, flag int, perm os.FileMode) (resultlog.File, error) {
		if strings.Contains(filepath.Base(name), ".index") {
			name, flag = shared, os.O_RDWR
		}
		return os.OpenFile(name, flag, perm)
	}
	const arguments = 1_000
	var w warnings
	l := open(t, filepath.Join(t.TempDir(), "log"), resultlog.Options{IndexEntries: arguments - 100, OpenFile: one, Warn: w.warn})
	other := open(t, filepath.Join(t.TempDir(), "log"), resultlog.Options{IndexEntries: arguments - 100, OpenFile: one})
	f, of := function(t, l, "f"), function(t, other, "f")
	for i := range arguments {
		l.Submit(f, f.Key(argument(i), nil))
	}
	resultlog.AwaitIndex(l)
	for i := range arguments {
		other.Submit(of, of.Key(argument(arguments+i), nil))
	}
	resultlog.AwaitIndex(other)
	for i := range arguments {
		first := f.Key(argument(i), nil)
		if k, _ := l.Submit(f, first); k == first {
			t.Errorf("the second call of %d is taken for the first", i)
		}
	}
	if s := w.text(); !strings.Contains(s, "its index cannot be read") {
		t.Errorf("it warns %q", s)
	}
	_ = l.Close(t.Context())
	closeLog(t, other)
}

func TestFilesOfUsersWithNamesLikeThoseOfTheIndexStay(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	theirs := []string{".index", ".index-1", ".index-2", ".index-12345678", ".index-12345678-", ".index-1234567-1", ".index-123456789-1", ".index-1234567G-1", ".index-1234567A-1",
		".index-12345678-1x", ".index-12345678-1.bak", "2.index-12345678-1", ".indexes-12345678-1"}
	for _, name := range theirs {
		if err := os.WriteFile(path+name, []byte("a user's"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	left := []string{path + ".index-12345678-1", path + ".index-00abcdef-4711"} // by a process that was killed, or that could not remove it
	for _, name := range left {
		if err := os.WriteFile(name, make([]byte, 4096), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	folder := path + ".index-12345678-2"
	if err := os.Mkdir(folder, 0o700); err != nil {
		t.Fatal(err)
	}
	l := open(t, path, resultlog.Options{IndexEntries: 10, Warn: func(s string) { t.Error(s) }})
	f := function(t, l, "f")
	for i := range 1_000 {
		l.Submit(f, f.Key(argument(i), nil))
	}
	resultlog.AwaitIndex(l)
	if resultlog.Runs(l) == 0 {
		t.Error("all of it is in memory")
	}
	closeLog(t, l)
	for _, name := range theirs {
		if b, err := os.ReadFile(path + name); string(b) != "a user's" {
			t.Errorf("%s: %q, %v", name, b, err)
		}
	}
	if _, err := os.Stat(folder); err != nil {
		t.Error(err)
	}
	for _, name := range left {
		if _, err := os.Stat(name); !os.IsNotExist(err) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A master that is refused leaves the files of the one that has the log.
func TestTheFilesOfAnIndexThatIsInUseStay(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	l := open(t, path, resultlog.Options{})
	name := path + ".index-12345678-1"
	if err := os.WriteFile(name, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := resultlog.Open(path, resultlog.Options{}); err == nil {
		t.Fatal("two have it")
	}
	if _, err := os.Stat(name); err != nil {
		t.Error(err)
	}
	closeLog(t, l)
}

func TestAVeryLargeFileOfTheIndexHasNoFilter(t *testing.T) {
	for entries, want := range map[int]int{1000: 1000, 64 << 20: 16 << 20, 64<<20 + 1: 0} {
		if n, err := resultlog.FilterOfRun(filepath.Join(t.TempDir(), "run"), entries); n != want || err != nil {
			t.Errorf("of %d entries it has %d bytes, want %d, %v", entries, n, want, err)
		}
	}
}

func TestTheIndexInMemoryDoesNotGrowWithTheCalls(t *testing.T) {
	l := open(t, filepath.Join(t.TempDir(), "log"), resultlog.Options{IndexEntries: 2_000, Warn: func(s string) { t.Error(s) }})
	defer closeLog(t, l)
	f := function(t, l, "f")
	const n = 100_000
	for i := range n {
		l.Submit(f, f.Key(argument(i), nil))
		if i%2_000 == 0 {
			resultlog.AwaitIndex(l) // else it grows by what comes faster than the disk takes it
		}
	}
	resultlog.AwaitIndex(l)
	entries, memory := l.Size()
	t.Logf("%d entries: %d bytes in %d runs", entries, memory, resultlog.Runs(l))
	if most := 2_000*80 + n*5/4; entries != n || memory > most { // of each in a run a byte, while there are few
		t.Errorf("%d entries take %d bytes, more than %d", entries, memory, most)
	}
}

func TestALogIsClosedWhileCallsAreSubmitted(t *testing.T) {
	for range 30 {
		l := open(t, filepath.Join(t.TempDir(), "log"), resultlog.Options{IndexEntries: 4, Warn: func(s string) { t.Error(s) }})
		f := function(t, l, "f")
		var work sync.WaitGroup
		started := make(chan struct{})
		work.Go(func() {
			for i := range 2_000 {
				l.Submit(f, f.Key(argument(i), nil))
				if i == 50 {
					close(started)
				}
			}
		})
		<-started
		closeLog(t, l)
		work.Wait()
	}
}

// BenchmarkSubmitNew submits new calls without end: -benchtime 100000000x tells what a day of a thousand calls a second costs, and what memory it takes.
func BenchmarkSubmitNew(b *testing.B) {
	l := open(b, filepath.Join(b.TempDir(), "log"), resultlog.Options{Warn: func(s string) { b.Error(s) }})
	f := function(b, l, "f")
	var arg [8]byte
	n := 0
	for b.Loop() {
		binary.LittleEndian.PutUint64(arg[:], uint64(n))
		l.Submit(f, f.Key(arg[:], nil))
		n++
	}
	b.StopTimer()
	_, bytes := l.Size()
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	b.ReportMetric(float64(bytes)/(1<<20), "index-MiB")
	b.ReportMetric(float64(m.HeapAlloc)/(1<<20), "heap-MiB")
	b.ReportMetric(float64(resultlog.Runs(l)), "runs")
	closeLog(b, l)
}
