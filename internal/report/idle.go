package report

import (
	"cmp"
	"slices"
	"sort"

	"github.com/rankpool/rankpool/internal/trace"
)

// Times are where the time of workers went, all together.
type Times struct {
	Total     int64 // from the beginning of their pool to its end
	Busy      int64
	Starting  int64 // also again, after a loss
	Nothing   int64 // nothing was queued
	Straggler int64 // nothing was queued, and something ran that had been queued before they were idle
	Way       int64 // a task or a result was on its way, or the master was busy with others
	Drained   int64 // after the last task of the pool
	Untold    int64 // between units that are recorded together
	Cut       int64 // before the program was killed: what ran then is not told
}

func (t *Times) add(o Times) {
	t.Total += o.Total
	t.Busy += o.Busy
	t.Starting += o.Starting
	t.Nothing += o.Nothing
	t.Straggler += o.Straggler
	t.Way += o.Way
	t.Drained += o.Drained
	t.Untold += o.Untold
	t.Cut += o.Cut
}

// Times returns where the time of the workers of all pools went.
func (r *Recording) Times() Times {
	var all Times
	units := map[*Pool][]*Unit{}
	for i := range r.Units {
		u := &r.Units[i]
		units[u.Worker.Pool] = append(units[u.Worker.Pool], u)
	}
	for _, p := range r.Pools {
		q := newQueues(units[p])
		for _, w := range p.Workers {
			all.add(r.times(w, q))
		}
	}
	return all
}

// queues are what a pool's queue was at any time.
type queues struct {
	last   int64   // when the last unit ended
	queued []int64 // in order
	ends   []int64 // for each, the last end of the units that were queued by then

	begin, end []int64 // times in which something was queued, in order and apart
	before     []int64 // how much of that there is before each
}

func newQueues(units []*Unit) *queues {
	q := &queues{}
	slices.SortFunc(units, func(a, b *Unit) int { return cmp.Compare(a.Queued, b.Queued) })
	total := int64(0)
	for _, u := range units {
		q.last = max(q.last, u.Ended)
		q.queued = append(q.queued, u.Queued)
		q.ends = append(q.ends, q.last)
		k := len(q.begin) - 1
		switch {
		case k >= 0 && u.Queued <= q.end[k]:
			total += max(u.Sent-q.end[k], 0)
			q.end[k] = max(q.end[k], u.Sent)
		case u.Sent > u.Queued:
			q.begin, q.end, q.before = append(q.begin, u.Queued), append(q.end, u.Sent), append(q.before, total)
			total += u.Sent - u.Queued
		}
	}
	return q
}

// until is for how long something was queued before a time.
func (q *queues) until(at int64) int64 {
	i := sort.Search(len(q.begin), func(k int) bool { return q.begin[k] >= at }) - 1
	if i < 0 {
		return 0
	}
	return q.before[i] + min(at, q.end[i]) - q.begin[i]
}

// full is for how long something was queued in that time.
func (q *queues) full(from, to int64) int64 {
	if to <= from {
		return 0
	}
	return q.until(to) - q.until(from)
}

// old is when the last of the units ended that were queued by a time.
func (q *queues) old(at int64) int64 {
	i := sort.Search(len(q.queued), func(k int) bool { return q.queued[k] > at }) - 1
	if i < 0 {
		return 0
	}
	return q.ends[i]
}

// times is where the time of one worker went.
func (r *Recording) times(w *Worker, q *queues) Times {
	p := w.Pool
	t := Times{Total: p.End - p.Begin}
	from := int64(-1) // since when it can be given tasks
	at := p.Begin     // up to here all is told
	k := 0
	close := func(to int64) {
		if from >= 0 {
			k = r.alive(w, q, &t, k, from, to)
		} else {
			t.Starting += max(to-at, 0)
		}
		at = max(at, to)
	}
	for _, ph := range w.Phases {
		switch ph.Phase {
		case trace.Ready:
			close(ph.At)
			from = ph.At
		case trace.Died, trace.Left:
			close(ph.At)
			from = -1
			if ph.Phase == trace.Left {
				t.Drained += max(p.End-ph.At, 0)
				at = p.End
			}
		}
	}
	close(p.End)
	return t
}

// cut tells whether the recording breaks off while something ran.
func (p *Pool) cut() bool {
	n := len(p.Counts)
	return !p.Over && (n == 0 || p.Counts[n-1].Running > 0)
}

// alive adds the time from which to which a worker could be given tasks. It begins with its unit number k and returns the next.
func (r *Recording) alive(w *Worker, q *queues, t *Times, k int, from, to int64) int {
	at := from
	answered := from
	for ; k < len(w.units); k++ {
		u := &r.Units[w.units[k]]
		if u.Begun > to {
			break
		}
		begun, ended := max(u.Begun, at), min(max(u.Ended, at), to)
		t.gap(q, at, begun, answered, u.Sent)
		if u.Longest > 0 {
			busy := min(u.Busy, ended-begun)
			t.Busy += busy
			t.Untold += ended - begun - busy
		} else {
			t.Busy += ended - begun
		}
		at, answered = max(at, ended), u.Answered
	}
	if w.Pool.cut() && to == w.Pool.End {
		t.Cut += max(to-at, 0)
		return k
	}
	t.gap(q, at, to, answered, to)
	return k
}

// gap adds a time in which a worker had nothing to run, after it had been heard of at one time and before it was sent something at another.
func (t *Times) gap(q *queues, from, to, answered, sent int64) {
	if to <= from {
		return
	}
	if from >= q.last {
		t.Drained += to - from
		return
	}
	if to > q.last {
		t.Drained += to - q.last
		to = q.last
	}
	begin, end := min(max(from, answered), to), max(min(sent, to), from)
	if begin >= end {
		t.Way += to - from
		return
	}
	t.Way += begin - from + to - end
	old := min(max(q.old(from), begin), end)
	first, second := q.full(begin, old), q.full(old, end)
	t.Way += first + second
	t.Straggler += old - begin - first
	t.Nothing += end - old - second
}
