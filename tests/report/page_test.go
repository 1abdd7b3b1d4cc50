package report_test

import (
	"bytes"
	"compress/flate"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"flag"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/rankpool/rankpool/internal/report"
	"github.com/rankpool/rankpool/internal/trace"
)

// contents is what a page is given, as far as these tests look at it.
type contents struct {
	Findings     []string
	Rows         []struct{ Name, Host string }
	Failures     []struct{ What, Why string }
	Functions    []struct{ Bins []int }
	Drawn, Units int
	Blocks       []struct {
		Rows  [2]int
		Units int
		Data  string
	}
	Layers []struct {
		Rows, Columns int
		Tiles         []string
	}
	Series struct{ Rate, Busy []float64 }
	unit   [][11]uint64
	cells  [][]byte // of the layers, row by row
	size   int
}

// unpacked is what the page unpacks when it is looked at.
func unpacked(t *testing.T, text string) []byte {
	t.Helper()
	packed, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(flate.NewReader(bytes.NewReader(packed)))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// tile is how many rows and columns one has.
const tileRows, tileColumns = 64, 1024

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
	row := 0
	for _, block := range c.Blocks {
		if block.Rows[0] != row || block.Rows[1] <= row {
			t.Fatalf("a block has rows %v, and the one before ended at %d", block.Rows, row)
		}
		row = block.Rows[1]
		detail := unpacked(t, block.Data)
		before := len(c.unit)
		for len(detail) > 0 {
			var u [11]uint64
			for i := range u {
				v, n := binary.Uvarint(detail)
				if n <= 0 {
					t.Fatal("the detail is damaged")
				}
				u[i], detail = v, detail[n:]
			}
			if int(u[0]) < block.Rows[0] || int(u[0]) >= block.Rows[1] {
				t.Fatalf("a unit of row %d in a block of %v", u[0], block.Rows)
			}
			c.unit = append(c.unit, u)
		}
		if n := len(c.unit) - before; n != block.Units {
			t.Fatalf("%d units in a block of %d", n, block.Units)
		}
	}
	if row != len(c.Rows) {
		t.Fatalf("the blocks have %d rows of %d", row, len(c.Rows))
	}
	for _, l := range c.Layers {
		cells := make([]byte, l.Rows*l.Columns)
		k := 0
		for top := 0; top < l.Rows; top += tileRows {
			for left := 0; left < l.Columns; left += tileColumns {
				high, wide := min(tileRows, l.Rows-top), min(tileColumns, l.Columns-left)
				if l.Tiles[k] != "" {
					b := unpacked(t, l.Tiles[k])
					if len(b) != high*wide {
						t.Fatalf("%d cells in a tile of %d rows and %d columns", len(b), high, wide)
					}
					for y := range high {
						copy(cells[(top+y)*l.Columns+left:], b[y*wide:(y+1)*wide])
					}
				}
				k++
			}
		}
		if k != len(l.Tiles) {
			t.Fatalf("%d tiles, want %d", len(l.Tiles), k)
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

var (
	longUnits   = flag.Int("units", 300000, "of the run of weeks")
	longWorkers = flag.Int("workers", 20000, "of the run of weeks")
)

// long makes the recording of a run of weeks, with numbers as long as they become.
func long(t *testing.T, workers, units int) *report.Recording {
	t.Helper()
	path := t.TempDir() + "/recording"
	p, err := trace.Open(trace.Config{Path: path, Limit: 1 << 34, Warn: func(text string, err error) { t.Error(text, err) }})
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
		if i%12000 == 0 { // the memory is bounded
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
	if err := p.Close(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	begun := time.Now()
	defer func() { t.Logf("%d units were read in %v", units, time.Since(begun)) }()
	r, err := report.Load(path)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestThePageOfALongRunHasTheLongestUnitsTheFailuresAndNoMoreThanTenMiB(t *testing.T) {
	r := long(t, *longWorkers, *longUnits)
	begun := time.Now()
	c := pageOf(t, r)
	t.Logf("a page of %d bytes with %d of %d units and %d layers, made and read in %v", c.size, c.Drawn, c.Units, len(c.Layers), time.Since(begun))
	if c.Units != *longUnits || c.Drawn >= c.Units || c.Drawn < 50000 || len(c.Rows) != *longWorkers || len(c.Layers) < 3 || c.Layers[0].Rows != 448 || len(c.Blocks) < 10 {
		t.Errorf("%d of %d units on %d rows, %d layers, %d bytes", c.Drawn, c.Units, len(c.Rows), len(c.Layers), c.size)
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

// Who zooms in sees what was too short for the cells of the whole: all layers tell of the same time.
func TestThePageHasFinerCellsForAPartOfTheRun(t *testing.T) {
	r, _ := text(t, crowd.run(t, ""))
	c := pageOf(t, r)
	if len(c.Layers) != 3 || c.Layers[0].Columns != 1024 || c.Layers[2].Columns != 16384 || c.Layers[2].Rows != 100 {
		t.Fatalf("%d layers", len(c.Layers))
	}
	idle := 0 // fine cells in a coarse one that is not idle
	for row := range 100 {
		for k := range 16384 {
			fine, coarse := c.cells[2][row*16384+k], c.cells[0][row*1024+k/16]
			if fine > 0 && coarse == 0 {
				t.Fatalf("worker %d is busy in fine cell %d, and the coarse one is idle", row, k)
			}
			if fine == 0 && coarse > 0 {
				idle++
			}
		}
	}
	if idle == 0 {
		t.Error("the finer cells show nothing that the others do not")
	}
	// A cell is rounded up to one of sixteen levels.
	busy := float64(r.Times().Busy) / float64(r.End-r.Pools[0].Begin) / 100
	for i, cells := range c.cells {
		sum := 0.0
		for _, v := range cells {
			sum += float64(v) / 15 / float64(len(cells))
		}
		if sum < busy*0.99 || sum > busy+1.0/15 {
			t.Errorf("layer %d tells of %g busy, and it was %g", i, sum, busy)
		}
	}
}

// Of many workers each has cells of its own in one of the layers, and those of the whole are as many as pixels.
func TestThePageOfManyWorkersHasLayersForSomeOfThemAndForEachOfThem(t *testing.T) {
	const workers = 2000
	r := long(t, workers, 40000)
	c := pageOf(t, r)
	each := -1
	for i, l := range c.Layers {
		if l.Rows == workers {
			each = i
		}
	}
	if c.Layers[0].Rows != 448 || each < 0 {
		t.Fatalf("%d layers, the first of %d rows", len(c.Layers), c.Layers[0].Rows)
	}
	columns := c.Layers[each].Columns
	for row := range workers {
		for k, v := range c.cells[each][row*columns : (row+1)*columns] {
			if whole := c.cells[0][row*448/workers*1024+k*1024/columns]; v > 0 && whole == 0 {
				t.Fatalf("worker %d is busy in cell %d, and the whole is idle there", row, k)
			}
		}
	}
}
