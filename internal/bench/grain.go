package bench

import (
	"fmt"
	"path/filepath"
	"time"

	"github.com/rankpool/rankpool/bench/ours"
)

// grain is the shortest task at which half of the workers' time is useful, and the share that is useful at some lengths.
func (p *plan) grain() {
	spec := fmt.Sprintf("grain,ms=%d", p.n(50, 10))
	counts := []int{1, 2}
	if p.quick {
		counts = counts[:1]
	}
	for _, workers := range counts {
		if p.wanted("processes") {
			p.grains(by(p.f.local("processes", workers), spec, ""), by(p.f.pythonGrain(workers), spec, ""))
			if workers > 1 {
				p.grains(by(p.f.slots(workers), spec, ""), side{})
			}
		}
		for _, i := range p.f.mpis {
			if !p.wanted(i.name) {
				continue
			}
			var peer side
			if p.ofMPI4Py(i) {
				peer = by(p.f.originalGrain(workers), spec, "")
			}
			p.grains(by(p.f.world(i, here, workers), spec, ""), peer)
			if p.f.hosts != "" && workers == 1 {
				p.grains(by(p.f.world(i, abroad, workers), spec, ""), side{})
			}
		}
	}
}

// grains are the rows of one backend and its peer.
func (p *plan) grains(mine, peer side) {
	g := p.group("grain")
	for _, way := range ours.GrainWays {
		key := func(k string) (side, side) {
			mine, peer := mine, peer
			mine.key, peer.key = "grain."+k, "grain."+k
			return mine, peer
		}
		r := row{name: "grain " + way, unit: micros, goal: halfGoal(way, mine.who)}
		r.ours, r.peer = key(ours.GrainHalf(way))
		g.add(r)
		for _, length := range ours.GrainShares {
			r := row{name: "grain " + way + ", µs", x: float64(length.Microseconds()), unit: ofIdeal, goal: shareGoal(way, length, mine.who)}
			r.ours, r.peer = key(ours.GrainShare(way, length))
			g.add(r)
		}
	}
}

// halfGoal is what the shortest task is to be.
func halfGoal(way string, who *entrant) goal {
	switch {
	case isAbroad(who):
		return atMost(20)
	case who.workers > 1: // with their master they are more than the cores that are sure to be there
		return goal{}
	case way == "map":
		return atMost(0.15)
	case way == "calls":
		return atMost(0.3)
	case who.backend == "processes":
		return atMost(2)
	}
	return atMost(3)
}

// shareGoal is how much of the time is to be useful with longer tasks. One at a time waits for its way there and back.
func shareGoal(way string, length time.Duration, who *entrant) goal {
	switch {
	case way == "single" || isAbroad(who):
		return goal{}
	case length >= 100*time.Microsecond:
		return atLeast(0.98)
	}
	return atLeast(0.95)
}

func isAbroad(who *entrant) bool { return who.at == abroad }

// pythonGrain is Python's own pool of so many workers.
func (f *field) pythonGrain(workers int) *entrant {
	return f.once(fmt.Sprint("multiprocessing grain", workers), func() *entrant {
		return &entrant{
			name: "multiprocessing.Pool", workers: workers, prepare: []*chore{&f.python},
			command: func(specs []string) []string {
				return append([]string{f.interpreter, filepath.Join(f.scratch, "grain.py"), fmt.Sprint(workers)}, specs...)
			},
		}
	})
}

// originalGrain is mpi4py.futures with so many workers.
func (f *field) originalGrain(workers int) *entrant {
	return f.once(fmt.Sprint("mpi4py grain", workers), func() *entrant {
		return &entrant{
			name: "mpi4py.futures", workers: workers, prepare: []*chore{&f.mpi4py.look},
			command: func(specs []string) []string {
				for _, i := range f.mpis {
					if i.family == f.mpi4py.vendor {
						script := filepath.Join(f.scratch, "grain-mpi4py.py")
						argv := append([]string{f.mpi4py.interpreter, "-m", "mpi4py.futures", script, fmt.Sprint(workers)}, specs...)
						return f.launch(i, here, workers+1, argv...)
					}
				}
				return nil
			},
		}
	})
}
