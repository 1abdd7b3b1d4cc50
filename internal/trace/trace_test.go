package trace_test

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rankpool/rankpool/internal/testkit"
	"github.com/rankpool/rankpool/internal/trace"
)

func TestMain(m *testing.M) { testkit.Main(m) }

// read returns the events of a recording.
func read(t *testing.T, b []byte) (all []trace.Event, whole int64, cut bool) {
	t.Helper()
	whole, cut, err := trace.Read(bytes.NewReader(b), func(e *trace.Event) error {
		c := *e
		if e.Run != nil {
			run := *e.Run
			c.Run = &run
		}
		if e.Counters != nil {
			counters := *e.Counters
			c.Counters = &counters
		}
		all = append(all, c)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all, whole, cut
}

func open(t *testing.T, path string) *trace.Pool {
	t.Helper()
	p, err := trace.Open(trace.Config{Path: path, Kind: "processes", Run: trace.Run{Program: "/bin/sim", Host: "node1", Pid: 77, System: "linux/amd64",
		Go: "go1.26", Version: "v0.1.0", Cores: 4},
		Warn: func(text string, err error) { t.Error(text, err) }})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func closed(t *testing.T, p *trace.Pool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), testkit.Limit)
	defer cancel()
	if err := p.Close(ctx, nil); err != nil {
		t.Fatal(err)
	}
}

func contents(t *testing.T, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

const ms = time.Millisecond

// everything has each kind of event, and each field.
func everything() []trace.Event {
	return []trace.Event{
		{Kind: trace.WorkerIs, At: ms, Worker: 3, Phase: trace.Starting, Rank: -1, Attempt: 1},
		{Kind: trace.WorkerIs, At: 9 * ms, Worker: 3, Phase: trace.Ready, Host: "node2", Pid: 501, Rank: 4, Attempt: 1},
		{Kind: trace.JobQueued, At: 10 * ms, Worker: -1, Rank: -1, Job: 1, Func: "simulate", Count: 1000, Chunk: 10, Map: 2, Attempt: 1},
		{Kind: trace.ClockKnown, At: 11 * ms, Worker: 3, Rank: -1, Bound: 12345, Attempt: 1},
		{Kind: trace.UnitsRan, At: 12 * ms, Worker: 3, Rank: -1, Job: 1, First: 20, Count: 10, Units: 1, Queued: 10 * ms, Begun: 13 * ms, Ended: 20 * ms,
			Answered: 21 * ms, Busy: 7 * ms, In: 100, Out: 2000, Attempt: 1},
		{Kind: trace.UnitsRan, At: 11 * ms, Worker: 0, Rank: -1, Job: 2, Count: 1, Units: 1, Queued: 10 * ms, Begun: 13 * ms, Ended: 20 * ms,
			Answered: 20 * ms, Busy: 7 * ms, In: 100, Out: 20, Attempt: 3, Outcome: trace.Lost, Func: "call"},
		{Kind: trace.UnitsRan, At: 11 * ms, Worker: 0, Rank: -1, Count: 4000, Units: 4000, Queued: 11 * ms, Begun: 13 * ms, Ended: 20 * ms,
			Answered: 20 * ms, Busy: 3 * ms, Longest: 2 * ms, Attempt: 1, Func: "call"},
		{Kind: trace.UnitFailed, At: 21 * ms, Worker: 3, Rank: -1, Job: 1, First: 25, Func: "simulate", Text: "no convergence", Attempt: 2, Outcome: trace.Failed},
		{Kind: trace.Cancelled, At: 22 * ms, Worker: -1, Rank: -1, Job: 1, Units: 7, Attempt: 1},
		{Kind: trace.WorkerIs, At: 22 * ms, Worker: 3, Phase: trace.Died, Host: "node2", Pid: 501, Rank: 4, Text: "killed", Attempt: 1},
		{Kind: trace.Counted, At: 23 * ms, Worker: -1, Rank: -1, Attempt: 1, Counters: &trace.Counters{Submitted: 9, Done: 8, Failed: 7, Cancelled: 6, Retried: 5,
			Lost: 4, Restarts: 3, Queued: 2, Running: 1, Workers: 10}},
	}
}

func TestWhatIsRecordedIsRead(t *testing.T) {
	path := filepath.Join(t.TempDir(), "recording")
	p := open(t, path)
	want := everything()
	for i := range want {
		p.Add(want[i])
		want[i].Pool = 1
	}
	closed(t, p)
	got, whole, cut := read(t, contents(t, path))
	if cut || whole != int64(len(contents(t, path))) || len(got) != len(want)+3 {
		t.Fatalf("%d events, %d whole bytes of %d, cut %v", len(got), whole, len(contents(t, path)), cut)
	}
	run := got[0].Run
	if got[0].Kind != trace.RunBegins || run.Program != "/bin/sim" || run.Host != "node1" || run.Pid != 77 || run.System != "linux/amd64" ||
		run.Go != "go1.26" || run.Version != "v0.1.0" || run.Cores != 4 || run.Limit != trace.DefaultLimit || time.Since(run.Began) > testkit.Limit {
		t.Errorf("%+v", run)
	}
	if got[1].Kind != trace.PoolBegins || got[1].Text != "processes" || got[len(got)-1].Kind != trace.PoolEnds {
		t.Errorf("%+v ... %+v", got[1], got[len(got)-1])
	}
	if diff := cmp.Diff(want, got[2:len(got)-1]); diff != "" {
		t.Error(diff)
	}
}

// A program may be killed at any moment, and the machine with it.
func TestARecordingIsReadWhereverItIsCutAndGoesOnThere(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "recording")
	p := open(t, path)
	for _, e := range everything() {
		p.Add(e)
	}
	closed(t, p)
	b := contents(t, path)
	all, _, _ := read(t, b)
	before := 0
	for n := range b {
		got, whole, cut := read(t, b[:n])
		if cut != (whole < int64(n)) || whole > int64(n) || len(got) < before || len(got) > len(all) {
			t.Fatalf("cut at %d: %d events of %d, %d whole bytes, cut %v", n, len(got), len(all), whole, cut)
		}
		before = len(got)
		if n < 6 || n%7 > 0 && n > 60 {
			continue
		}
		again := filepath.Join(dir, "again")
		if err := os.WriteFile(again, b[:n], 0o600); err != nil {
			t.Fatal(err)
		}
		next := open(t, again)
		next.Add(trace.Event{Kind: trace.Cancelled, At: ms, Units: 5})
		closed(t, next)
		after, _, cut := read(t, contents(t, again))
		if cut || len(after) != len(got)+4 || after[len(got)].Kind != trace.RunBegins || after[len(got)+2].Units != 5 {
			t.Fatalf("cut at %d and gone on with: %d events after %d, cut %v", n, len(after), len(got), cut)
		}
		os.Remove(again)
	}
}

func TestAnotherFileStaysAsItIs(t *testing.T) {
	for _, text := range []string{"x,y\n1,2\n", "\n", "\n\n\n\n\n\n\n\n\n\n\n", string(bytes.Repeat([]byte("0123456789"), 100))} {
		path := filepath.Join(t.TempDir(), "results.csv")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		warned := make(chan error, 10)
		p, err := trace.Open(trace.Config{Path: path, Warn: func(_ string, err error) { warned <- err }})
		if err != nil {
			t.Fatal(err)
		}
		p.Add(trace.Event{Kind: trace.Cancelled, Units: 5})
		closed(t, p)
		if got := string(contents(t, path)); got != text {
			t.Errorf("%q has become %q", text, got)
		}
		if err := <-warned; !errors.Is(err, trace.ErrNoRecording) {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func TestPoolsOfOneProgramWriteOneRun(t *testing.T) {
	path := filepath.Join(t.TempDir(), "recording")
	a, b := open(t, path), open(t, path)
	var both sync.WaitGroup
	for _, p := range []*trace.Pool{a, b} {
		both.Go(func() {
			for i := range 1000 {
				p.Add(trace.Event{Kind: trace.UnitsRan, Worker: 1, First: i, Count: 1, Units: 1, Job: 1, Attempt: 1, At: p.Now()})
			}
			_ = p.Close(testkit.Within(t), nil)
		})
	}
	both.Wait()
	c := open(t, path) // afterwards: the file was closed
	closed(t, c)
	got, _, _ := read(t, contents(t, path))
	units, ids, pools := map[int]int{}, map[uint64]bool{}, map[int]bool{}
	for _, e := range got {
		switch e.Kind {
		case trace.UnitsRan:
			if e.First != units[e.Pool] {
				t.Fatalf("element %d of pool %d comes after %d", e.First, e.Pool, units[e.Pool]-1)
			}
			units[e.Pool]++
		case trace.RunBegins:
			ids[e.Run.ID] = true
		case trace.PoolBegins:
			pools[e.Pool] = true
		}
	}
	if units[1] != 1000 || units[2] != 1000 || len(ids) != 1 || len(pools) != 3 {
		t.Errorf("units %v, %d runs, pools %v", units, len(ids), pools)
	}
}

// What holds the writer up here is a function of the test. A disk that hangs does the same.
func TestAWriterThatHangsHoldsNobodyUpAndLosesNoUnit(t *testing.T) {
	path := filepath.Join(t.TempDir(), "recording")
	p := open(t, path)
	hangs, free := make(chan struct{}), make(chan struct{})
	var once sync.Once
	p.Sample(func() {
		once.Do(func() { close(hangs) })
		<-free
	})
	<-hangs
	const n = 200000
	for i := range n {
		took := ms
		if i == 150000 {
			took = time.Hour
		}
		p.Add(trace.Event{Kind: trace.UnitsRan, Worker: i % 3, First: i, Count: 1, Units: 1, Job: 1, Attempt: 1, At: time.Duration(i) * ms,
			Begun: time.Duration(i) * ms, Ended: time.Duration(i)*ms + took, Busy: took})
	}
	ctx, cancel := context.WithTimeout(t.Context(), ms)
	defer cancel()
	if err := p.Close(ctx, nil); err == nil {
		t.Error("all was written while the writer hung")
	}
	close(free)
	closed(t, p)
	got, _, _ := read(t, contents(t, path))
	units, records, thinned, longest := 0, 0, 0, 0
	for _, e := range got {
		switch e.Kind {
		case trace.UnitsRan:
			units += e.Units
			records++
			if e.Longest == time.Hour {
				longest = e.First
			}
		case trace.Thinned:
			thinned = e.Units
		}
	}
	if units != n || records > 1<<15 || thinned < n-1<<15 || thinned > n || longest != 150000 {
		t.Errorf("%d units in %d records, %d put together, the longest is %d", units, records, thinned, longest)
	}
}

type panics struct{}

func (panics) Error() string { panic("its author did not expect that") }

// The text of an error is asked for by the goroutine that writes, for its method may be a user's.
func TestTheTextOfAnErrorIsAskedForWhenItIsWritten(t *testing.T) {
	path := filepath.Join(t.TempDir(), "recording")
	p := open(t, path)
	p.Add(trace.Event{Kind: trace.UnitFailed, Err: errors.New("no convergence")})
	p.Add(trace.Event{Kind: trace.UnitFailed, Err: panics{}})
	p.Add(trace.Event{Kind: trace.UnitFailed, Err: (*os.PathError)(nil)})
	closed(t, p)
	var texts []string
	all, _, _ := read(t, contents(t, path))
	for _, e := range all {
		if e.Kind == trace.UnitFailed {
			texts = append(texts, e.Text)
		}
	}
	if len(texts) != 3 || texts[0] != "no convergence" || !strings.Contains(texts[1], "its author did not expect that") {
		t.Errorf("%q", texts)
	}
}

// Jobs, failures and losses take room as units do, and cannot be put together.
func TestWhatIsNoUnitKeepsToTheLimitTooAndWhatIsMissingIsSaid(t *testing.T) {
	path := filepath.Join(t.TempDir(), "recording")
	var warned []string // by the goroutine that writes
	p, err := trace.Open(trace.Config{Path: path, Limit: trace.LeastLimit, Warn: func(text string, _ error) { warned = append(warned, text) }})
	if err != nil {
		t.Fatal(err)
	}
	wrote := make(chan struct{}, 1)
	p.Sample(func() {
		select {
		case wrote <- struct{}{}:
		default:
		}
	})
	const n = 1 << 18
	for i := range n {
		if i%4096 == 0 { // otherwise the memory would be full first
			p.Rouse()
			<-wrote
		}
		p.Add(trace.Event{Kind: trace.UnitFailed, At: time.Duration(i) * ms, Job: uint64(i), Text: "no convergence"})
	}
	p.Add(trace.Event{Kind: trace.UnitsRan, Worker: 1, Count: 7, Units: 7, Func: "f"})
	closed(t, p)
	limited(t, warned, 2)
	if size := len(contents(t, path)); size > trace.LeastLimit || size < trace.LeastLimit/2 {
		t.Errorf("%d bytes", size)
	}
	failures, units, missing, ended := 0, 0, 0, false
	all, _, _ := read(t, contents(t, path))
	for _, e := range all {
		switch e.Kind {
		case trace.UnitFailed:
			failures++
		case trace.UnitsRan:
			units += e.Units
		case trace.PoolEnds:
			ended = true
		case trace.Thinned:
			missing = e.Count
		}
	}
	if failures+missing != n || missing == 0 || units != 7 || !ended {
		t.Errorf("%d failures, %d missing, %d units, the end is told: %v", failures, missing, units, ended)
	}
}

func TestARecordingKeepsToItsLimitAndTellsOfAllUnits(t *testing.T) {
	path := filepath.Join(t.TempDir(), "recording")
	var warned []string // by the goroutine that writes
	p, err := trace.Open(trace.Config{Path: path, Limit: trace.LeastLimit, Warn: func(text string, _ error) { warned = append(warned, text) }})
	if err != nil {
		t.Fatal(err)
	}
	const n = 1 << 20
	wrote := make(chan struct{}, 1)
	p.Sample(func() {
		select {
		case wrote <- struct{}{}:
		default:
		}
	})
	for i := range n {
		if i%4096 == 0 { // otherwise the memory would be full first
			<-wrote
			if i%8192 == 0 {
				<-wrote
			}
		}
		at := time.Duration(i) * 1234567
		p.Add(trace.Event{Kind: trace.UnitsRan, Worker: i % 16, First: i, Count: 1, Units: 1, Job: 1, Attempt: 1, At: at, Begun: at + 5000, Ended: at + 9*ms,
			Answered: at + 10*ms, Busy: 9 * ms, In: int64(i % 1000), Out: int64(i % 1000)})
		if i%1024 == 0 {
			p.Rouse()
		}
	}
	closed(t, p)
	limited(t, warned, 1)
	size := len(contents(t, path))
	got, _, _ := read(t, contents(t, path))
	units, busy, single := 0, time.Duration(0), 0
	for _, e := range got {
		if e.Kind == trace.UnitsRan {
			units += e.Units
			busy += e.Busy
			if e.Units == 1 {
				single++
			}
		}
	}
	if size > trace.LeastLimit || units != n || busy != n*9*ms || single < 1000 {
		t.Errorf("%d bytes, %d units, busy %v, %d by themselves", size, units, busy, single)
	}
	if size < trace.LeastLimit/2 {
		t.Errorf("%d bytes: it began to thin out too early", size)
	}
}

// limited checks that what the limit does was said, once.
func limited(t *testing.T, warned []string, lines int) {
	t.Helper()
	for i, want := range []string{"half of the limit", "has its limit"} {
		if i < lines && (len(warned) <= i || !strings.Contains(warned[i], want)) || len(warned) > 2 {
			t.Errorf("%q was said", warned)
		}
	}
}

// asks is an error whose method does what an author may do.
type asks struct{ f func() }

func (a asks) Error() string { a.f(); return "asked" }

// It would wait for itself if a lock of the writer were held.
func TestTheTextOfAnErrorMayUseTheRecording(t *testing.T) {
	path := filepath.Join(t.TempDir(), "recording")
	p, other := open(t, path), open(t, path)
	p.Add(trace.Event{Kind: trace.UnitFailed, Err: asks{func() {
		other.Add(trace.Event{Kind: trace.Cancelled, Units: 3})
		closed(t, other) // which the writer's lock is needed for
	}}})
	closed(t, p)
	cancelled, said := 0, 0
	all, _, _ := read(t, contents(t, path))
	for _, e := range all {
		cancelled += e.Units
		if e.Text == "asked" {
			said++
		}
	}
	if cancelled != 3 || said != 1 {
		t.Errorf("%d cancelled, %d failures", cancelled, said)
	}
}

// What a program has left it need not read again: many executors on one large file would read it many times. A file that somebody else has
// changed meanwhile is read.
func TestAFileThatThisProgramHasLeftIsNotReadAgain(t *testing.T) {
	path := filepath.Join(t.TempDir(), "recording")
	trace.Scans()
	for range 3 {
		closed(t, open(t, path))
	}
	if n := trace.Scans(); n != 0 {
		t.Errorf("a new file was read %d times", n)
	}
	b := contents(t, path)
	if err := os.WriteFile(path, b[:len(b)-1], 0o600); err != nil {
		t.Fatal(err)
	}
	closed(t, open(t, path))
	if n := trace.Scans(); n != 1 {
		t.Errorf("a file that was cut off was read %d times", n)
	}
	all, _, cut := read(t, contents(t, path))
	runs := 0
	for _, e := range all {
		if e.Kind == trace.RunBegins {
			runs++
		}
	}
	if cut || runs != 4 {
		t.Errorf("cut %v, %d beginnings", cut, runs)
	}
}
