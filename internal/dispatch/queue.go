package dispatch

import "slices"

// queue is what waits: pieces that came back, then jobs, whose flows take turns.
type queue struct {
	front   []piece // newest last: the last is the next to go
	fair    fairness
	current *Flow // whose job peek has returned last, unless that was a piece of front
	cost    func(*Flow) float64
	units   int
	coming  []muster // gangs of all workers that have not come to the head
	gangs   []band   // gangs that have, and wait for workers, one after another
}

// band is a gang that waits for workers.
type band struct {
	job   *Job
	price float32 // what each of its units has been charged
	host  string  // of one that is to be on one host: which, once that is decided
}

// muster is a gang of all workers, and what was submitted before it: it comes to the head when all of that has been handed out.
type muster struct {
	gang   *Job
	before []before
}

// before is that so many jobs of a flow have left the queue.
type before struct {
	flow   *Flow
	passed uint64
}

func (q *queue) push(j *Job) {
	j.marks |= queued
	q.units += j.Units
	j.inQueue(j.Units)
	if j.ofAll() {
		q.muster(j)
		return
	}
	f := q.fair.flow(j)
	switch {
	case f.tail == nil:
		f.head = j
	case f.tail.Func != j.Func:
		f.changes++
		fallthrough
	default:
		f.tail.next = j
	}
	f.tail = j
	f.pushed++
	if f.place == 0 {
		q.fair.join(f)
	}
}

// muster notes a gang. What waits with a lower priority is not waited for.
func (q *queue) muster(j *Job) {
	g := muster{gang: j}
	for _, l := range q.fair.levels {
		for _, f := range l.flows {
			if l.priority >= j.more().Priority {
				g.before = append(g.before, before{f, f.pushed})
			}
		}
	}
	q.coming = append(q.coming, g)
}

// advance puts the next gang aside to wait for all workers, if it has come to the head of the queue. Gangs that were withdrawn are
// forgotten.
func (q *queue) advance() (moved bool) {
	for len(q.coming) > 0 {
		g := &q.coming[0]
		if !g.gang.is(withdrawn) && slices.ContainsFunc(g.before, func(b before) bool { return b.flow.passed < b.passed }) {
			return moved
		}
		if !g.gang.is(withdrawn) {
			q.gangs = append(q.gangs, band{job: g.gang})
			moved = true
		}
		q.pass()
	}
	return moved
}

// pass takes the next gang off the list of those that have not come to the head.
func (q *queue) pass() {
	g := q.coming[0].gang
	g.at = taken
	q.units -= g.Units
	g.inQueue(-g.Units)
	q.coming = slices.Delete(q.coming, 0, 1)
}

func (q *queue) unpop(p piece) {
	q.front = append(q.front, p)
	q.units += p.n
	p.job.inQueue(p.n)
}

// peek returns what is next: all the remaining units of the first piece, or of the job whose turn it is.
func (q *queue) peek() (piece, bool) {
	for n := len(q.front); n > 0; n = len(q.front) {
		if p := q.front[n-1]; !p.job.is(withdrawn) {
			return p, true
		}
		q.take(q.front[n-1].n, cursor{})
	}
	for q.fair.active > 0 {
		f := q.fair.turn(q.cost)
		j := f.head
		q.current = f
		if !j.is(withdrawn) && j.waiting() > 0 {
			return piece{job: j, cursor: j.begin(), n: j.waiting()}, true
		}
		q.takeOf(f, j.waiting(), cursor{})
	}
	return piece{}, false
}

// peekShort returns what is next of those whose first job is short.
func (q *queue) peekShort(short func(*Job) bool) (piece, bool) {
	for _, l := range q.fair.levels {
		var next *Flow
		for _, f := range l.flows {
			if j := f.head; !j.is(withdrawn) && j.waiting() > 0 && short(j) && (next == nil || f.before(next)) {
				next = f
			}
		}
		if next != nil {
			q.current = next
			return piece{job: next.head, cursor: next.head.begin(), n: next.head.waiting()}, true
		}
	}
	return piece{}, false
}

// take removes the first n units of what peek returned; rest is where the units after them begin.
func (q *queue) take(n int, rest cursor) {
	k := len(q.front)
	if k == 0 {
		q.takeOf(q.current, n, rest)
		return
	}
	q.units -= n
	p := &q.front[k-1]
	p.job.inQueue(-n)
	if p.n -= n; p.n == 0 {
		q.front[k-1] = piece{}
		q.front = q.front[:k-1]
		return
	}
	// The other fields are about the first unit, which is gone. In a piece of several units they are zero, unless a worker has
	// given back a unit of which a part had come.
	*p = piece{job: p.job, cursor: rest, n: p.n, alone: p.alone}
}

// takeOf removes the first n units of a flow's first job.
func (q *queue) takeOf(f *Flow, n int, rest cursor) {
	q.units -= n
	j := f.head
	j.inQueue(-n)
	if n < j.waiting() {
		if j.at == nil {
			j.at = new(cursor)
		}
		*j.at = rest
		return
	}
	j.at = taken
	if j.next != nil && j.next.Func != j.Func {
		f.changes--
	}
	f.head, j.next = j.next, nil
	f.passed++
	if f.head == nil {
		f.tail = nil
		q.fair.leave(f)
	}
}

// trim removes what was withdrawn at the head of a job's flow: else that would be taken for one that waits.
func (q *queue) trim(j *Job) {
	if !j.is(queued) || j.ofAll() {
		return
	}
	for f := q.fair.flow(j); f.head != nil && (f.head.is(withdrawn) || f.head.waiting() == 0); {
		q.takeOf(f, f.head.waiting(), cursor{})
	}
}

// price returns what one unit of a job counts for, in nanoseconds, when it is handed out: 0 when nobody is to be compared with.
func (m *Master) price(f *Flow, j *Job) float32 {
	if !m.queue.fair.contested(f) {
		return 0
	}
	return float32(m.estimate(f, j))
}

// estimate returns what is known of the nanoseconds that a unit of a job takes, or a guess.
func (m *Master) estimate(f *Flow, j *Job) float64 {
	if t := m.times(j.Func); t.measured {
		return max(t.mean*float64(j.chunk()), leastUnit)
	}
	return unknownUnit * float64(uint64(1)<<f.unknown)
}

// charge notes that a flow is given n units of a job, for a price each.
func (m *Master) charge(f *Flow, j *Job, n int, price float32) {
	if price == 0 {
		return
	}
	if !m.times(j.Func).measured && f.unknown < mostUnknown {
		f.unknown++
	}
	m.queue.fair.charge(f, float64(price)*float64(n))
}

// refund takes back what the units of a piece were charged that did not run, or of which nobody will hear how long they took.
func (m *Master) refund(p *piece, n int) {
	if p.price > 0 {
		m.queue.fair.correct(m.queue.fair.flow(p.job), -float64(p.price)*float64(n))
	}
}

// turnCost is what one turn of a flow counts for, at least.
func (m *Master) turnCost(f *Flow) float64 { return max(m.estimate(f, f.head), float64(batchTime)) }
