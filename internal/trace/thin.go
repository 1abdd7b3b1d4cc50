package trace

import "time"

// thinner puts units together that one worker has run, of one function and with one outcome. It bounds what a recording takes, in memory
// and in the file.
type thinner struct {
	groups map[group]*Event
	merged int // units that are told of together with others, since the beginning
}

// group is what units must have in common.
type group struct {
	pool, worker int
	fn           string
	outcome      Outcome
}

// room is what the records of all groups take at most in a file.
func (t *thinner) room() int64 { return groupRoom * int64(len(t.groups)) }

// groupRoom is more than the record of a group takes, but for the names of functions, of which each is written once.
const groupRoom = 100

// add takes units in, whose function is known then and told. Those of a group that has become as large as that are returned; they are the caller's.
func (t *thinner) add(e *Event, most int) (full *Event) {
	e.Listed = false // the units of several jobs may be told of by one of them
	k := group{e.Pool, e.Worker, e.Func, e.Outcome}
	g := t.groups[k]
	if g == nil {
		if t.groups == nil {
			t.groups = map[group]*Event{}
		}
		g = new(Event)
		*g = *e
		t.groups[k] = g
	} else {
		if g.single() {
			t.merged += g.Units
		}
		if e.single() {
			t.merged += e.Units
		}
		g.merge(e)
	}
	if g.Units < most {
		return nil
	}
	delete(t.groups, k)
	return g
}

// take empties the thinner.
func (t *thinner) take() (all []*Event) {
	for _, g := range t.groups {
		all = append(all, g)
	}
	t.groups = nil
	return all
}

// takePool takes what there is of a pool.
func (t *thinner) takePool(pool int) (all []*Event) {
	for k, g := range t.groups {
		if k.pool == pool {
			all = append(all, g)
			delete(t.groups, k)
		}
	}
	return all
}

// single tells whether the units are told of as they were, and not put together with others.
func (e *Event) single() bool { return e.Longest == 0 }

// longest is how long the longest of the units ran, as far as that is known.
func (e *Event) longest() time.Duration {
	if e.Longest > 0 {
		return e.Longest
	}
	return e.Busy / time.Duration(max(e.Units, 1))
}

// merge takes the other units in.
func (e *Event) merge(o *Event) {
	mine, other := e.longest(), o.longest()
	if other > mine {
		e.Job, e.First, e.Attempt = o.Job, o.First, o.Attempt
	}
	e.Longest = max(mine, other, 1)
	e.At, e.Queued, e.Begun = min(e.At, o.At), min(e.Queued, o.Queued), min(e.Begun, o.Begun)
	e.Ended, e.Answered = max(e.Ended, o.Ended), max(e.Answered, o.Answered)
	e.Count += o.Count
	e.Units += o.Units
	e.Busy += o.Busy
	e.In += o.In
	e.Out += o.Out
}
