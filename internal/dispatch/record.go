package dispatch

import "time"

// Record is what is known of how some units ran: by which worker, and for how long each. It does not change once a sink has it.
type Record struct {
	Site    *Site
	Attempt int // which run of theirs it was, from 1

	// Took is how long each of them took in the worker, its arguments decoded and its results encoded: units that were timed together
	// have the same share. 0: nobody knows, for the worker was lost, or the units were given up.
	Took time.Duration
}

// Site is where a worker is.
type Site struct {
	Place
	Of any // Config.Of
}

// recorder makes the records of the units whose results stand in one frame. A worker tells the time of units of one function
// together, behind the last of them, so a record is complete when that comes.
type recorder struct {
	m *Master
	w *worker

	fn   uint32
	ran  elements // since the last time
	open *Record
	owed []owed    // by flows for what has run
	more []*Record // open ones of other attempts
}

// owed is what some elements of a flow were charged for.
type owed struct {
	flow     *Flow
	elements int
	price    float64
}

// owes notes what elements were charged that were counted just now.
func (r *recorder) owes(f *Flow, elements int, price float64) {
	if n := len(r.owed); n > 0 && r.owed[n-1].flow == f {
		r.owed[n-1].elements += elements
		r.owed[n-1].price += price
		return
	}
	r.owed = append(r.owed, owed{f, elements, price})
}

// elements are how many have run, and how many of these have succeeded.
type elements struct{ all, good int }

func (e *elements) add(o elements) {
	e.all += o.all
	e.good += o.good
}

// ran is how many elements have run of which a part tells.
func (p *Part) ran() elements { return elements{p.Done + p.Failed, p.Done} }

// count notes elements of a function whose units have ended.
func (r *recorder) count(fn uint32, ran elements) {
	if r.fn != fn {
		r.estimate()
		r.fn = fn
	}
	r.ran.add(ran)
}

// record returns the record of units that were counted just now.
func (r *recorder) record(tries int) *Record {
	if r.open != nil && r.open.Attempt == tries+1 {
		return r.open
	}
	if r.open != nil {
		r.more = append(r.more, r.open)
	}
	r.open = &Record{Site: r.w.site, Attempt: tries + 1}
	return r.open
}

// timed takes how long the units took that have come since the last time, those of earlier frames included. Elements that have
// failed say nothing about how long one takes that does not.
func (r *recorder) timed(d time.Duration, clock uint64) {
	r.m.trace.timed(r.w, d, clock, r.ran.all)
	if r.ran.good > 0 {
		r.m.times(r.fn).add(d, r.ran.good)
	}
	r.w.spent += d
	if r.ran.all > 0 {
		r.close(max(d-r.w.untimed, 0) / time.Duration(r.ran.all))
	}
	r.w.untimed = 0
}

// estimate closes the records of units whose results have come before their time: for them it is what their function takes on
// average.
func (r *recorder) estimate() {
	if r.ran.all > 0 {
		each := time.Duration(r.m.times(r.fn).mean)
		r.w.untimed += each * time.Duration(r.ran.all)
		r.m.trace.estimated(r.w, each, r.ran.all)
		r.close(each)
	}
}

func (r *recorder) close(each time.Duration) {
	if r.open != nil {
		r.open.Took = each
	}
	for _, o := range r.more {
		o.Took = each
	}
	for _, o := range r.owed {
		o.flow.unknown = 0
		r.m.queue.fair.correct(o.flow, float64(each)*float64(o.elements)-o.price)
	}
	r.owed = r.owed[:0]
	r.ran, r.open, r.more = elements{}, nil, nil
}
