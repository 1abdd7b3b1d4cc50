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

	fn       uint32
	elements int // since the last time
	good     int // of these, those that succeeded
	open     *Record
	more     []*Record // open ones of other attempts
}

// count notes units of a function whose results have come: so many elements, of which some have succeeded.
func (r *recorder) count(fn uint32, elements, good int) {
	if r.fn != fn {
		r.estimate()
		r.fn = fn
	}
	r.elements += elements
	r.good += good
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
func (r *recorder) timed(d time.Duration) {
	if r.good > 0 {
		r.m.times(r.fn).add(d, r.good)
	}
	r.w.stats.Busy += d
	if r.elements > 0 {
		r.close(max(d-r.w.untimed, 0) / time.Duration(r.elements))
	}
	r.w.untimed = 0
}

// estimate closes the records of units whose results have come before their time: for them it is what their function takes on
// average.
func (r *recorder) estimate() {
	if r.elements > 0 {
		each := time.Duration(r.m.times(r.fn).mean)
		r.w.untimed += each * time.Duration(r.elements)
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
	r.elements, r.good, r.open, r.more = 0, 0, nil, nil
}
