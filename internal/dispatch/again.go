package dispatch

import (
	"context"
	"errors"
	"time"
)

// Again says what else than the loss of its worker has a unit run again, and when.
type Again struct {
	If       func(err error) bool          // code of the user's; nil picks nothing
	Timeouts bool                          // errors that match context.DeadlineExceeded, the end of the unit's own time among them
	Pause    func(tries int) time.Duration // before the unit is queued again for that many times; nil: none. It must be quick
}

// picks tells whether a unit that has failed is to run again.
func (a *Again) picks(err error) bool {
	return a.Timeouts && errors.Is(err, context.DeadlineExceeded) || a.If != nil && a.If(err)
}

// repetitions are units that will perhaps run again. The lock guards them.
type repetitions struct {
	deciding int // failures that Again has not been asked about
	pausing  int
	pauses   map[*Job]*jobPauses
}

// jobPauses are the units of one job that wait for their time.
type jobPauses struct {
	left int
	all  []*pause
}

// pause is one of them.
type pause struct {
	piece
	timer *time.Timer
	over  bool
}

// any tells whether there are any.
func (r *repetitions) any() bool { return r.deciding > 0 || r.pausing > 0 }

// failing returns the next unit of p, which has failed, if Again is to be asked about it; then decide must follow. Nil: it has failed.
func (m *Master) failing(p *piece) *piece {
	more := p.job.more()
	if a := more.Again; a == nil || a.If == nil && !a.Timeouts || more.Gang || p.gone || p.tries >= more.Retries {
		return nil
	}
	m.again.deciding++
	return &piece{job: p.job, cursor: p.job.advance(p.cursor, p.done), n: 1, tries: p.tries}
}

// decide asks whether a unit that has failed with err is to run again, and queues it if so. It may run code of the user's: no lock is
// held.
func (m *Master) decide(p piece, err error) (again bool) {
	defer func() { // also when the user's code panics
		m.mu.Lock()
		defer m.unlock()
		m.again.deciding--
		if again = again && m.repeats(&p); again {
			m.repeat(p, nil)
			m.handOut()
		} else {
			m.stats.Failed++
			m.trace.settled(p.job)
			p.job.fails()
		}
		m.settleState()
	}()
	return p.job.more().Again.picks(err)
}

// repeats tells whether anything can still run again.
func (m *Master) repeats(p *piece) bool {
	return p.tries < p.job.more().Retries && p.job.marks&(withdrawn|interrupted) == 0 && m.state != Broken && m.dropping == nil && !m.leaving
}

// repeat has one unit run again: at once, by way of back unless that is nil, or after a pause.
func (m *Master) repeat(p piece, back *[]piece) {
	p.tries++
	m.stats.Retried++
	d := time.Duration(0)
	if a := p.job.more().Again; a != nil && a.Pause != nil {
		d = a.Pause(p.tries)
	}
	switch {
	case d <= 0 && back != nil:
		*back = append(*back, p)
	case d <= 0:
		p.job.Sink.Unclaim(p.unit, p.n)
		m.queue.unpop(p)
	default:
		p.job.Sink.Unclaim(p.unit, p.n)
		m.pause(p, d)
	}
}

// pause queues a unit when d is over.
func (m *Master) pause(p piece, d time.Duration) {
	r := &m.again
	if r.pauses == nil {
		r.pauses = map[*Job]*jobPauses{}
	}
	of := r.pauses[p.job]
	if of == nil {
		of = new(jobPauses)
		r.pauses[p.job] = of
	}
	w := &pause{piece: p}
	of.all = append(of.all, w)
	of.left++
	r.pausing++
	w.timer = time.AfterFunc(d, func() {
		m.mu.Lock()
		defer m.unlock()
		if w.over {
			return
		}
		w.over = true
		r.pausing--
		if of.left--; of.left == 0 {
			delete(r.pauses, p.job)
		}
		m.queue.unpop(p)
		m.handOut()
	})
}

// endPauses takes the units of a job out that wait for their time.
func (r *repetitions) endPauses(j *Job) (units []piece) {
	of := r.pauses[j]
	if of == nil {
		return nil
	}
	delete(r.pauses, j)
	for _, w := range of.all {
		if !w.over {
			w.over = true
			w.timer.Stop()
			r.pausing--
			units = append(units, w.piece)
		}
	}
	return units
}
