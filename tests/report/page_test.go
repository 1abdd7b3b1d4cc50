package report_test

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/rankpool/rankpool/internal/report"
	"github.com/rankpool/rankpool/internal/trace"
)

// contents is what a page is given, as far as these tests look at it.
type contents struct {
	Findings               []string
	Rows                   []struct{ Name, Host string }
	Failures               []struct{ What, Why string }
	Functions              []struct{ Bins []int }
	Drawn, Units, CellRows int
	Detail                 string
	Layers                 []struct {
		Columns int
		Cells   string
	}
	Series struct{ Rate, Busy []float64 }
	unit   [][11]uint64
	cells  [][]byte // of the layers
	size   int
}

// pageOf makes the page of a recording and reads what it is given, without a browser.
func pageOf(t *testing.T, r *report.Recording) contents {
	t.Helper()
	var b bytes.Buffer
	if err := r.HTML(&b); err != nil {
		t.Fatal(err)
	}
	if b.Len() > report.MostPage {
		t.Errorf("the page has %d bytes", b.Len())
	}
	_, data, ok := strings.Cut(b.String(), `<script type="application/json" id="data">`)
	data, _, ended := strings.Cut(data, "</script>")
	if !ok || !ended {
		t.Fatal("the page has no data")
	}
	c := contents{size: b.Len()}
	if err := json.Unmarshal([]byte(data), &c); err != nil {
		t.Fatal(err)
	}
	detail, err := base64.StdEncoding.DecodeString(c.Detail)
	if err != nil {
		t.Fatal(err)
	}
	for len(detail) > 0 {
		var u [11]uint64
		for i := range u {
			v, n := binary.Uvarint(detail)
			if n <= 0 {
				t.Fatal("the detail is damaged")
			}
			u[i], detail = v, detail[n:]
		}
		c.unit = append(c.unit, u)
	}
	for _, l := range c.Layers {
		cells, err := base64.StdEncoding.DecodeString(l.Cells)
		if err != nil || len(cells) != l.Columns*c.CellRows {
			t.Fatalf("%v, %d cells of %d rows and %d columns", err, len(cells), c.CellRows, l.Columns)
		}
		c.cells = append(c.cells, cells)
	}
	if len(c.unit) != c.Drawn {
		t.Errorf("%d units are drawn, and %d are there", c.Drawn, len(c.unit))
	}
	return c
}

func TestThePageHasEachUnitOnTheRowOfItsWorker(t *testing.T) {
	r, _ := text(t, prepared(t, "straggler", straggler))
	c := pageOf(t, r)
	if c.Drawn != 240 || c.Units != 240 || len(c.Rows) != 8 || len(c.cells) != 1 || len(c.cells[0]) != 8*1024 {
		t.Fatalf("%d of %d units, %d rows, %d cells", c.Drawn, c.Units, len(c.Rows), len(c.cells))
	}
	found := false
	for _, u := range c.unit {
		if u[4] == 1<<1|1 && u[5] == 187 {
			found = u[2] > 4.1e6 && u[2] < 4.3e6 && c.Rows[u[0]].Name == "worker 7" && c.Rows[u[0]].Host == "node2"
		}
	}
	if !found || !strings.Contains(strings.Join(c.Findings, "\n"), "Straggler: map 1, element 187") {
		t.Errorf("the straggler is not there: %q", c.Findings)
	}
	all := 0
	for _, n := range c.Functions[0].Bins {
		all += n
	}
	if all != 240 {
		t.Errorf("the distribution has %d elements", all)
	}
}

func TestThePageHasFailuresAndLosses(t *testing.T) {
	r, _ := text(t, prepared(t, "slowhost", slowHost))
	c := pageOf(t, r)
	lost, failed := 0, 0
	for _, f := range c.Failures {
		switch {
		case f.What == "lost worker" && strings.Contains(f.Why, "killed by signal 9"):
			lost++
		case f.What == "failed" && strings.Contains(f.Why, "no convergence"):
			failed++
		}
	}
	if lost != 1 || failed < 6 {
		t.Errorf("%d losses, %d failures: %+v", lost, failed, c.Failures)
	}
}

// long makes the recording of a run of weeks, with numbers as long as they become.
func long(t *testing.T, workers, units int) *report.Recording {
	t.Helper()
	path := t.TempDir() + "/recording"
	p, err := trace.Open(trace.Config{Path: path, Warn: func(text string, err error) { t.Error(text, err) }})
	if err != nil {
		t.Fatal(err)
	}
	written := make(chan struct{}, 1)
	p.Sample(func() {
		select {
		case written <- struct{}{}:
		default:
		}
	})
	for i := range units {
		if i%8000 == 0 { // the memory is bounded
			<-written
		}
		at := time.Duration(i) * 5 * time.Second
		e := trace.Event{Kind: trace.UnitsRan, Worker: i % workers, Job: uint64(i) * 9973, First: i * 31, Count: 1, Units: 1, Attempt: 1, Func: "f",
			Queued: at - time.Duration(i%7)*time.Hour, At: at, Begun: at + 17*time.Millisecond, Ended: at + time.Duration(i%1000)*time.Minute + time.Second, In: 5, Out: 5}
		e.Busy, e.Answered = e.Ended-e.Begun, e.Ended+20*time.Millisecond
		if i == units-1 {
			e.Outcome, e.Ended, e.Busy = trace.Failed, e.Begun+1, 1
		}
		p.Add(e)
	}
	if err := p.Close("", 10*time.Minute); err != nil {
		t.Fatal(err)
	}
	r, err := report.Load(path)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestThePageOfALongRunHasTheLongestUnitsTheFailuresAndNoMoreThanTenMiB(t *testing.T) {
	c := pageOf(t, long(t, 20000, 300000))
	if c.Units != 300000 || c.Drawn >= c.Units || c.Drawn < 50000 || len(c.Rows) != 20000 || c.CellRows != 2048 {
		t.Errorf("%d of %d units on %d rows, %d of cells, %d bytes", c.Drawn, c.Units, len(c.Rows), c.CellRows, c.size)
	}
	failed := 0
	for _, u := range c.unit {
		if u[7]&3 != 0 {
			failed++
		} else if u[2] < uint64((100 * time.Minute).Microseconds()) {
			t.Fatalf("a unit of %d µs is drawn, and longer ones are not", u[2])
		}
	}
	if failed != 1 {
		t.Errorf("%d failures are drawn", failed)
	}
}

// crowd has so many workers that their units are not seen one by one, and little of the time is busy.
var crowd = simulation{workers: 100, perHost: 10, units: 500, rounds: 3, takes: func(_ string, x int) time.Duration {
	return time.Millisecond + time.Duration(chance(x)*float64(3*time.Second))
}}

// Who zooms in sees what was too short for the cells of the whole.
func TestThePageHasFinerCellsForAPartOfTheRun(t *testing.T) {
	r, _ := text(t, crowd.run(t, ""))
	c := pageOf(t, r)
	if len(c.Layers) != 2 || c.Layers[0].Columns != 1024 || c.Layers[1].Columns != 16384 || c.CellRows != 100 {
		t.Fatalf("%d layers of %d rows", len(c.Layers), c.CellRows)
	}
	var busy [2]float64
	for i, cells := range c.cells {
		for _, v := range cells {
			busy[i] += float64(v) / 255 / float64(c.Layers[i].Columns)
		}
	}
	// Each cell is rounded up.
	if busy[1] <= 0 || busy[1] > 1.02*busy[0] || busy[1] < 0.9*busy[0] {
		t.Errorf("the layers tell of %g and %g", busy[0], busy[1])
	}
	idle := 0 // fine cells in a coarse one that is not idle
	for row := range c.CellRows {
		for k := range 16384 {
			if c.cells[1][row*16384+k] == 0 && c.cells[0][row*1024+k/16] > 0 {
				idle++
			}
		}
	}
	if idle == 0 {
		t.Error("the finer cells show nothing that the others do not")
	}
}
