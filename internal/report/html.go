package report

import (
	"cmp"
	_ "embed"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"math/bits"
	"slices"
	"strings"

	"github.com/rankpool/rankpool/internal/trace"
)

//go:embed page.html
var page string

// MostPage is how many bytes a page has at most.
const MostPage = 10 << 20

// How much of a recording is in the page.
const (
	mostDrawn  = 200000 // units that are drawn one by one: fewer where their numbers are long
	mostBounds = 20000  // rows, for each to tell how well its clock is known
	seriesBins = 480
	mostNamed  = 500 // failures and losses in tables
)

// document is what the page is given.
type document struct {
	Title     string
	Head      [][2]string // figures
	Findings  []string
	Warnings  []string
	Begin     int64
	End       int64
	Functions []functionRow
	Rows      []rowOf // workers
	Causes    []causeRow
	Slowest   []slowRow
	Hosts     []hostRow
	Failures  []failureRow
	More      int // failures and losses that are not among them
	Machine   [][2]string
	Series    series
	Breaks    []breakOf // where a run ends and the next begins
	Drawn     int
	Units     int
	Blocks    []block // the units that are drawn one by one
	Layers    []layer // the coarsest first; the first is of the whole
}

type breakOf struct {
	At   int64
	Text string
}

type functionRow struct {
	Name                     string
	Count, Failed, Lost      int
	Mean, P50, P95, P99, Max string
	In, Out                  string
	Bins                     []int // elements by the time they took: a power of the square root of 2 nanoseconds each
}

type rowOf struct {
	Name  string
	Host  string
	Bound string  `json:",omitempty"`
	Gone  []int64 `json:",omitempty"` // from when to when there was no worker, after it was lost
}

type causeRow struct {
	Name  string
	Share float64
	Text  string
}

type slowRow struct {
	Took, At, Function, Element, Worker string
	Row                                 int
	Begun, Ended                        int64
}

type hostRow struct {
	Name    string
	Workers int
	Count   int
	Lost    int
	Slower  float64
}

type failureRow struct {
	At, What, Where, Why string
	Row                  int
	Time                 int64
}

// series are what is drawn over time.
type series struct {
	Rate   []float64 // elements a second
	Queued []int64
	Busy   []float64 // workers
}

// HTML writes a page that needs nothing else, of at most MostPage bytes.
func (r *Recording) HTML(w io.Writer) error {
	d, rows := r.document()
	if err := r.layers(d, rows); err != nil {
		return err
	}
	before, after, _ := strings.Cut(page, "{{data}}")
	var b []byte
	for most := mostDrawn; ; most /= 2 {
		err := r.blocks(d, rows, most)
		if err != nil {
			return err
		}
		if b, err = json.Marshal(d); err != nil { // it escapes what would end the element of the page
			return err
		}
		if len(before)+len(b)+len(after) <= MostPage {
			break
		}
		if most == 0 {
			return fmt.Errorf("the page of %d workers would have more than %d MiB; use --perfetto, or the summary", len(d.Rows), MostPage>>20)
		}
	}
	for _, part := range [][]byte{[]byte(before), b, []byte(after)} {
		if _, err := w.Write(part); err != nil {
			return err
		}
	}
	return nil
}

// document is all but the detail, and the rows of workers.
func (r *Recording) document() (d *document, rows map[*Worker]int) {
	rows = map[*Worker]int{}
	d = &document{Findings: r.Findings(), Warnings: r.Warnings(), Begin: 0, End: max(r.End, 1), Units: len(r.Units)}
	if len(r.Pools) > 0 {
		d.Begin = r.Pools[0].Begin
	}
	d.End = max(d.End, d.Begin+1) // nothing may have happened yet
	places := 0
	for _, p := range r.Pools {
		places += len(p.Workers)
	}
	for _, p := range r.Pools {
		for _, w := range p.Workers {
			rows[w] = len(d.Rows)
			row := rowOf{Name: fmt.Sprintf("worker %d", w.Slot), Host: w.Host}
			if places <= mostBounds {
				row.Bound = short(int64(w.Bound))
			}
			if of := r.poolName(p); of != "" {
				row.Name = of + ", " + row.Name
			}
			row.Gone = w.gone()
			d.Rows = append(d.Rows, row)
		}
	}
	first := r.Runs[0]
	d.Title = first.Program[strings.LastIndexAny(first.Program, `/\`)+1:]
	times := r.Times()
	workers, bound := r.workers()
	wall := r.wall()
	d.Head = [][2]string{{"elapsed", short(wall)}, {"workers", fmt.Sprint(workers)}, {"busy", percent(times.Busy, times.Total)}, {"elements", fmt.Sprint(r.elements())},
		{"elements a second", digits(float64(r.elements()) / (float64(max(wall, 1)) / 1e9))}, {"cancelled", fmt.Sprint(r.Cancelled)}, {"lost workers", fmt.Sprint(len(r.Lost))}}
	for i, run := range r.Runs {
		name := "run"
		if len(r.Runs) > 1 {
			name = fmt.Sprintf("run %d", i+1)
		}
		d.Machine = append(d.Machine, [2]string{name, fmt.Sprintf("%s, process %d on %s, %s, %d cores, %s, rankpool %s, begun %s%s", run.Program, run.Pid, run.Host, run.System,
			run.Cores, run.Go, run.Version, run.Began.Format(moment), run.after())})
	}
	for _, p := range r.Pools {
		name := fmt.Sprintf("executor %d", p.Number)
		if len(r.Runs) > 1 {
			name = fmt.Sprintf("run %d, %s", p.Run.Number, name)
		}
		d.Machine = append(d.Machine, [2]string{name, fmt.Sprintf("%s, %s, open for %s%s", p.Kind, plural(len(p.Workers), "worker"), short(p.End-p.Begin),
			map[bool]string{true: ": " + p.Why}[p.Why != ""])})
	}
	d.Machine = append(d.Machine, [2]string{"clocks", "error of the workers' clocks: at most " + short(int64(bound))})
	for _, f := range r.Functions {
		d.Functions = append(d.Functions, functionRow{Name: f.Name, Count: f.Count, Failed: f.Failed, Lost: f.Lost, Mean: short(f.Mean), P50: short(f.P50), P95: short(f.P95), P99: short(f.P99),
			Max: short(f.Max), In: bytesText(f.In), Out: bytesText(f.Out), Bins: make([]int, mostBins)})
	}
	for i := range r.Units {
		u := &r.Units[i]
		if u.ended() {
			d.Functions[u.Function].Bins[bin(u.Each())] += int(u.Count)
		}
	}
	for _, c := range append([]cause{{"busy", times.Busy}}, times.causes()...) {
		if c.ns > 0 && times.Total > 0 {
			d.Causes = append(d.Causes, causeRow{c.name, float64(c.ns) / float64(times.Total), short(c.ns)})
		}
	}
	for _, u := range r.SlowestElements(10) {
		d.Slowest = append(d.Slowest, slowRow{Took: short(u.Slowest()) + r.each(u), At: short(u.Begun), Function: r.Functions[u.Function].Name, Element: r.Element(u),
			Worker: fmt.Sprintf("worker %d%s", u.Worker.Slot, onHost(u.Worker.Host)), Row: rows[u.Worker], Begun: u.Begun, Ended: u.Ended})
	}
	for i, h := range r.Hosts() {
		if i < 100 {
			d.Hosts = append(d.Hosts, hostRow{h.Name, h.Workers, h.Count, h.Lost, math.Round(h.Slower*100) / 100})
		}
	}
	for _, l := range r.Lost {
		d.Failures = append(d.Failures, failureRow{short(l.At), "lost worker", fmt.Sprintf("worker %d%s, process %d", l.Worker.Slot, onHost(l.Host), l.Pid), l.Why, rows[l.Worker], l.At})
	}
	for _, f := range r.Failures {
		row := -1
		if w := f.Pool.bySlot[f.Worker]; w != nil {
			row = rows[w]
		}
		d.Failures = append(d.Failures, failureRow{short(f.At), "failed", r.failed(&f) + f.where(), f.Text, row, f.At})
	}
	slices.SortStableFunc(d.Failures, func(a, b failureRow) int { return cmp.Compare(a.Time, b.Time) })
	if n := len(d.Failures); n > mostNamed {
		d.Failures, d.More = d.Failures[:mostNamed], n-mostNamed
	}
	r.series(d)
	for _, run := range r.Runs[1:] {
		d.Breaks = append(d.Breaks, breakOf{run.Offset, fmt.Sprintf("run %d", run.Number)})
	}
	return d, rows
}

// mostBins are enough for a month.
const mostBins = 104

// bin is the bin of a time: two for each power of two nanoseconds.
func bin(ns int64) int {
	if ns < 1 {
		return 0
	}
	k := bits.Len64(uint64(ns)) - 1
	b := 2 * k
	if float64(ns) >= math.Sqrt2*float64(int64(1)<<k) {
		b++
	}
	return min(b, mostBins-1)
}

// gone returns from when to when a slot had no worker, after one was lost.
func (w *Worker) gone() (all []int64) {
	since := int64(-1)
	for _, ph := range w.Phases {
		switch {
		case ph.Phase == trace.Died:
			since = ph.At
		case ph.Phase == trace.Ready && since >= 0:
			all = append(all, since, ph.At)
			since = -1
		}
		if len(all) > 20 {
			break
		}
	}
	if since >= 0 {
		all = append(all, since, w.Pool.End)
	}
	return all
}

// spread adds something to the bins of a time, in proportion.
func spread[F float32 | float64](bins []F, begin, end, from, to int64, amount float64) {
	width := float64(end-begin) / float64(len(bins))
	a, b := float64(from-begin)/width, float64(to-begin)/width
	last := float64(len(bins))
	a, b = min(max(a, 0), last), min(max(b, 0), last)
	if b <= a {
		if k := int(a); k < len(bins) {
			bins[k] += F(amount)
		}
		return
	}
	for k := int(a); k < len(bins) && float64(k) < b; k++ {
		part := min(b, float64(k+1)) - max(a, float64(k))
		bins[k] += F(amount * part / (b - a))
	}
}

func (r *Recording) series(d *document) {
	rate, busy := make([]float64, seriesBins), make([]float64, seriesBins)
	width := float64(d.End-d.Begin) / seriesBins
	for i := range r.Units {
		u := &r.Units[i]
		if u.ended() {
			spread(rate, d.Begin, d.End, u.Begun, u.Ended, float64(u.Count))
		}
		spread(busy, d.Begin, d.End, u.Begun, u.Ended, float64(u.Busy)/width)
	}
	queued := make([]int64, seriesBins)
	for _, p := range r.Pools {
		mine := make([]int64, seriesBins)
		k, now := 0, int64(0)
		for b := range mine {
			end := d.Begin + int64(width*float64(b+1))
			most := now
			for ; k < len(p.Counts) && p.Counts[k].At < end; k++ {
				now = int64(p.Counts[k].Queued)
				most = max(most, now)
			}
			mine[b] = most
			queued[b] += most
		}
	}
	for b := range rate {
		rate[b] = math.Round(rate[b]/(width/1e9)*100) / 100
		busy[b] = math.Round(busy[b]*100) / 100
	}
	d.Series = series{rate, queued, busy}
}

// shownJob is by which number a page tells of a unit's job: twice that of the call, or of the map, and 1 more for a map.
func (u *Unit) shownJob() uint64 {
	if of, isMap := u.Worker.Pool.Jobs[u.Job]; isMap {
		return of.Number<<1 | 1
	}
	return u.Job << 1
}
