package dispatch

import (
	"context"
	"slices"
)

// A task may wait for other tasks of its own pool. Where the workers are goroutines of one process, its slot is lent
// meanwhile: another task runs, on a worker that is started for it if none is idle. So there are never more tasks that run and
// do not wait than the pool has slots, but for one each time that a wait is ended by its context, which waits for no slot.
//
// The master counts. A worker whose task waits is lent; active is how many have tasks that do not wait. What a wait brought
// goes on as soon as active is below size, before anything that is queued.

// spareWorkers is how many idle workers are kept beyond the pool's size.
const spareWorkers = 8

// lending is what a master knows of slots that are lent. The lock guards it.
type lending struct {
	size    int       // slots: tasks that may run at once
	lent    int       // workers whose task waits
	open    int       // waits that are for more than jobs that have begun or are in front of the queue
	claims  []*worker // those of them whose wait has ended, in that order
	coming  int       // workers beyond size that are starting
	vacant  []*worker // slots beyond size that have no worker
	awaited map[*Job][]*Loan
}

// lender is a task that waits: the unit of that number on that worker.
type lender struct {
	s   *server
	seq uint64
}

// loan is a worker's part.
type loan struct {
	task  lender
	waits int           // waits of the task that are under way; it may have goroutines
	lent  bool          // it does not count as active
	back  chan struct{} // not nil: the task's wait has ended; closed when it may go on
}

// Loan is a wait of a task for others of its pool. A nil Loan is of a wait that is none.
type Loan struct {
	m    *Master
	w    *worker
	task lender
	ctx  context.Context
	want Wanted
}

// Wanted is what a task waits for.
type Wanted struct {
	// Jobs of the pool go to the head of the queue, for what a task waits for is worth more than what nobody waits for yet, and a tree of
	// tasks is walked in depth and not in breadth.
	Jobs []*Job

	// Alone says that there is one job, and that its answer ends the wait: then the slot is promised as soon as the answer is there.
	Alone bool

	// Open says that the wait is for something else too that any task of the pool may bring, also one that is not yet queued. A gang is
	// nothing of the kind.
	Open bool
}

// Lend lends the slot of the task whose context ctx is, or was made of, if that is one of the pool's. Return must follow.
func (h *Home) Lend(ctx context.Context, want Wanted) *Loan {
	m, s := h.master.Load(), serverOf(ctx)
	if m == nil || s == nil || s.svc.Home != h || ctx.Err() != nil {
		return nil
	}
	s.mu.Lock()
	w, task := s.work, lender{s, s.cancelSeq}
	if w == nil || task.seq == 0 || s.base.Err() != nil {
		s.mu.Unlock()
		return nil
	}
	if s.proto.relieve() {
		go s.lead()
	}
	s.mu.Unlock()
	s.giveBack(w) // what is behind this task may be what it waits for
	m.mu.Lock()
	defer m.unlock()
	v := m.workers[s.rank]
	if p := v.next(); m.leaving || v.state != busy || p == nil || p.seq+uint64(p.done) != task.seq {
		return nil // another has taken its place
	}
	l := &Loan{m: m, w: v, task: task, ctx: ctx, want: want}
	if v.loan.task != task {
		v.loan = loan{task: task}
	}
	v.loan.waits++
	m.unclaim(v) // for as long as one of its goroutines waits, the task does
	if !v.loan.lent {
		v.loan.lent = true
		m.lending.lent++
	}
	for _, j := range slices.Backward(want.Jobs) {
		m.queue.promote(j)
		if !j.is(queued) { // it comes later; what it waits for itself may be behind what is there
			j.marks |= urgent
			l.want.Open = true
		}
	}
	if l.want.Open {
		m.lending.open++
	}
	if want.Alone && len(want.Jobs) == 1 { // the end of its wait is known before it is
		j := want.Jobs[0]
		j.marks |= awaited
		if m.lending.awaited == nil {
			m.lending.awaited = map[*Job][]*Loan{}
		}
		m.lending.awaited[j] = append(m.lending.awaited[j], l)
	}
	m.handOut()
	return l
}

// Return says that the wait has ended: with what was waited for (came), or by its context. In the former case it blocks until
// there is a slot, or until the context ends.
func (l *Loan) Return(came bool) {
	if l == nil {
		return
	}
	m, v := l.m, l.w
	m.mu.Lock()
	m.forget(l)
	if v.loan.task != l.task {
		m.unlock()
		return
	}
	if v.loan.waits--; v.loan.waits > 0 || !v.loan.lent { // another goroutine of the task waits, or the slot is there
		v.loan.back = nil
		m.unlock()
		return
	}
	if !came || m.leaving || m.active() < m.lending.size && len(m.lending.claims) == 0 {
		m.resume(v)
		m.unlock()
		return
	}
	m.claim(v)
	back := v.loan.back
	m.unlock()
	select {
	case <-back:
	case <-l.ctx.Done():
	}
	m.mu.Lock()
	if v.loan.task == l.task && v.loan.waits == 0 {
		m.resume(v)
	}
	m.unlock()
}

// forget drops what Lend noted of a wait.
func (m *Master) forget(l *Loan) {
	if l.want.Open {
		m.lending.open--
	}
	if len(l.want.Jobs) != 1 || !l.want.Jobs[0].is(awaited) {
		return
	}
	j := l.want.Jobs[0]
	left := slices.DeleteFunc(m.lending.awaited[j], func(o *Loan) bool { return o == l })
	if len(left) > 0 {
		m.lending.awaited[j] = left
		return
	}
	delete(m.lending.awaited, j)
	j.marks &^= awaited
}

// answersAwaited has the tasks that wait for a job, which has been answered, ask for their slots: ahead of what the worker
// that answered would be given.
func (m *Master) answersAwaited(j *Job) {
	for _, l := range m.lending.awaited[j] {
		if b := &l.w.loan; b.task == l.task && b.waits == 1 && b.lent {
			m.claim(l.w)
		}
	}
	delete(m.lending.awaited, j)
	j.marks &^= awaited
}

// active returns how many workers have a task that does not wait for others.
func (m *Master) active() int { return m.ready - len(m.idle) - m.lending.lent }

// hasRoom tells whether another task may begin.
func (m *Master) hasRoom() bool { return m.active() < m.lending.size }

// claim has a task whose wait has ended be the next to get a slot, after others like it.
func (m *Master) claim(v *worker) {
	if v.loan.back == nil {
		v.loan.back = make(chan struct{})
		m.lending.claims = append(m.lending.claims, v)
	}
}

// unclaim takes back that a task asks for a slot, or has been promised one.
func (m *Master) unclaim(v *worker) {
	if v.loan.back == nil {
		return
	}
	if i := slices.Index(m.lending.claims, v); i >= 0 {
		m.lending.claims = slices.Delete(m.lending.claims, i, i+1)
		close(v.loan.back)
	}
	v.loan.back = nil
}

// resume counts a worker's task as one that does not wait, whether there is a slot or not.
func (m *Master) resume(v *worker) {
	m.unclaim(v)
	if v.loan.lent {
		v.loan.lent = false
		m.lending.lent--
	}
}

// grantSlots gives slots to those whose waits have ended; when the workers leave, to all.
func (m *Master) grantSlots() {
	for len(m.lending.claims) > 0 && (m.hasRoom() || m.leaving) {
		v := m.lending.claims[0]
		m.lending.claims = slices.Delete(m.lending.claims, 0, 1)
		v.loan.lent = false
		m.lending.lent--
		close(v.loan.back)
	}
}

// settleLoan takes the end of a worker's task, or of the worker.
func (m *Master) settleLoan(v *worker) {
	if v.loan.task.s != nil {
		m.resume(v)
		v.loan = loan{}
	}
}

// grow starts workers for what is queued, when slots are lent and no worker is idle.
func (m *Master) grow() {
	g := &m.lending
	if g.lent == 0 || m.leaving {
		return
	}
	for len(m.idle) == 0 && m.active()+g.coming < g.size {
		if _, ok := m.next(nil); !ok || m.queue.units <= g.coming {
			return
		}
		m.startExtra()
	}
}

// startExtra starts a worker beyond the pool's size.
func (m *Master) startExtra() {
	g := &m.lending
	var v *worker
	if n := len(g.vacant); n > 0 {
		v, g.vacant = g.vacant[n-1], g.vacant[:n-1]
	} else {
		v = m.newWorkers(len(m.workers), 1)[0]
		m.workers = append(m.workers, v)
	}
	g.coming++
	m.startWorker(v)
}

// extra tells whether a worker is one that lending has brought.
func (m *Master) extra(w *worker) bool { return m.lending.size > 0 && w.slot >= m.lending.size }

// surplus tells whether a worker that has become free is one too many.
func (m *Master) surplus(w *worker) bool {
	return m.extra(w) && len(m.idle) >= m.lending.size+spareWorkers
}

// vacate notes that the place of a worker beyond the pool's size is free again.
func (m *Master) vacate(w *worker, was workerState) {
	switch was {
	case starting:
		m.lending.coming--
	case leaving:
		w.stopTimer()
	}
	m.lending.vacant = append(m.lending.vacant, w)
}

// promote puts what waits of a job in front of the queue.
func (q *queue) promote(j *Job) {
	if !j.is(queued) || j.is(withdrawn) || j.at == taken || j.more().Gang {
		return
	}
	p := piece{job: j, cursor: j.begin(), n: j.waiting()}
	j.at = taken // its place in the queue is passed over
	q.front = append(q.front, p)
	q.trim(j)
}
