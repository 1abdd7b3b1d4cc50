// Package status is what a program does at a moment: its executors, and what their workers run.
package status

import (
	"cmp"
	"slices"
	"time"
)

// Program is what a program does.
type Program struct {
	At        time.Time  `json:"at"`
	Program   string     `json:"program"`
	Host      string     `json:"host"`
	Pid       int        `json:"pid"`
	Begun     time.Time  `json:"begun"`
	Draining  bool       `json:"draining"` // it was told to end
	Executors []Executor `json:"executors"`
}

// Executor is one that has started and has not ended, or that was broken.
type Executor struct {
	Number    int        `json:"number"` // counts those of the program, from 1
	Backend   string     `json:"backend"`
	State     string     `json:"state"`
	Error     string     `json:"error,omitempty"` // why it is broken
	Begun     time.Time  `json:"begun"`
	Ended     time.Time  `json:"ended,omitzero"` // of one that was broken and has ended
	Tasks     Tasks      `json:"tasks"`
	Workers   Workers    `json:"workers"`
	Maps      []Map      `json:"maps"`      // under way
	Functions []Function `json:"functions"` // that run
	Hosts     []Host     `json:"hosts"`
	Listed    []Worker   `json:"listed"` // workers: those whose task runs longest first, as many as were asked for
	Losses    []Loss     `json:"losses"` // the last ones
}

// Tasks counts calls, and chunks of maps.
type Tasks struct {
	Submitted uint64 `json:"submitted"`
	Queued    int    `json:"queued"`  // now
	Running   int    `json:"running"` // now: handed to workers
	Waiting   int    `json:"waiting"` // now: wait for others and have lent their slots
	Gangs     int    `json:"gangs"`   // now: wait for workers
	Blocked   int    `json:"blocked"` // now: wait for their inputs
	Done      uint64 `json:"done"`
	Failed    uint64 `json:"failed"`
	Cancelled uint64 `json:"cancelled"`
	Retried   uint64 `json:"retried"`
	Recalled  uint64 `json:"recalled"`
}

// Workers counts workers by what they are at.
type Workers struct {
	Total    int     `json:"total"`
	Starting int     `json:"starting"` // or waiting to be started
	Idle     int     `json:"idle"`
	Busy     int     `json:"busy"`    // their tasks compute
	Waiting  int     `json:"waiting"` // their tasks wait for others, and have lent their slots
	Leaving  int     `json:"leaving"`
	Missing  int     `json:"missing"` // they were lost, and nothing takes their place
	Lost     uint64  `json:"lost"`    // so far, whether replaced or not
	Restarts uint64  `json:"restarts"`
	Seconds  float64 `json:"busy_seconds"` // in tasks that are finished
}

// Map is a map under way.
type Map struct {
	Number   int       `json:"number"` // counts those of the executor, from 1
	Name     string    `json:"name"`
	Function string    `json:"function"`
	Begun    time.Time `json:"begun"`
	Total    int       `json:"total"` // elements; -1: nobody knows yet
	Done     int       `json:"done"`  // elements that have succeeded
	Failed   int       `json:"failed"`
	Recalled int       `json:"recalled"` // of these, what a journal had: it does not count in the rate
	Rate     float64   `json:"per_second"`
	Left     float64   `json:"left_seconds"` // -1: nobody knows
}

// Estimate sets the rate and the time left.
func (m *Map) Estimate(at time.Time) {
	m.Left = -1
	over := float64(m.Done + m.Failed)
	ran := over - float64(m.Recalled)
	elapsed := at.Sub(m.Begun).Seconds()
	if ran <= 0 || elapsed <= 0 {
		return
	}
	m.Rate = ran / elapsed
	if m.Total >= 0 {
		m.Left = max(float64(m.Total)-over, 0) / m.Rate
	}
}

// Function is what runs of one function.
type Function struct {
	Name    string  `json:"name"`
	Running int     `json:"running"` // workers
	Longest float64 `json:"longest_seconds"`
}

// Host is what is on one host.
type Host struct {
	Name    string `json:"name"`
	Workers int    `json:"workers"`
	Busy    int    `json:"busy"`
}

// Worker is one worker.
type Worker struct {
	Number  int     `json:"number"`
	State   string  `json:"state"`
	Host    string  `json:"host,omitempty"`
	Pid     int     `json:"pid,omitempty"`
	Rank    int     `json:"rank"` // -1: it is none
	Attempt int     `json:"attempt"`
	Tasks   uint64  `json:"tasks"` // finished
	Seconds float64 `json:"busy_seconds"`
	Runs    *Run    `json:"runs"` // nil: nothing
}

// Run is what a worker runs.
type Run struct {
	Function string    `json:"function"`
	Map      int       `json:"map,omitempty"` // its number; 0: it is a call
	Index    int       `json:"index"`         // of the element, or the first of them
	Elements int       `json:"elements"`      // of a chunk, or of tiny ones that were sent together
	Behind   int       `json:"behind"`        // tasks that the worker has besides
	Since    time.Time `json:"since"`
	Seconds  float64   `json:"for_seconds"`
	Waits    bool      `json:"waits,omitempty"`    // for other tasks
	GivenUp  bool      `json:"given_up,omitempty"` // nobody waits for it
}

// Loss is the loss of a worker.
type Loss struct {
	At     time.Time `json:"at"`
	Worker int       `json:"worker"`
	Host   string    `json:"host,omitempty"`
	Pid    int       `json:"pid,omitempty"`
	Cause  string    `json:"cause"`
}

// Gather collects the workers of an executor one by one, and keeps what is asked for.
type Gather struct {
	Most int // workers that are listed

	sum       Workers
	list      []Worker
	functions map[string]*Function
	hosts     map[string]*Host
}

// Add takes in a worker. It is given away.
func (g *Gather) Add(w Worker) {
	g.sum.Total++
	g.sum.Seconds += w.Seconds
	waits := w.Runs != nil && w.Runs.Waits
	switch w.State {
	case "idle":
		g.sum.Idle++
	case "busy":
		if waits {
			g.sum.Waiting++
		} else {
			g.sum.Busy++
		}
	case "leaving":
		g.sum.Leaving++
	case "lost":
		g.sum.Missing++
	default:
		g.sum.Starting++
	}
	if w.Host != "" && w.State != "lost" {
		h := at(&g.hosts, w.Host)
		h.Name = w.Host
		h.Workers++
		if w.State == "busy" && !waits {
			h.Busy++
		}
	}
	if w.Runs != nil {
		f := at(&g.functions, w.Runs.Function)
		f.Name = w.Runs.Function
		f.Running++
		f.Longest = max(f.Longest, w.Runs.Seconds)
	}
	if g.list = append(g.list, w); len(g.list) >= 2*g.Most+64 {
		g.cut()
	}
}

func at[T any](all *map[string]*T, name string) *T {
	if *all == nil {
		*all = map[string]*T{}
	}
	v := (*all)[name]
	if v == nil {
		v = new(T)
		(*all)[name] = v
	}
	return v
}

// cut keeps those workers that are to be listed: first what runs, the longest first.
func (g *Gather) cut() {
	slices.SortFunc(g.list, func(a, b Worker) int {
		switch {
		case (a.Runs == nil) != (b.Runs == nil):
			if a.Runs != nil {
				return -1
			}
			return 1
		case a.Runs != nil && a.Runs.Seconds != b.Runs.Seconds:
			return cmp.Compare(b.Runs.Seconds, a.Runs.Seconds)
		}
		return cmp.Compare(a.Number, b.Number)
	})
	if len(g.list) > g.Most {
		clear(g.list[g.Most:])
		g.list = g.list[:g.Most]
	}
}

// mostHosts is how many hosts and functions are told of: those with the most workers.
const mostHosts = 1000

// Into sets what an executor's status has of its workers.
func (g *Gather) Into(e *Executor) {
	g.cut()
	lost, restarts := e.Workers.Lost, e.Workers.Restarts
	e.Workers = g.sum
	e.Workers.Lost, e.Workers.Restarts = lost, restarts
	e.Listed = append([]Worker{}, g.list...)
	e.Functions, e.Hosts = []Function{}, []Host{}
	for _, f := range g.functions {
		e.Functions = append(e.Functions, *f)
	}
	for _, h := range g.hosts {
		e.Hosts = append(e.Hosts, *h)
	}
	slices.SortFunc(e.Functions, func(a, b Function) int {
		return cmp.Or(cmp.Compare(b.Running, a.Running), cmp.Compare(a.Name, b.Name))
	})
	slices.SortFunc(e.Hosts, func(a, b Host) int { return cmp.Or(cmp.Compare(b.Workers, a.Workers), cmp.Compare(a.Name, b.Name)) })
	e.Functions = e.Functions[:min(len(e.Functions), mostHosts)]
	e.Hosts = e.Hosts[:min(len(e.Hosts), mostHosts)]
}
