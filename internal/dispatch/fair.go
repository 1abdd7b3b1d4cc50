package dispatch

import (
	"cmp"
	"container/heap"
	"slices"
)

// What waits is shared out by time: the jobs of a Flow stay in their order, and flows of one priority get equal parts of the
// workers' run time. Each has a virtual time, by how much it has had; the one that is behind is next. It is charged what its units
// take on average when they are handed out, and the difference when their workers report. A flow that joins begins at the virtual
// time of the others: it has nothing to catch up, and neither have they.
//
// Flows of a higher priority come first. While they do, a lower one is credited a part of what they are charged, and has a turn when
// that is enough for it.

const (
	// creditPart is which part of the time of a higher priority the next lower one may have meanwhile: one in so many. One that is n
	// lower may have one in n times as many.
	creditPart = 16

	// unknownUnit is what a unit counts for whose function has not been measured: nanoseconds. As nobody knows how wrong that is, each
	// further one of the flow that is handed out before the first has come back counts for twice as much, but no more than so often.
	unknownUnit = 1e6
	mostUnknown = 20
	leastUnit   = 1 // nanoseconds: 0 says that nothing was charged
)

// Flow is jobs that have one part of the workers' time together: those of one map, or all single calls of a priority. The scheduler's
// lock guards it. It is used with one Master.
type Flow struct {
	Priority int // higher ones go first

	// What a recording tells of a map: which of the executor's it is, from 1, and how many elements it has; 0: nobody knows yet.
	Number   int
	Elements int

	head, tail *Job
	level      *level
	time       float64 // virtual: nanoseconds
	place      int     // among the level's flows, from 1; 0: nothing of it waits
	number     uint64  // of those with the same time, the lower is next
	served     bool    // it has had a turn since it joined: at the same time it is behind those that have not
	unknown    uint8   // units of unmeasured functions that were charged since the last report
	changes    int     // how many jobs in it are of another function than the one before
	pushed     uint64  // jobs
	passed     uint64  // of these, how many have left the queue
	traced     uint64  // the number that it has in a recording; 0: none of its jobs was told of
}

// level is the flows of one priority.
type level struct {
	priority int
	calls    Flow
	flows    flows   // that have something waiting
	now      float64 // virtual time
	latest   float64 // of all flows that there have been
	credit   float64 // nanoseconds that it may have although there is a higher level
}

// flows is a heap: the first is next.
type flows []*Flow

func (f flows) Len() int { return len(f) }

func (f flows) Less(i, j int) bool { return f[i].before(f[j]) }

// before tells whether a flow is next rather than another of its priority.
func (a *Flow) before(b *Flow) bool {
	switch {
	case a.time != b.time:
		return a.time < b.time
	case a.served != b.served:
		return b.served
	}
	return a.number < b.number
}

func (f flows) Swap(i, j int) {
	f[i], f[j] = f[j], f[i]
	f[i].place, f[j].place = i+1, j+1
}

func (f *flows) Push(x any) {
	added := x.(*Flow)
	*f = append(*f, added)
	added.place = len(*f)
}

func (f *flows) Pop() any {
	last := len(*f) - 1
	out := (*f)[last]
	(*f)[last] = nil
	*f = (*f)[:last]
	out.place = 0
	return out
}

// fairness is who is next of those that wait.
type fairness struct {
	levels []*level // that there have been, the highest first
	usual  *level   // that of jobs without a priority
	active int      // flows that have something waiting
	busy   int      // levels likewise
	joined uint64   // counts
}

// level returns that of a priority.
func (s *fairness) level(priority int) *level {
	i, found := slices.BinarySearchFunc(s.levels, priority, func(l *level, p int) int { return cmp.Compare(p, l.priority) })
	if found {
		return s.levels[i]
	}
	l := &level{priority: priority}
	l.calls = Flow{Priority: priority, level: l}
	s.levels = slices.Insert(s.levels, i, l)
	return l
}

// flow returns that of a job.
func (s *fairness) flow(j *Job) *Flow {
	if m := j.More; m != nil && (m.Flow != nil || m.Priority != 0) {
		f := m.Flow
		if f == nil {
			return &s.level(m.Priority).calls
		}
		if f.level == nil {
			f.level = s.level(f.Priority)
		}
		return f
	}
	if s.usual == nil {
		s.usual = s.level(0)
	}
	return &s.usual.calls
}

// join lets a flow take part of which something waits from now on.
func (s *fairness) join(f *Flow) {
	l := f.level
	now := l.now
	if len(l.flows) > 0 {
		now = max(now, l.flows[0].time)
	} else {
		l.credit = 0
		s.busy++
	}
	s.active++
	s.joined++
	f.time, f.number, f.served = max(f.time, now), s.joined, false
	if len(l.flows) == 0 {
		l.flows, f.place = append(l.flows, f), 1
		return
	}
	heap.Push(&l.flows, f)
}

// leave is for a flow of which nothing waits any more.
func (s *fairness) leave(f *Flow) {
	l := f.level
	s.active--
	if len(l.flows) > 1 {
		heap.Remove(&l.flows, f.place-1)
		return
	}
	l.flows[0], f.place = nil, 0
	l.flows = l.flows[:0]
	s.busy--
}

// turn returns whose turn it is, if anything waits. cost is what one turn of a flow counts for.
func (s *fairness) turn(cost func(*Flow) float64) *Flow {
	if s.busy == 1 && s.usual != nil && len(s.usual.flows) > 0 {
		return s.usual.flows[0]
	}
	first := (*Flow)(nil)
	for _, l := range s.levels {
		switch {
		case len(l.flows) == 0:
		case first == nil:
			first = l.flows[0]
		case l.credit >= cost(l.flows[0]):
			return l.flows[0]
		}
	}
	return first
}

// contested tells whether it matters what a flow has that is given something: others wait, or were ahead of it.
func (s *fairness) contested(f *Flow) bool {
	l := f.level
	l.now = max(l.now, f.time)
	return s.active > 1 || s.active == 1 && f.place == 0 || f.time < l.latest
}

// charge notes that a flow is given so many nanoseconds.
func (s *fairness) charge(f *Flow, ns float64) {
	s.joined++
	f.number, f.served = s.joined, true
	s.correct(f, ns)
}

// correct notes that a flow had so many nanoseconds more than it was charged, or less.
func (s *fairness) correct(f *Flow, ns float64) {
	l := f.level
	f.time += ns
	l.latest = max(l.latest, f.time)
	if f.place > 0 {
		heap.Fix(&l.flows, f.place-1)
	}
	if s.busy < 2 && (s.busy == 0 || len(l.flows) > 0) {
		return
	}
	for _, o := range s.levels {
		switch {
		case len(o.flows) == 0 || o == l:
		case o.priority > l.priority:
			l.credit -= ns
			return
		default:
			o.credit += ns / (creditPart * (float64(l.priority) - float64(o.priority)))
		}
	}
}
