package resultlog_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/rankpool/rankpool/internal/resultlog"
)

// warnings gathers what a log warns of.
type warnings struct {
	mu  sync.Mutex
	all []string
}

func (w *warnings) warn(s string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.all = append(w.all, s)
}

func (w *warnings) text() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return strings.Join(w.all, "\n")
}

// open opens a log that must open.
func open(t testing.TB, path string, o resultlog.Options) *resultlog.Log {
	t.Helper()
	l, err := resultlog.Open(path, o)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func closeLog(t testing.TB, l *resultlog.Log) {
	t.Helper()
	if err := l.Close(context.Background()); err != nil {
		t.Fatal(err)
	}
}

func function(t testing.TB, l *resultlog.Log, name string) *resultlog.Func {
	t.Helper()
	f, err := l.Function(resultlog.Function{Name: name})
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func argument(i int) []byte { return fmt.Appendf(nil, "argument %d", i) }
func result(i int) []byte   { return fmt.Appendf(nil, "result %d", i*i) }

// record records results of the calls from, from+1, … of a function.
func record(l *resultlog.Log, f *resultlog.Func, from, to int) {
	for i := from; i < to; i++ {
		k, _ := l.Submit(f, f.Key(argument(i), nil))
		l.Record(f, k, result(i), nil)
	}
}

// recorded returns which of n calls have the right result, and fails if one has a wrong one.
func recorded(t testing.TB, l *resultlog.Log, f *resultlog.Func, n int) []bool {
	t.Helper()
	r, have := l.Reader(), make([]bool, n)
	for i := range n {
		_, e := l.Submit(f, f.Key(argument(i), nil))
		o, ok := r.Read(e)
		if ok && !bytes.Equal(o.Stream, result(i)) {
			t.Fatalf("call %d has the result %q", i, o.Stream)
		}
		have[i] = ok
	}
	return have
}

func count(have []bool) (n int) {
	for _, ok := range have {
		if ok {
			n++
		}
	}
	return n
}

func TestWhatWasRecordedIsThereWhenTheLogIsOpenedAgain(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	const n = 5000
	for round := range 3 {
		l := open(t, path, resultlog.Options{})
		f := function(t, l, "f")
		if have := count(recorded(t, l, f, n)); have != round*1000 {
			t.Errorf("%d results in round %d", have, round)
		}
		record(l, function(t, l, "other"), 0, 10)
		l2 := f // what was submitted above counts as a first occurrence: record it under its own key
		for i := round * 1000; i < (round+1)*1000; i++ {
			l.Record(l2, l2.Key(argument(i), nil), result(i), nil)
		}
		closeLog(t, l)
	}
}

func TestEqualArgumentsAreEntriesOfTheirOwn(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	l := open(t, path, resultlog.Options{})
	f := function(t, l, "draw")
	for i := range 1000 {
		k, e := l.Submit(f, f.Key([]byte("seed"), nil))
		if e.Recorded() {
			t.Fatal("recorded before it ran")
		}
		l.Record(f, k, result(i), nil)
	}
	closeLog(t, l)
	l = open(t, path, resultlog.Options{})
	f = function(t, l, "draw")
	r := l.Reader()
	for i := range 1001 {
		_, e := l.Submit(f, f.Key([]byte("seed"), nil))
		o, ok := r.Read(e)
		if ok != (i < 1000) || ok && !bytes.Equal(o.Stream, result(i)) {
			t.Fatal(i, ok, string(o.Stream))
		}
	}
	closeLog(t, l)
}

func TestAnotherVersionOrLayoutIsNewWork(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	all := []resultlog.Function{{Name: "f"}, {Name: "f", Version: "2"}, {Name: "g"}, {Name: "f", Types: [8]byte{1}}, {Name: "f", Given: [8]byte{1}}}
	for i := range all {
		l := open(t, path, resultlog.Options{})
		for j, fn := range all {
			f, err := l.Function(fn)
			if err != nil {
				t.Fatal(err)
			}
			if have := count(recorded(t, l, f, 10)); (have == 10) != (j < i) || (have == 0) != (j >= i) {
				t.Errorf("%v has %d results after %d were recorded", fn, have, i)
			}
			if i == j {
				for k := range 10 {
					l.Record(f, f.Key(argument(k), nil), result(k), nil)
				}
			}
		}
		closeLog(t, l)
	}
}

func TestSegmentsComeBackWhateverTheirSize(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	shapes := [][]int{{}, {0}, {1, 2, 3}, {100, 40000}, {1 << 16}, {3 << 20, 0, 1 << 20}}
	value := func(i, j int) []byte {
		b := make([]byte, shapes[i][j])
		r := rand.NewChaCha8([32]byte{byte(i), byte(j)})
		_, _ = r.Read(b)
		return b
	}
	stream := func(i int) []byte { return bytes.Repeat([]byte{byte(i)}, []int{0, 5, 70000}[i%3]) }
	l := open(t, path, resultlog.Options{})
	f := function(t, l, "f")
	for i := range shapes {
		var segments [][]byte
		for j := range shapes[i] {
			segments = append(segments, value(i, j))
		}
		k, _ := l.Submit(f, f.Key(argument(i), nil))
		l.Record(f, k, stream(i), segments)
		for _, s := range segments { // they are the caller's again
			clear(s)
		}
	}
	closeLog(t, l)
	l = open(t, path, resultlog.Options{})
	f = function(t, l, "f")
	r := l.Reader()
	for i := range shapes {
		_, e := l.Submit(f, f.Key(argument(i), nil))
		o, ok := r.Read(e)
		if !ok {
			t.Fatal(i)
		}
		if o.Large != nil {
			var err error
			if o.Stream, o.Segments, err = o.Large.Read(); err != nil {
				t.Fatal(err)
			}
		}
		if !bytes.Equal(o.Stream, stream(i)) || len(o.Segments) != len(shapes[i]) {
			t.Fatal(i, len(o.Stream), len(o.Segments))
		}
		for j, s := range o.Segments {
			if !bytes.Equal(s, value(i, j)) {
				t.Error(i, j)
			}
		}
	}
	closeLog(t, l)
	if info, err := resultlog.Inspect(path, true); err != nil || len(info.Damaged) > 0 || info.Cut > 0 {
		t.Error(info, err)
	}
}

func TestAFailureIsRecordedAsOneAndAResultTakesItsPlace(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	l := open(t, path, resultlog.Options{})
	f := function(t, l, "f")
	k, _ := l.Submit(f, f.Key(argument(1), nil))
	l.Failed(f, k, "out of paper")
	closeLog(t, l)
	l = open(t, path, resultlog.Options{})
	f = function(t, l, "f")
	k, e := l.Submit(f, f.Key(argument(1), nil))
	if o, ok := l.Reader().Read(e); !ok || !o.Failed || o.Text != "out of paper" || o.When.IsZero() {
		t.Error(o, ok)
	}
	l.Record(f, k, result(1), nil)
	l.Failed(f, k, "too late")
	closeLog(t, l)
	l = open(t, path, resultlog.Options{})
	if n := count(recorded(t, l, function(t, l, "f"), 2)); n != 1 {
		t.Error(n)
	}
	closeLog(t, l)
}

func TestForgetAndCompactionLeaveTheOthers(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	l := open(t, path, resultlog.Options{})
	f, g := function(t, l, "f"), function(t, l, "g")
	record(l, f, 0, 100)
	record(l, g, 0, 100)
	k, _ := l.Submit(g, g.Key([]byte("large"), nil))
	l.Record(g, k, make([]byte, 1<<20), nil)
	k, _ = l.Submit(f, f.Key([]byte("large"), nil))
	l.Record(f, k, make([]byte, 2<<20), nil)
	closeLog(t, l)
	check := func(wantF, wantG int) {
		t.Helper()
		l := open(t, path, resultlog.Options{})
		f, g := function(t, l, "f"), function(t, l, "g")
		if nf, ng := count(recorded(t, l, f, 100)), count(recorded(t, l, g, 100)); nf != wantF || ng != wantG {
			t.Errorf("%d of f and %d of g", nf, ng)
		}
		_, e := l.Submit(g, g.Key([]byte("large"), nil))
		if o, ok := l.Reader().Read(e); !ok || o.Large == nil {
			t.Error("the large one of g is gone")
		} else if b, _, err := o.Large.Read(); err != nil || len(b) != 1<<20 {
			t.Error(len(b), err)
		}
		closeLog(t, l)
	}
	check(100, 100)
	if n, err := resultlog.Forget(path, "f", resultlog.Options{}); n != 101 || err != nil {
		t.Error(n, err)
	}
	if _, err := resultlog.Forget(path, "f", resultlog.Options{}); err == nil {
		t.Error("forgotten twice")
	}
	check(0, 100)
	before, after, err := resultlog.Compact(path, resultlog.Options{})
	if err != nil || before-after < 2<<20 {
		t.Error(before, after, err)
	}
	check(0, 100)
	l = open(t, path, resultlog.Options{})
	record(l, function(t, l, "f"), 0, 50)
	closeLog(t, l)
	check(50, 100)
}

func TestTheIndexTakesAtMost40BytesAnEntry(t *testing.T) {
	for _, n := range []int{20_000, 100_000, 1_000_000} {
		bytes := resultlog.IndexBytes(n)
		t.Logf("%d entries: %.1f bytes each", n, float64(bytes)/float64(n))
		if bytes > 40*n {
			t.Errorf("the index of %d entries takes %d bytes", n, bytes)
		}
	}
}

func TestAFileOfAnotherKindIsRefused(t *testing.T) {
	for name, text := range map[string]string{"short": "x", "long": strings.Repeat("results of mine\n", 100)} {
		path := filepath.Join(t.TempDir(), name)
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		if _, err := resultlog.Open(path, resultlog.Options{}); !errors.Is(err, resultlog.ErrNotALog) || !strings.Contains(err.Error(), path) {
			t.Error(name, err)
		}
		if b, err := os.ReadFile(path); string(b) != text {
			t.Errorf("it was changed: %q, %v", b, err)
		}
	}
}

// 10 million results of 8 bytes are to open in 5 s.
func BenchmarkOpen10MillionResults(b *testing.B) {
	path := filepath.Join(b.TempDir(), "log")
	l := open(b, path, resultlog.Options{})
	f := function(b, l, "f")
	const n = 10_000_000
	var arg [8]byte
	for i := range n {
		for j := range arg {
			arg[j] = byte(i >> (8 * j))
		}
		l.Record(f, f.Key(arg[:], nil), arg[:], nil)
	}
	closeLog(b, l)
	for b.Loop() {
		l := open(b, path, resultlog.Options{})
		keys, bytes := l.Size()
		if keys != n {
			b.Fatal(keys)
		}
		b.ReportMetric(float64(bytes)/n, "index-B/entry")
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		b.ReportMetric(float64(m.HeapAlloc)/n, "heap-B/entry")
		closeLog(b, l)
	}
}

func BenchmarkRecordTiny(b *testing.B) {
	l := open(b, filepath.Join(b.TempDir(), "log"), resultlog.Options{})
	defer closeLog(b, l)
	f := function(b, l, "f")
	var arg [8]byte
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		i++
		for j := range arg {
			arg[j] = byte(i >> (8 * j))
		}
		k, _ := l.Submit(f, f.Key(arg[:], nil))
		l.Record(f, k, arg[:], nil)
	}
}

func BenchmarkKeyOfAMiB(b *testing.B) {
	l := open(b, filepath.Join(b.TempDir(), "log"), resultlog.Options{})
	defer closeLog(b, l)
	f := function(b, l, "f")
	arg := make([]byte, 1<<20)
	b.SetBytes(1 << 20)
	for b.Loop() {
		f.Key(nil, [][]byte{arg})
	}
}

func BenchmarkRecord256MiB(b *testing.B) {
	path := filepath.Join(b.TempDir(), "log")
	value := make([]byte, 256<<20)
	for b.Loop() {
		l := open(b, path, resultlog.Options{})
		f := function(b, l, "f")
		k, _ := l.Submit(f, f.Key([]byte{1}, nil))
		l.Record(f, k, nil, [][]byte{value})
		closeLog(b, l)
		l = open(b, path, resultlog.Options{})
		f = function(b, l, "f")
		_, e := l.Submit(f, f.Key([]byte{1}, nil))
		o, ok := l.Reader().Read(e)
		if !ok || o.Large.Size() < 256<<20 {
			b.Fatal(ok)
		}
		if _, s, err := o.Large.Read(); err != nil || len(s[0]) != len(value) {
			b.Fatal(err)
		}
		closeLog(b, l)
		_ = os.Remove(path)
	}
}
