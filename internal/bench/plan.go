package bench

import (
	"slices"
)

// side is one half of a comparison: a program, what it is asked to do, and which of the values it prints counts.
type side struct {
	who  *entrant
	spec string
	key  string

	samples []float64 // what it has printed in the sittings of the group
	late    bool      // there was no time for all of them
}

// by is a side before it is measured.
func by(who *entrant, spec, key string) side { return side{who: who, spec: spec, key: key} }

// values are the samples in a unit.
func (s side) values(u unit) []float64 {
	all := slices.Clone(s.samples)
	for i := range all {
		all[i] *= u.scale
	}
	return all
}

// row is one figure: what rankpool does on one backend, beside what a peer does.
type row struct {
	name string
	ours side
	peer side   // who is nil when there is none
	note string // what of the peer counts
	unit unit
	goal goal
	x    float64 // where on a curve
}

func (r row) peerName() string {
	name := r.peer.who.name
	if name == "" {
		name = "itself"
	}
	if r.note != "" {
		name += ", " + r.note
	}
	return name
}

// group is figures whose programs take turns.
type group struct {
	name     string
	together bool // the programs do not disturb each other: all run at once
	once     bool // one sitting is long enough
	rows     []row
}

func (g *group) add(rows ...row) { g.rows = append(g.rows, rows...) }

// plan is everything that is to be measured.
type plan struct {
	f      *field
	quick  bool
	wanted func(backend string) bool
	groups []*group
}

// n is a number of tasks: a few when time is short.
func (p *plan) n(full, quick int) int {
	if p.quick {
		return quick
	}
	return full
}

// group returns the group of a name, a new one if there is none.
func (p *plan) group(name string) *group {
	for _, g := range p.groups {
		if g.name == name {
			return g
		}
	}
	g := &group{name: name}
	p.groups = append(p.groups, g)
	return g
}

// small is the group of a figure on one worker. When time is short, one start of a program measures all of them: a job's start
// takes longer than its work then.
func (p *plan) small(figure string, i *implementation) *group {
	if p.quick {
		return p.group("one worker, " + i.name)
	}
	return p.group(figure)
}

// of returns the MPI whose plain C program local processes are compared with: the first that is here.
func (p *plan) of() *implementation {
	for _, i := range p.f.mpis {
		if i.look.err == nil {
			return i
		}
	}
	return p.f.mpis[0]
}

// oneWorker calls add for every backend with processes, with one worker, and the MPI that it is compared with. World is
// whether it is the ranks of an mpiexec.
func (p *plan) oneWorker(add func(ours *entrant, i *implementation, world bool)) {
	if p.wanted("processes") {
		add(p.f.local("processes", 1), p.of(), false)
	}
	for _, i := range p.f.mpis {
		if p.wanted(i.name) {
			add(p.f.world(i, here, 1), i, true)
		}
		if p.wanted(i.name+"-spawned") && !p.quick {
			add(p.f.spawned(i, 1), i, false)
		}
	}
}
