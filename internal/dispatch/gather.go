package dispatch

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
)

// Gangs are collected one at a time. The first that waits has every worker that becomes free, until there are enough. Meanwhile those that
// it has are given what has proven short, but no more once all that it needs are free or run something of that kind: so it begins when
// as many workers as it needs have ended what they had when it was first, and then one batch of short units each. A worker that is
// free is not handed to anything else, and one that turns out to run long is not waited for if another becomes free.

// allowance is what a worker may be given.
type allowance uint8

const (
	nothing allowance = iota
	brief             // what has proven short
	everything
)

// reserve returns what a worker may be given that is free for a gang: so many are, and so many fillers run something brief instead.
func reserve(free, fillers, need int) allowance {
	if free+fillers < need {
		return brief
	}
	return nothing
}

// allowance returns what may be handed out to worker w; with nil, to any.
func (m *Master) allowance(w *worker) allowance {
	if len(m.queue.gangs) == 0 || m.asking > 0 || m.needed() {
		return everything
	}
	b := &m.queue.gangs[0]
	switch {
	case w != nil && b.host != "" && w.hello.Host != b.host:
		return everything
	case m.cfg.Home != nil || w == nil:
		return nothing
	case m.cfg.MaxTasks > 0: // what is short may be the last that a worker runs, and then the gang has one less for as long as a start takes
		return nothing
	}
	return reserve(m.tally(b))
}

// tally counts the workers that are free for a gang, those that run something brief instead, and how many it needs.
func (m *Master) tally(b *band) (free, fillers, need int) {
	free, fillers, need = len(m.idle), m.fillers, b.job.more().Workers
	switch {
	case b.host != "":
		free, fillers = 0, 0
		for _, w := range m.workers {
			if w.hello.Host == b.host && w.state == idle {
				free++
			} else if w.hello.Host == b.host && w.filler {
				fillers++
			}
		}
	case need == 0 && m.ready > free+fillers: // some work
		need = free + fillers + 1
	case need == 0:
		need = m.intact()
	}
	return free, fillers, need
}

// isBrief tells whether units of a job have proven short. What waits for others is not, nor is a gang.
func (m *Master) isBrief(j *Job) bool {
	t := m.times(j.Func)
	return t.measured && !t.talks && !j.more().Gang && !j.unwanted() && t.mean*float64(j.chunk()) < float64(shortUnit)
}

// fillsIn notes that an idle worker, which is about to have been given something, runs what is brief, if a gang waits for it.
func (m *Master) fillsIn(w *worker) {
	if p := w.next(); p != nil && m.allowance(w) == brief && m.isBrief(p.job) {
		w.filler = true
		m.fillers++
	}
}

// filled notes that a worker does so no longer.
func (m *Master) filled(w *worker) {
	if w.filler {
		w.filler = false
		m.fillers--
	}
}

// next returns what worker w is to be given; with nil, any. A gang whose turn it is is put aside to wait for workers. Meanwhile nothing
// passes it but what is in front of the queue: what came back, which had passed already, and what tasks wait for that have lent their
// slots; and what allowance says. The rest of the queue passes only for the sake of a running task that waits for another,
// where only what follows in the queue may bring that.
func (m *Master) next(w *worker) (piece, bool) {
	for {
		m.trimGangs()
		p, ok := m.queue.peek()
		switch {
		case ok && p.job.unwanted():
			m.withdraw(p.job)
			continue
		case len(m.queue.coming) > 0 && len(m.queue.front) == 0 && m.queue.advance():
			continue
		case ok && p.job.more().Gang:
			m.call(p.job)
			continue
		case !ok || len(m.queue.front) > 0:
			return p, ok
		}
		switch m.allowance(w) {
		case everything:
			return p, true
		case brief:
			return m.queue.peekShort(m.isBrief)
		default:
			return piece{}, false
		}
	}
}

// call puts the gang aside whose turn it is. It is charged now, or the next of its flow would have the same turn.
func (m *Master) call(j *Job) {
	f := m.queue.current
	b := band{job: j, price: m.price(f, j)}
	m.queue.takeOf(f, 1, cursor{})
	if err := m.enough(j); err != nil {
		m.refuse(j, err)
		return
	}
	m.charge(f, j, j.more().Workers, b.price)
	m.queue.gangs = append(m.queue.gangs, b)
}

// disband takes back what a gang was charged that does not run.
func (m *Master) disband(b band) {
	if b.price > 0 {
		m.queue.fair.correct(m.queue.fair.flow(b.job), -float64(b.price)*float64(b.job.more().Workers))
	}
}

// needed tells whether the queue behind a gang may hold what a task that runs depends on, where slots are lent. A task that has lent
// its slot needs nothing: a gang begins beside it, and the queue follows. But one that has a slot and began before the gang was first
// may wait, in a way that the pool does not see, for another that has lent its slot and itself waits for the queue. What has passed the gang does
// not count, or it could go on like this without end.
func (m *Master) needed() bool {
	return m.lending.open > 0 && slices.ContainsFunc(m.workers, func(w *worker) bool { return w.state == busy && !w.loan.lent && !w.passed })
}

// pending tells whether anything waits to be run, or may be run again.
func (m *Master) pending() bool {
	m.trimGangs()
	_, more := m.queue.peek()
	return more || len(m.queue.gangs)+len(m.queue.coming)+len(m.blocked) > 0 || m.again.any()
}

// trimGangs forgets gangs that were withdrawn and would be next.
func (m *Master) trimGangs() {
	for len(m.queue.coming) > 0 && m.queue.coming[0].gang.is(withdrawn) {
		m.queue.pass()
	}
	for len(m.queue.gangs) > 0 && m.queue.gangs[0].job.is(withdrawn) {
		m.disband(m.queue.gangs[0])
		m.queue.gangs = m.queue.gangs[1:]
	}
}

// dropGangs removes the gangs that have left the queue's flows, or were never in one, and returns those that are still wanted.
func (m *Master) dropGangs() (all []*Job) {
	for len(m.queue.coming) > 0 {
		m.queue.gangs = append(m.queue.gangs, band{job: m.queue.coming[0].gang})
		m.queue.pass()
	}
	for _, b := range m.queue.gangs {
		m.disband(b)
		if !b.job.is(withdrawn) {
			all = append(all, b.job)
		}
	}
	m.queue.gangs = nil
	return all
}

// gather starts the first gang that waits if there are enough free workers. It returns true if it has, or if the first is another now.
func (m *Master) gather() bool {
	m.dropHopeless()
	m.trimGangs()
	if len(m.queue.gangs) == 0 {
		return false
	}
	b := &m.queue.gangs[0]
	if b.job.more().OneHost && b.host == "" && m.kind.Spread {
		b.host = m.roomiest(b.job.more().Workers)
	}
	n, ok := m.mustered(b)
	if !ok {
		return false
	}
	first := *b
	slots := m.choose(n, b.host)
	m.queue.gangs = m.queue.gangs[1:]
	if !first.job.Sink.Claim(0, n) {
		m.disband(first)
		return true
	}
	m.idle = slices.DeleteFunc(m.idle, func(slot int) bool {
		_, in := slices.BinarySearch(slots, slot)
		return in
	})
	m.start(first, slots)
	return true
}

// mustered tells whether the workers for a gang are there, and how many they are.
func (m *Master) mustered(b *band) (n int, ok bool) {
	n = b.job.more().Workers
	switch {
	case n == 0:
		n, ok = m.musteredAll()
	case m.cfg.Home != nil: // slots count, and each has a worker that is started if need be
		ok = m.lending.size-m.active()-len(m.lending.claims) >= n
	default:
		free, _, _ := m.tally(b)
		return n, free >= n
	}
	if !ok {
		return 0, false
	}
	for len(m.idle)+m.lending.coming < n {
		m.startExtra()
	}
	return n, len(m.idle) >= n
}

// musteredAll tells whether all workers are there, and how many they are. A worker whose task waits, and has lent its
// slot, has another in its place.
func (m *Master) musteredAll() (n int, ok bool) {
	for _, w := range m.workers[:m.lending.size] {
		switch {
		case w.givenUp():
		case w.state == idle, w.state == busy && w.loan.lent:
			n++
		default: // it works, or comes up
			return 0, false
		}
	}
	return n, n > 0 && m.active() == 0 && len(m.lending.claims) == 0
}

// choose returns n idle workers, in order: on the host if one is given. Else it takes a host that has enough, the one with the fewest, or
// those with the most first.
func (m *Master) choose(n int, host string) []int {
	idle := slices.Sorted(slices.Values(m.idle))
	if !m.kind.Spread || len(idle) == n {
		return idle[:n]
	}
	on := map[string][]int{}
	for _, slot := range idle {
		h := m.workers[slot].hello.Host
		on[h] = append(on[h], slot)
	}
	if host != "" {
		return on[host][:n]
	}
	hosts := slices.SortedFunc(maps.Values(on), func(a, b []int) int {
		return cmp.Or(cmp.Compare(len(b), len(a)), cmp.Compare(a[0], b[0])) // the most first
	})
	chosen := hosts[0]
	for _, h := range hosts[1:] {
		switch {
		case len(h) >= n && len(h) < len(chosen):
			chosen = h
		case len(chosen) < n:
			chosen = append(chosen, h...)
		}
	}
	chosen = chosen[:n]
	slices.Sort(chosen)
	return chosen
}

// intact counts the workers that were not given up.
func (m *Master) intact() (n int) {
	for _, w := range m.workers[:m.lending.size] {
		if !w.givenUp() {
			n++
		}
	}
	return n
}

// byHost counts these by their hosts.
func (m *Master) byHost() map[string]int {
	n := map[string]int{}
	for _, w := range m.workers {
		if !w.givenUp() {
			n[w.hello.Host]++
		}
	}
	return n
}

// roomiest returns the host with the most free workers of those that have so many in all.
func (m *Master) roomiest(n int) (host string) {
	free := map[string]int{}
	for _, slot := range m.idle {
		free[m.workers[slot].hello.Host]++
	}
	for h, all := range m.byHost() {
		if all >= n && (host == "" || cmp.Or(cmp.Compare(free[h], free[host]), cmp.Compare(host, h)) > 0) {
			host = h
		}
	}
	return host
}

// TooFewError says that there are not so many workers as a gang needs.
type TooFewError struct {
	Wanted, Workers int
	Lost            int  // workers that there were, and that will not come back
	OneHost         bool // Workers is how many the host has that has most
}

// Error says both numbers.
func (e *TooFewError) Error() string {
	s := fmt.Sprintf("%d workers are wanted at once, and there are %d", e.Wanted, e.Workers)
	if e.OneHost {
		s = fmt.Sprintf("%d workers are wanted on one host, and no host has more than %d", e.Wanted, e.Workers)
	}
	if e.Lost > 0 {
		s += fmt.Sprintf(": %d were lost", e.Lost)
	}
	return s
}

// ErrTooFew is what errors.Is finds in every *TooFewError.
var ErrTooFew = errors.New("there are not so many workers")

// Is says that a *TooFewError is ErrTooFew.
func (e *TooFewError) Is(target error) bool { return target == ErrTooFew }

// enough says why there will not be enough workers for a job, as far as that is known.
func (m *Master) enough(j *Job) error {
	more := j.more()
	if more.Workers == 0 {
		return nil
	}
	if m.lending.size == 0 {
		if m.cfg.Slots > 0 && more.Workers > m.cfg.Slots {
			return &TooFewError{Wanted: more.Workers, Workers: m.cfg.Slots}
		}
		return nil
	}
	have := m.intact()
	if more.Workers > have {
		return &TooFewError{Wanted: more.Workers, Workers: have, Lost: m.lending.size - have}
	}
	if more.OneHost && m.kind.Spread && m.isBooted {
		if most := slices.Max(slices.Collect(maps.Values(m.byHost()))); more.Workers > most {
			return &TooFewError{Wanted: more.Workers, Workers: most, OneHost: true, Lost: m.lending.size - have}
		}
	}
	return nil
}

// dropHopeless has gangs that wait fail if there are no longer enough workers for them.
func (m *Master) dropHopeless() {
	if !m.shrunk {
		return
	}
	m.shrunk = false
	kept := m.queue.gangs[:0]
	for _, b := range m.queue.gangs {
		if err := m.enough(b.job); err != nil && !b.job.is(withdrawn) {
			m.disband(b)
			m.refuse(b.job, err)
			continue
		}
		b.host = "" // it may have too few now
		kept = append(kept, b)
	}
	clear(m.queue.gangs[len(kept):])
	m.queue.gangs = kept
}

// refuse tells the sink of a gang that it will not run.
func (m *Master) refuse(j *Job, why error) {
	j.marks |= dropped
	m.stats.Failed++
	m.trace.settled(j)
	n := newsPool.Get().(*news)
	n.list = append(n.list, delivery{job: j, n: 1, rest: &rest{drop: why}})
	m.delivering++
	go func() {
		m.deliver(n)
		m.mu.Lock()
		m.deliveryEnded()
		m.unlock()
	}()
}
