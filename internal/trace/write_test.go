package trace

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// A file that cannot be written to stands for a disk that is full.
func TestWhatAFullDiskDoesNotTakeIsWrittenLater(t *testing.T) {
	path := filepath.Join(t.TempDir(), "recording")
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	full, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer full.Close()
	warned := 0
	r := &Recording{path: path, run: Run{Limit: DefaultLimit, Began: time.Now()}}
	p := &Pool{rec: r, number: 1, now: func() time.Duration { return 0 }, warn: func(string, error) { warned++ }, file: newQueue()}
	w := &r.writer
	w.rec, w.file, w.room, w.taken, w.first = r, full, DefaultLimit, time.Now(), time.Now()
	w.bytes = w.enc.append(w.bytes, &Event{Kind: RunBegins, Run: &r.run})
	const n = 1 << 19
	for i := range n {
		p.Add(Event{Kind: UnitsRan, First: i * 1000, Count: 1, Units: 1, Job: uint64(i % 7), Attempt: 1, At: time.Duration(i%1000) * time.Hour, Func: "f"})
		if i%4096 == 0 {
			p.round()
		}
	}
	if len(w.bytes) > mostUnsaved+1<<20 || warned != 1 {
		t.Errorf("%d bytes wait, %d warnings", len(w.bytes), warned)
	}
	good, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	w.file = good
	p.round()
	w.close()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	units, thinned := 0, 0
	if _, cut, err := Read(f, func(e *Event) error {
		units += e.Units * btoi(e.Kind == UnitsRan)
		if e.Kind == Thinned {
			thinned = e.Units
		}
		return nil
	}); cut || err != nil || units != n || thinned == 0 {
		t.Errorf("cut %v, %v, %d units, %d of them put together", cut, err, units, thinned)
	}
}

// What it cannot write at the end is lost, and that is said.
func TestADiskThatTakesNothingUntilTheEndCostsTheEndAndThatIsSaid(t *testing.T) {
	path := filepath.Join(t.TempDir(), "recording")
	begun, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	var warned []string
	r := &Recording{path: path, run: Run{Limit: DefaultLimit, Began: time.Now()}}
	p := &Pool{rec: r, number: 1, now: func() time.Duration { return 0 }, warn: func(text string, _ error) { warned = append(warned, text) },
		file: newQueue()}
	w := &r.writer
	w.rec, w.file, w.room, w.taken, w.first = r, begun, DefaultLimit, time.Now(), time.Now()
	w.bytes = w.enc.append(w.bytes, &Event{Kind: RunBegins, Run: &r.run})
	p.round()
	begun.Close()
	full, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	w.file = full
	for range 3 {
		p.Add(Event{Kind: UnitsRan, Count: 1, Units: 1, Func: "f"})
		p.round()
	}
	w.close()
	if len(warned) != 2 || !strings.Contains(warned[0], "cannot be written now") || !strings.Contains(warned[1], "is lost") {
		t.Errorf("%q", warned)
	}
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	events := 0
	if _, cut, err := Read(f, func(*Event) error { events++; return nil }); cut || err != nil || events != 1 {
		t.Errorf("cut %v, %v, %d events", cut, err, events)
	}
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}

func BenchmarkAddingAnEvent(b *testing.B) {
	r := &Recording{}
	p := &Pool{rec: r, file: newQueue()}
	e := Event{Kind: UnitsRan, Worker: 1, Count: 1, Units: 1}
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		if i%(mostPending-1) == 0 {
			p.file.giveBack(p.file.events)
			p.file.events = p.file.events[:0]
		}
		p.Add(e)
	}
}

// Each worker that is lost has words of its own: in a run of months they must not fill the memory.
func TestTheTextsOfALongRunTakeNoMoreMemory(t *testing.T) {
	path := filepath.Join(t.TempDir(), "recording")
	file, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	r := &Recording{path: path, run: Run{ID: 7, Limit: DefaultLimit, Began: time.Now()}}
	w := &r.writer
	w.rec, w.file, w.room, w.taken, w.first = r, file, DefaultLimit, time.Now(), time.Now()
	w.warn = func(text string, err error) { t.Error(text, err) }
	w.bytes = w.enc.append(w.bytes, &Event{Kind: RunBegins, Run: &r.run})
	const n = 3 * mostTexts
	for i := range n {
		w.event(&Event{Kind: WorkerIs, At: time.Duration(i), Phase: Died, Host: "node1", Text: "killed " + strconv.Itoa(i)})
		if len(w.enc.texts) > mostTexts+2 {
			t.Fatalf("%d texts are kept", len(w.enc.texts))
		}
	}
	w.close()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	got := 0
	if _, cut, err := Read(f, func(e *Event) error {
		switch {
		case e.Kind == RunBegins && e.Run.ID != 7:
			t.Errorf("another run: %+v", e.Run)
		case e.Kind == WorkerIs:
			if e.Text != "killed "+strconv.Itoa(got) || e.Host != "node1" || e.At != time.Duration(got) {
				t.Fatalf("event %d is %+v", got, e)
			}
			got++
		}
		return nil
	}); cut || err != nil || got != n {
		t.Errorf("cut %v, %v, %d events", cut, err, got)
	}
}
