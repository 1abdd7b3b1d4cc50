package report

import (
	"cmp"
	"fmt"
	"io"
	"math"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/rankpool/rankpool/internal/trace"
)

// Recording is what is known of a recording. Times are nanoseconds since the beginning of its first run, by the clock of its master. Where a run ends the
// next begins: the time between them is left out.
type Recording struct {
	Path  string
	Size  int64
	Cut   bool  // it breaks off in a record: the program was killed
	Wrong error // it is damaged behind what was read

	Runs      []*Run
	Pools     []*Pool
	Functions []*Function
	Units     []Unit // by when they began
	Failures  []Failure
	Lost      []Loss
	Begin     int64
	End       int64
	Thinned   int // units that are recorded together with others
	Missing   int // other records that were not written
	Cancelled int

	byName map[string]int
	byID   map[uint64]*Run
}

// Run is a program that was started.
type Run struct {
	trace.Run

	Number  int   // from 1
	Offset  int64 // when it began: when the one before had ended
	Last    int64 // the last thing that is told of it
	Gap     int64 // how long there was none before it
	pooled  int   // its pools
	thinned int
	missing int
	pools   map[int]*Pool
}

// Pool is an executor.
type Pool struct {
	Run        *Run
	Number     int
	Kind, Why  string
	Begin, End int64
	Over       bool // its end is told
	Workers    []*Worker
	Jobs       map[uint64]Job // maps
	Counts     []Count
	Cancelled  int

	bySlot map[int]*Worker
}

// Count is what a pool has counted by a time.
type Count struct {
	At int64
	trace.Counters
}

// Job is a map.
type Job struct {
	Number   uint64 // which map of its pool it is
	Function int
	Count    int // elements; 0: nobody knew
	Chunk    int
	Queued   int64
}

// Worker is a slot of a pool, with all that were in it.
type Worker struct {
	Pool   *Pool
	Slot   int
	Host   string
	Pid    int
	Rank   int
	Bound  time.Duration // how far its times may be from the truth
	Phases []Phase
	units  []int32 // of Recording.Units
}

// Phase is what a worker has come to.
type Phase struct {
	At    int64
	Phase trace.Phase
	Why   string
}

// Unit is what a worker ran at a time: one or more elements.
type Unit struct {
	Worker   *Worker
	Function int32
	Count    int32 // elements
	Units    int32
	Attempt  int32
	Outcome  trace.Outcome
	Job      uint64
	First    int64

	Queued, Sent, Begun, Ended, Answered int64
	Busy, Longest                        int64
}

// Function is a registered function.
type Function struct {
	Name    string
	In, Out int64 // bytes
	Failed  int   // units, those that were given up included
	Lost    int   // units, with their worker
	Count   int   // elements that have ended, with a result or a failure: not those that were lost with their worker
	Busy    int64 // of these
	Jobs    int

	Mean, P50, P95, P99, Max int64 // of an element
}

// Failure is why an element has failed.
type Failure struct {
	At      int64
	Pool    *Pool
	Worker  int
	Job     uint64
	Element int
	Name    string
	Text    string
	Attempt int
}

// Loss is a worker that was lost.
type Loss struct {
	At     int64
	Worker *Worker
	Host   string
	Pid    int
	Why    string
}

// Load reads a recording. What is behind a damaged byte is missing, and Wrong says so.
func Load(path string) (*Recording, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	r, err := Read(f)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	r.Path = path
	return r, nil
}

// Read is Load from a reader.
func Read(in io.Reader) (*Recording, error) {
	r := &Recording{byName: map[string]int{}, byID: map[uint64]*Run{}}
	l := loader{r: r}
	var err error
	r.Size, r.Cut, err = trace.Read(in, l.event)
	switch {
	case err != nil && len(r.Runs) == 0:
		return nil, err
	case len(r.Runs) == 0:
		return nil, trace.ErrNoRecording
	}
	r.Wrong = err
	r.settle()
	return r, nil
}

type loader struct {
	r   *Recording
	run *Run
}

func (l *loader) event(e *trace.Event) error {
	r := l.r
	if e.Kind == trace.RunBegins {
		l.run = r.byID[e.Run.ID]
		if l.run == nil {
			l.run = &Run{Run: *e.Run, Number: len(r.Runs) + 1, pools: map[int]*Pool{}}
			if len(r.Runs) > 0 {
				before := r.Runs[len(r.Runs)-1]
				l.run.Offset = before.Last
				ended := before.Began.Add(time.Duration(before.Last - before.Offset))
				l.run.Gap = int64(max(e.Run.Began.Sub(ended), 0)) // the clock of the wall may have been set
			}
			l.run.Last = l.run.Offset
			r.byID[e.Run.ID] = l.run
			r.Runs = append(r.Runs, l.run)
		}
		return nil
	}
	at := func(d time.Duration) int64 { return l.run.Offset + int64(d) }
	l.run.Last = max(l.run.Last, at(e.At), at(e.Answered))
	if e.Kind == trace.Thinned {
		l.run.thinned, l.run.missing = max(l.run.thinned, e.Units), max(l.run.missing, e.Count)
		return nil
	}
	p := l.pool(e.Pool, at(e.At))
	switch e.Kind {
	case trace.PoolBegins:
		p.Kind = e.Text
	case trace.PoolEnds:
		p.End, p.Over, p.Why = at(e.At), true, e.Text
	case trace.WorkerIs:
		w := p.worker(e.Worker)
		if e.Host != "" {
			w.Host, w.Pid, w.Rank = e.Host, e.Pid, e.Rank
		}
		w.Phases = append(w.Phases, Phase{at(e.At), e.Phase, e.Text})
		if e.Phase == trace.Died {
			r.Lost = append(r.Lost, Loss{At: at(e.At), Worker: w, Host: e.Host, Pid: e.Pid, Why: e.Text})
		}
	case trace.JobQueued:
		fn := r.function(e.Func)
		r.Functions[fn].Jobs++
		j := Job{Number: uint64(e.Map), Function: fn, Count: e.Count, Chunk: e.Chunk, Queued: at(e.At)}
		if j.Number == 0 {
			j.Number = e.Job
		}
		p.Jobs[e.Job] = j
	case trace.UnitsRan:
		j, told := p.Jobs[e.Job]
		fn := j.Function
		if e.Func != "" || !told {
			fn = r.function(e.Func)
		}
		f := r.Functions[fn]
		f.In += e.In
		f.Out += e.Out
		r.Units = append(r.Units, Unit{Worker: p.worker(e.Worker), Function: int32(fn), Count: small(e.Count), Units: small(e.Units), Attempt: small(e.Attempt),
			Outcome: e.Outcome, Job: e.Job, First: int64(e.First), Queued: at(e.Queued), Sent: at(e.At), Begun: at(e.Begun), Ended: at(e.Ended),
			Answered: at(e.Answered), Busy: int64(e.Busy), Longest: int64(e.Longest)})
	case trace.UnitFailed:
		r.Failures = append(r.Failures, Failure{At: at(e.At), Pool: p, Worker: e.Worker, Job: e.Job, Element: e.First, Name: e.Func, Text: e.Text,
			Attempt: e.Attempt})
	case trace.Cancelled:
		p.Cancelled += e.Units
		r.Cancelled += e.Units
	case trace.Counted:
		p.Counts = append(p.Counts, Count{at(e.At), *e.Counters})
	case trace.ClockKnown:
		p.worker(e.Worker).Bound = e.Bound
	}
	return nil
}

func small(n int) int32 { return int32(min(n, math.MaxInt32)) }

func (l *loader) pool(number int, at int64) *Pool {
	p := l.run.pools[number]
	if p == nil {
		p = &Pool{Run: l.run, Number: number, Begin: at, Jobs: map[uint64]Job{}, bySlot: map[int]*Worker{}}
		l.run.pools[number] = p
		l.run.pooled++
		l.r.Pools = append(l.r.Pools, p)
	}
	return p
}

func (p *Pool) worker(slot int) *Worker {
	w := p.bySlot[slot]
	if w == nil {
		w = &Worker{Pool: p, Slot: slot, Rank: -1}
		p.bySlot[slot] = w
		p.Workers = append(p.Workers, w)
	}
	return w
}

func (r *Recording) function(name string) int {
	if name == "" {
		name = "(unknown)"
	}
	i, ok := r.byName[name]
	if !ok {
		i = len(r.Functions)
		r.byName[name] = i
		r.Functions = append(r.Functions, &Function{Name: name})
	}
	return i
}

// settle puts what was read in order.
func (r *Recording) settle() {
	for _, run := range r.Runs {
		r.Thinned += run.thinned
		r.Missing += run.missing
		r.End = max(r.End, run.Last)
	}
	for _, p := range r.Pools {
		if !p.Over {
			p.End = p.Run.Last
		}
		slices.SortFunc(p.Workers, func(a, b *Worker) int { return cmp.Compare(a.Slot, b.Slot) })
	}
	slices.SortStableFunc(r.Pools, func(a, b *Pool) int { return cmp.Compare(a.Begin, b.Begin) })
	slices.SortStableFunc(r.Units, func(a, b Unit) int { return cmp.Compare(a.Begun, b.Begun) })
	for i := range r.Units {
		u := &r.Units[i]
		u.Worker.units = append(u.Worker.units, int32(i))
	}
	r.measure()
}

// Each is how long an element took: its share, where several are recorded together.
func (u *Unit) Each() int64 { return u.Busy / int64(max(u.Count, 1)) }

// Slowest is how long an element took, its share of a chunk, where several units are recorded together one of the longest.
func (u *Unit) Slowest() int64 {
	if u.Longest > 0 {
		return u.Longest / int64(max(u.Count/max(u.Units, 1), 1))
	}
	return u.Each()
}

// ended tells whether the unit has come to an end: what was lost with its worker runs again, or has no result.
func (u *Unit) ended() bool { return u.Outcome != trace.Lost }

// Element names the element, or the elements, by job and index.
func (r *Recording) Element(u *Unit) string {
	return r.elementName(u.Worker.Pool, u.Job, u.First, int64(u.Count), u.Longest > 0)
}

func (r *Recording) elementName(p *Pool, job uint64, first, count int64, merged bool) string {
	where := r.poolName(p)
	if where != "" {
		where += ", "
	}
	of, isMap := p.Jobs[job]
	if merged {
		count = int64(of.Chunk)
		if of.Count > 0 {
			count = min(count, int64(of.Count)-first)
		}
	}
	switch {
	case job == 0:
		return where + "a call"
	case !isMap && first > 0: // of one on several workers
		return fmt.Sprintf("%scall %d, rank %d", where, job, first)
	case !isMap:
		return fmt.Sprintf("%scall %d", where, job)
	case count > 1:
		return fmt.Sprintf("%smap %d, elements %d to %d", where, of.Number, first, first+count-1)
	}
	return fmt.Sprintf("%smap %d, element %d", where, of.Number, first)
}

// poolName says which pool it is, unless there is one only.
func (r *Recording) poolName(p *Pool) string {
	var parts []string
	if len(r.Runs) > 1 {
		parts = append(parts, fmt.Sprintf("run %d", p.Run.Number))
	}
	if p.Run.pooled > 1 {
		parts = append(parts, fmt.Sprintf("executor %d", p.Number))
	}
	return strings.Join(parts, ", ")
}
