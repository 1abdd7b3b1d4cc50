package dispatch

import (
	"sync"
	"time"

	"github.com/rankpool/rankpool/internal/trace"
)

// tracer tells a recording what happens. All its methods but failure are called with the scheduler's lock held, and those that are
// called often begin by finding out that nothing is recorded. Nothing here blocks, and nothing is allocated for a unit.
type tracer struct {
	m       *Master
	to      *trace.Pool
	names   []string // of functions
	made    uint64   // jobs so far
	jobs    map[*Job]tracedJob
	most    int            // jobs that jobs has had room for since it was made
	workers []tracedWorker // by slot
	open    []trace.Event  // units of the frame that is read whose time has not come yet

	counted  time.Duration // when the counters were told last
	counters trace.Counters

	texts sync.Mutex
	told  map[uint32]int // texts of failures, by function
}

// tracedJob is a job of which units are queued or run. Calls of a tiny function are not among them: they are counted. The jobs of a Flow have one
// number together, for they are one map to whoever has called it.
type tracedJob struct {
	number uint64
	queued time.Duration
	left   int  // units
	listed bool // it was told when it was queued, with its function
	timed  bool // queued is known
}

// tracedWorker is what the tracer knows of a worker.
type tracedWorker struct {
	frames []tracedFrame // of tasks, that are not wholly answered
	ended  time.Duration // its last unit
	begun  uint64        // the number of the last unit, and one, that was told of while it ran

	// How long units ran of which that was told before their time had come, as an estimate.
	estimated time.Duration

	// The worker's clock is behind the recording's by something between these, see heard.
	least, most time.Duration
	known       time.Duration // when that was found out; 0 for never
	bound       time.Duration // that was told last
}

type tracedFrame struct {
	first, last uint64
	at          time.Duration
	bytes       int64
}

const (
	mostTracedJobs = 1 << 20                // further ones have no number
	mostKeptJobs   = 1 << 12                // more have their room given back when none is left
	mostTexts      = 1000                   // of failures of one function
	longRunning    = 200 * time.Millisecond // before a unit is told of while it runs
	leastCounting  = 50 * time.Millisecond  // between two looks at the counters; later a fraction of the time that has passed
	countings      = 4000
	drift          = 5e-5 // how much two clocks may differ by the second
)

func newTracer(m *Master, to *trace.Pool) *tracer {
	if to == nil {
		return nil
	}
	t := &tracer{m: m, to: to, jobs: map[*Job]tracedJob{}, told: map[uint32]int{}}
	to.Sample(func() {
		m.mu.Lock()
		t.count(to.Now(), true)
		m.unlock()
	})
	to.Running(t.running)
	return t
}

func (t *tracer) name(fn uint32) string {
	for len(t.names) <= int(fn) {
		t.names = append(t.names, "")
	}
	if t.names[fn] == "" {
		t.names[fn] = t.m.cfg.Name(fn)
	}
	return t.names[fn]
}

func (t *tracer) worker(slot int) *tracedWorker {
	for len(t.workers) <= slot {
		t.workers = append(t.workers, tracedWorker{})
	}
	return &t.workers[slot]
}

// queued notes a job that is submitted.
func (t *tracer) queued(j *Job) {
	if t == nil {
		return
	}
	if f := t.m.times(j.Func); j.single() && f.measured && f.mean < float64(quickUnit) {
		t.made++
		return
	}
	now := t.to.Now()
	of := tracedJob{queued: now, left: j.Units, timed: true, listed: j.Units > 1 || j.chunk() > 1}
	if f := j.more().Flow; f != nil {
		if f.traced == 0 {
			t.made++
			f.traced = t.made
			t.to.Add(trace.Event{Kind: trace.JobQueued, At: now, Job: f.traced, Func: t.name(j.Func), Count: f.Elements, Chunk: j.chunk(), Map: f.Number})
		}
		of.number, of.listed = f.traced, true
	} else {
		t.made++
		of.number = t.made
		if of.listed {
			t.to.Add(trace.Event{Kind: trace.JobQueued, At: now, Job: of.number, Func: t.name(j.Func), Count: j.elements(0, j.Units), Chunk: j.chunk()})
		}
	}
	if len(t.jobs) >= mostTracedJobs {
		return
	}
	t.jobs[j] = of
	t.most = max(t.most, len(t.jobs))
	t.count(now, false)
}

// job returns what is known of a job.
func (t *tracer) job(j *Job) tracedJob {
	of, ok := t.jobs[j]
	if f := j.more().Flow; !ok && f != nil {
		of = tracedJob{number: f.traced, listed: f.traced > 0}
	}
	return of
}

// grew notes that a job has become one of so many units.
func (t *tracer) grew(j *Job, units int) {
	if t == nil {
		return
	}
	if of, ok := t.jobs[j]; ok {
		of.left += units - 1
		t.jobs[j] = of
	}
}

// over notes that so many units of a job come no more.
func (t *tracer) over(j *Job, n int) (of tracedJob) {
	of, ok := t.jobs[j]
	if !ok {
		return t.job(j)
	}
	if of.left -= n; of.left > 0 {
		t.jobs[j] = of
	} else {
		delete(t.jobs, j)
		if len(t.jobs) == 0 && t.most > mostKeptJobs { // a map keeps the room that it had to have once
			t.jobs, t.most = map[*Job]tracedJob{}, 0
		}
	}
	return of
}

// settled notes that a unit which has failed does not run again after all.
func (t *tracer) settled(j *Job) {
	if t != nil {
		t.over(j, 1)
	}
}

// cancelled notes that units of a job will not run.
func (t *tracer) cancelled(j *Job, n int) {
	if t == nil || n == 0 {
		return
	}
	t.to.Add(trace.Event{Kind: trace.Cancelled, At: t.to.Now(), Job: t.over(j, n).number, Units: n})
}

// sent notes that a frame with the units from number first on is sent to a worker.
func (t *tracer) sent(w *worker, first uint64, bytes int) {
	if t == nil {
		return
	}
	of := t.worker(w.slot)
	of.frames = append(of.frames, tracedFrame{first: first, last: w.seq, at: t.to.Now(), bytes: int64(bytes)})
}

// traffic is how many bytes a frame of tasks has.
func (b *batch) traffic() int {
	n := b.size()
	for _, s := range b.frame.Segments {
		n += len(s)
	}
	return n
}

// frame returns the frame in which a unit was sent.
func (t *tracer) frame(w *worker, seq uint64) tracedFrame {
	of := t.worker(w.slot)
	n := 0
	for n < len(of.frames)-1 && of.frames[n].last < seq {
		n++
	}
	of.frames = append(of.frames[:0], of.frames[n:]...)
	if len(of.frames) == 0 {
		return tracedFrame{first: seq, last: seq, at: of.ended}
	}
	return of.frames[0]
}

// number returns that of a job.
func (t *tracer) number(j *Job) uint64 {
	if t == nil {
		return 0
	}
	return t.job(j).number
}

// units is what all events of units have in common.
func (t *tracer) units(w *worker, seq uint64, j *Job, of tracedJob, unit, n, tries int) trace.Event {
	f := t.frame(w, seq)
	e := trace.Event{Kind: trace.UnitsRan, Worker: w.slot, At: f.at, Queued: min(of.queued, f.at), Job: of.number,
		Func: t.name(j.Func), Listed: of.listed,
		First: j.first(unit), Count: j.elements(unit, n), Units: n, Attempt: tries + 1, In: f.bytes * int64(n) / int64(f.last-f.first+1)}
	if !of.timed {
		e.Queued = f.at
	}
	return e
}

// endedAs is how units have ended.
type endedAs struct {
	bad      bool // an element has failed
	open     bool // they may run again
	bytes    int  // that came back
	segments [][]byte
}

// ended notes units of a job that a worker has answered. When they ran is known when the time of the batch comes.
func (t *tracer) ended(w *worker, seq uint64, j *Job, unit, n, tries int, as endedAs) {
	if t == nil {
		return
	}
	of := t.job(j)
	if !as.open {
		of = t.over(j, n)
	}
	e := t.units(w, seq, j, of, unit, n, tries)
	e.Out = int64(as.bytes)
	for _, s := range as.segments {
		e.Out += int64(len(s))
	}
	if as.bad {
		e.Outcome = trace.Failed
	}
	if k := len(t.open); k > 0 && follows(&e, &t.open[k-1]) {
		extend(&t.open[k-1], &e)
		return
	}
	t.open = append(t.open, e)
}

// endedAlike notes single jobs of one function that a worker has answered, which are those of the deliveries.
func (t *tracer) endedAlike(w *worker, seq uint64, all []delivery, tries, bytes int) {
	if t == nil || len(all) == 0 {
		return
	}
	if len(t.jobs) == 0 {
		e := t.units(w, seq, all[0].job, tracedJob{}, 0, len(all), tries)
		e.Count, e.Out = len(all), int64(bytes)
		t.open = append(t.open, e)
		return
	}
	for i := range all {
		t.ended(w, seq+uint64(i), all[i].job, 0, 1, tries, endedAs{bytes: bytes / len(all)})
	}
}

// follows tells whether units can be told of together with those before.
func follows(e, before *trace.Event) bool {
	return e.Job == before.Job && e.Func == before.Func && e.At == before.At && e.Outcome == before.Outcome && e.Attempt == before.Attempt &&
		(e.Job == 0 || e.First == before.First+before.Count)
}

func extend(e, by *trace.Event) {
	e.Count += by.Count
	e.Units += by.Units
	e.In += by.In
	e.Out += by.Out
}

// timed notes when the units ran that have come since the last time: they and those that were estimated took d together, until the
// worker's clock was at end. All are of one frame.
func (t *tracer) timed(w *worker, d time.Duration, end uint64, elements int) {
	if t == nil {
		return
	}
	now := t.to.Now()
	of := t.worker(w.slot)
	if len(t.open) > 0 {
		t.heard(w, of, t.open[0].At, time.Duration(end)-d, time.Duration(end), now)
	}
	at := min(of.here(time.Duration(end)), now)
	d = max(d-of.estimated, 0)
	of.estimated = 0
	t.close(w, at-d, d, elements, now)
}

// estimated notes units whose results have come before their time: they take that long on average.
func (t *tracer) estimated(w *worker, each time.Duration, elements int) {
	if t == nil || len(t.open) == 0 {
		return
	}
	now := t.to.Now()
	of := t.worker(w.slot)
	begun := max(t.open[0].At, of.ended)
	d := min(each*time.Duration(elements), max(now-begun, 0))
	of.estimated += d
	t.close(w, begun, d, elements, now)
}

// close tells the recording of the units that are open.
func (t *tracer) close(w *worker, begun, d time.Duration, elements int, now time.Duration) {
	of := t.worker(w.slot)
	each := d / time.Duration(max(elements, 1))
	for i := range t.open {
		e := &t.open[i]
		took := each * time.Duration(e.Count)
		if i == len(t.open)-1 { // what the division has left over
			took = max(d-each*time.Duration(elements-e.Count), took)
		}
		e.Begun = max(begun, e.At)
		e.Ended = max(begun+took, e.Begun)
		begun += took
		e.Busy = took
		e.Answered = max(now, e.Ended)
		of.ended = e.Ended
		t.to.Add(*e)
	}
	clear(t.open)
	t.open = t.open[:0]
	t.count(now, false)
}

// heard learns something of a worker's clock: what was sent at a time had come when its clock was at begun, and what has come now left at
// end. So the way there and the way back bound how far apart the clocks are, and the fastest of many bounds them best.
func (t *tracer) heard(w *worker, of *tracedWorker, sent, begun, end, now time.Duration) {
	least, most := sent-begun, now-end
	if of.known > 0 {
		slack := time.Duration(float64(now-of.known) * drift)
		least, most = max(least, of.least-slack), min(most, of.most+slack)
	}
	if least > most { // one of the clocks was set, or stood still
		least = most
	}
	of.least, of.most, of.known = least, most, max(now, 1)
	if bound := (most - least) / 2; of.bound == 0 || bound < of.bound/2 || bound > 2*of.bound {
		of.bound = max(bound, 1)
		t.to.Add(trace.Event{Kind: trace.ClockKnown, At: now, Worker: w.slot, Bound: of.bound})
	}
}

// here is a time of the worker's clock by that of the recording.
func (of *tracedWorker) here(there time.Duration) time.Duration { return there + (of.least+of.most)/2 }

// lost notes the next elements of p's next unit, which will have no result, for this time or for good.
func (t *tracer) lost(w *worker, p *piece, n int, outcome trace.Outcome, over bool) (number uint64) {
	if t == nil {
		return 0
	}
	unit := p.unit + p.done
	of := t.job(p.job)
	if over {
		of = t.over(p.job, 1)
	}
	now := t.to.Now()
	e := t.units(w, p.seq+uint64(p.done), p.job, of, unit, 1, p.tries)
	e.First, e.Count, e.Outcome = e.First+p.over, n, outcome
	e.Begun, e.Ended, e.Answered = max(e.At, t.worker(w.slot).ended), now, now
	e.Busy = max(now-e.Begun, 0)
	e.Begun = min(e.Begun, now)
	t.to.Add(e)
	return of.number
}

// phase notes what has become of a worker.
func (t *tracer) phase(w *worker, phase trace.Phase, cause error) {
	if t == nil {
		return
	}
	e := trace.Event{Kind: trace.WorkerIs, At: t.to.Now(), Worker: w.slot, Phase: phase, Rank: -1}
	e.Err = cause
	switch {
	case phase == trace.Starting:
		*t.worker(w.slot) = tracedWorker{ended: e.At}
	case w.hello.Pid > 0:
		e.Host, e.Pid, e.Rank = w.hello.Host, w.hello.Pid, w.hello.Rank
	}
	t.to.Add(e)
	t.count(e.At, phase == trace.Died)
}

// count tells the counters, now and then.
func (t *tracer) count(now time.Duration, always bool) {
	if !always && now-t.counted < max(leastCounting, now/countings) {
		return
	}
	s := &t.m.stats
	c := trace.Counters{Submitted: s.Submitted, Done: s.Done, Failed: s.Failed, Cancelled: s.Cancelled, Retried: s.Retried, Lost: s.Lost,
		Restarts: s.Restarts, Running: t.m.flying - t.m.lending.lent, Workers: t.m.ready}
	c.Queued = max(0, int(s.Submitted)-int(s.Done+s.Failed+s.Cancelled)-t.m.flying-len(t.m.blocked))
	if c == t.counters {
		return
	}
	t.counted, t.counters = now, c
	t.to.Add(trace.Event{Kind: trace.Counted, At: now, Counters: &c})
}

// running tells of units that have run for a while. Whoever asks for it several times is told of each once. No lock is held.
func (t *tracer) running() {
	m := t.m
	for first, more := 0, true; more; first += lookedAt {
		m.mu.Lock()
		at, now := m.now(), t.to.Now()
		for _, w := range m.workers[min(first, len(m.workers)):min(first+lookedAt, len(m.workers))] {
			t.runs(w, at-w.since, now)
		}
		more = first+lookedAt < len(m.workers)
		m.unlock()
	}
}

// runs tells of the unit that a worker has run for so long, or less if it is not the first of its frame.
func (t *tracer) runs(w *worker, d, now time.Duration) {
	p := w.next()
	if p == nil || w.state != busy || p.gone || d < longRunning {
		return
	}
	seq := p.seq + uint64(p.done)
	of := t.worker(w.slot)
	if of.begun == seq+1 || now-of.ended < longRunning {
		return
	}
	of.begun = seq + 1
	e := t.units(w, seq, p.job, t.job(p.job), p.unit+p.done, 1, p.tries)
	e.Kind = trace.UnitsBegun
	e.First, e.Count = e.First+p.over, e.Count-p.over
	e.Begun = max(e.At, of.ended, now-d)
	t.to.Add(e)
}

// failure notes why an element has failed. No lock is held.
func (t *tracer) failure(slot int, d *delivery, at int, err error) {
	if t == nil || err == nil {
		return
	}
	t.texts.Lock()
	n := t.told[d.job.Func]
	t.told[d.job.Func] = n + 1
	t.texts.Unlock()
	if n >= mostTexts {
		return
	}
	e := trace.Event{Kind: trace.UnitFailed, At: t.to.Now(), Worker: slot, Job: d.rest.number, First: d.job.first(d.first) + at,
		Func: t.m.cfg.Name(d.job.Func), Outcome: trace.Failed, Err: err}
	if d.record != nil {
		e.Attempt = d.record.Attempt
	}
	t.to.Add(e)
}
