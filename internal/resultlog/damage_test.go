package resultlog_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rankpool/rankpool/internal/resultlog"
)

// sample makes a file with n results of f, of which one is large, and returns its bytes and where each result ends.
func sample(t testing.TB, dir string, n int) (file []byte, ends []int) {
	t.Helper()
	path := filepath.Join(dir, "sample")
	l := open(t, path, resultlog.Options{})
	f := function(t, l, "f")
	for i := range n {
		record(l, f, i, i+1)
		if err := l.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
		st, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		ends = append(ends, int(st.Size()))
	}
	closeLog(t, l)
	file, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return file, ends
}

func TestATailThatIsCutAtAnyByteLosesOnlyWhatItCuts(t *testing.T) {
	dir := t.TempDir()
	const n = 5
	file, ends := sample(t, dir, n)
	path := filepath.Join(dir, "cut")
	for size := range len(file) + 1 {
		if err := os.WriteFile(path, file[:size], 0o644); err != nil {
			t.Fatal(err)
		}
		var w warnings
		l, err := resultlog.Open(path, resultlog.Options{Warn: w.warn})
		if err != nil {
			t.Fatalf("cut to %d bytes: %v", size, err)
		}
		f := function(t, l, "f")
		have := recorded(t, l, f, n)
		whole := size <= resultlog.HeadSize || size == ends[n-1]
		for i, end := range ends {
			if have[i] != (end <= size) {
				t.Errorf("cut to %d bytes: result %d, which ends at %d, is there: %v", size, i, end, have[i])
			}
			whole = whole || end == size
		}
		if told := w.text() != ""; told && whole {
			t.Errorf("cut to %d bytes: %s", size, w.text())
		}
		l.Record(f, f.Key(argument(n-1), nil), result(n-1), nil) // it goes on
		closeLog(t, l)
		l = open(t, path, resultlog.Options{Warn: func(s string) { t.Errorf("cut to %d bytes, written and opened again: %s", size, s) }})
		if have := recorded(t, l, function(t, l, "f"), n); !have[n-1] || count(have) < 1 {
			t.Errorf("cut to %d bytes: what was recorded after that is gone", size)
		}
		closeLog(t, l)
	}
}

func TestAFlippedBitCostsItsEntryAndIsTold(t *testing.T) {
	dir := t.TempDir()
	const n = 5
	file, ends := sample(t, dir, n)
	path := filepath.Join(dir, "flipped")
	begin := func(i int) int {
		if i == 0 {
			return resultlog.HeadSize
		}
		return ends[i-1]
	}
	for bit := 0; bit < len(file)*8; bit += 5 { // each byte, and in all of them each bit
		at := bit / 8
		file[at] ^= 1 << (bit % 8)
		if err := os.WriteFile(path, file, 0o644); err != nil {
			t.Fatal(err)
		}
		file[at] ^= 1 << (bit % 8)
		var w warnings
		l, err := resultlog.Open(path, resultlog.Options{Warn: w.warn})
		if err != nil {
			t.Fatalf("bit %d: %v", bit, err)
		}
		have := recorded(t, l, function(t, l, "f"), n)
		closeLog(t, l)
		lost := 0
		for i := range n {
			if have[i] {
				continue
			}
			lost++
			if at < begin(i) || at >= ends[i] {
				t.Errorf("bit %d of byte %d: result %d, in bytes %d to %d, is gone", bit%8, at, i, begin(i), ends[i])
			}
		}
		if lost > 1 || at >= resultlog.HeadSize && w.text() == "" {
			t.Errorf("bit %d: %d are lost, and told is %q", bit, lost, w.text())
		}
	}
}

func TestADamagedLargeResultRunsAgainAndTheOthersStay(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	l := open(t, path, resultlog.Options{})
	f := function(t, l, "f")
	record(l, f, 0, 2)
	k, _ := l.Submit(f, f.Key([]byte("large"), nil))
	l.Record(f, k, make([]byte, 1<<20), nil)
	record(l, f, 2, 4)
	closeLog(t, l)
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for name, at := range map[string]int{"body": len(b) / 2, "head": strings.LastIndex(string(b[:2000]), "result 1") + 8 + 5} {
		b[at] ^= 16
		if err := os.WriteFile(path, b, 0o644); err != nil {
			t.Fatal(err)
		}
		b[at] ^= 16
		if info, err := resultlog.Inspect(path, true); err != nil || len(info.Damaged) != 1 {
			t.Error(name, info.Damaged, err)
		}
		var w warnings
		l = open(t, path, resultlog.Options{Warn: w.warn})
		f = function(t, l, "f")
		_, e := l.Submit(f, f.Key([]byte("large"), nil))
		if _, ok := l.Reader().Read(e); ok || w.text() == "" {
			t.Error(name, "the damaged result is there, or nothing was said:", w.text())
		}
		if n := count(recorded(t, l, f, 4)); n != 4 {
			t.Errorf("%s: %d of 4 others are there", name, n)
		}
		closeLog(t, l)
	}
}

func FuzzOpenAndGoOn(f *testing.F) {
	file, ends := sample(f, f.TempDir(), 4)
	f.Add(file[resultlog.HeadSize:], 0, byte(0))
	f.Add(file[resultlog.HeadSize:ends[2]], 50, byte(3))
	f.Add(make([]byte, 300), 10, byte(255))
	f.Fuzz(func(t *testing.T, tail []byte, at int, flip byte) {
		path := filepath.Join(t.TempDir(), "log")
		b := append(append([]byte(nil), file[:resultlog.HeadSize]...), tail...)
		if at >= 0 && at < len(tail) {
			b[resultlog.HeadSize+at] ^= flip
		}
		if err := os.WriteFile(path, b, 0o644); err != nil {
			t.Fatal(err)
		}
		if _, err := resultlog.Inspect(path, true); err != nil {
			t.Fatal(err)
		}
		l := open(t, path, resultlog.Options{})
		fn := function(t, l, "fresh")
		record(l, fn, 0, 3)
		closeLog(t, l)
		l = open(t, path, resultlog.Options{})
		if n := count(recorded(t, l, function(t, l, "fresh"), 3)); n != 3 {
			t.Errorf("%d of 3 that were recorded after it", n)
		}
		closeLog(t, l)
		if _, _, err := resultlog.Compact(path, resultlog.Options{}); err != nil {
			t.Fatal(err)
		}
		if info, err := resultlog.Inspect(path, true); err != nil || len(info.Damaged) > 0 || info.Cut > 0 {
			t.Error("after a compaction:", info, err)
		}
	})
}
