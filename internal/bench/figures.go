package bench

import (
	"fmt"
	"runtime"
	"strings"
)

// figureNames are the figures in the order in which they are measured.
var figureNames = []string{"submit", "map", "latency", "echo", "wake", "threads", "skew", "heap", "start", "sleep", "idle", "hosts", "curves", "grain", "goroutines", "observing", "scale", "soak"}

// aboutFigures says what each is, for --help.
var aboutFigures = map[string]string{
	"hello":      "rank, size and host of every worker; nothing is measured",
	"submit":     "1,000,000 tasks int to int, all submitted, then collected, on one worker",
	"map":        "10,000,000 elements int to int, default chunks, on one worker",
	"latency":    "one task at a time",
	"echo":       "[]float64 of 1, 16 and 256 MiB there and back",
	"wake":       "one task after a second without any",
	"threads":    "1,000,000 tasks on two goroutines",
	"skew":       "10,000 tasks of 100 µs, every hundredth of 10 ms, on two workers",
	"heap":       "the master's memory for what waits",
	"start":      "1, 2 and 8 local workers until all are ready",
	"sleep":      "10,000 tasks that sleep 10 ms on 64 local workers",
	"idle":       "processor time while nothing is in flight",
	"hosts":      "tiny tasks between the hosts of --hosts",
	"curves":     "over workers, chunk sizes and message sizes; measured when named, or for --plot",
	"grain":      "the shortest task at which half of the workers' time is useful, and the useful share from 20 µs to 1 ms; measured when named",
	"goroutines": "64 to 65,536 goroutines: tiny calls, tasks that sleep, start, memory; measured when named",
	"observing":  "what a recording, a monitor and a hook cost a map, calls and tasks of 1 ms; measured when named",
	"scale":      "the master over 1 to 131,072 simulated workers: time, memory, share of the ideal; measured when named, once",
	"soak":       "memory of master and worker over 10 minutes of everything at full rate; measured when named, once",
}

// Figures has a line for each figure.
func Figures() string {
	var b strings.Builder
	for _, name := range append([]string{"hello"}, figureNames...) {
		fmt.Fprintf(&b, "    %-11s%s\n", name, aboutFigures[name])
	}
	return b.String()
}

// add adds a figure, "hello" excepted.
func (p *plan) add(figure string) {
	switch figure {
	case "submit":
		p.submit()
	case "map":
		p.mapped()
	case "latency":
		p.latency()
	case "echo":
		p.echo()
	case "wake":
		p.wake()
	case "threads":
		p.threads()
	case "skew":
		p.skew()
	case "heap":
		p.heap()
	case "start":
		p.start()
	case "sleep":
		p.sleep()
	case "idle":
		p.idle()
	case "hosts":
		p.hosts()
	case "curves":
		p.curves()
	case "goroutines":
		p.goroutines()
	case "grain":
		p.grain()
	case "observing":
		p.observing()
	case "scale":
		p.scale()
	case "soak":
		p.soak()
	}
}

func (p *plan) submit() {
	spec := fmt.Sprintf("submit,n=%d", p.n(1_000_000, 200_000))
	p.oneWorker(func(ours *entrant, i *implementation, world bool) {
		r := row{
			name: "submit", ours: by(ours, spec, "submit.per_second"), unit: perSecond, note: "depth 1",
			peer: by(p.f.raw(i, here, 1), fmt.Sprintf("depth1,%d,1,64,reused", p.n(1_000_000, 200_000)), "depth1.per_second"),
		}
		if world {
			r.goal = atLeastTimes(1.5)
		} else if ours.backend == "processes" {
			r.goal = atLeastTimes(1)
		}
		p.small("submit", i).add(r)
		if world && !p.quick {
			r.peer, r.note, r.goal = by(r.peer.who, "depth8,1000000,8,64,reused", "depth8.per_second"), "depth 8", goal{}
			p.small("submit", i).add(r)
		}
		p.python("submit", i, r, 5000, 1)
	})
}

// python adds what Python does beside r, unless time is short: mpi4py.futures to the ranks of the MPI that it has, and
// multiprocessing.Pool to local processes.
func (p *plan) python(kind string, i *implementation, r row, n, size int) {
	r.goal, r.note = goal{}, ""
	key := r.name + r.ours.key[strings.LastIndexByte(r.ours.key, '.'):]
	spec := fmt.Sprintf("%s,%s,%d,%d", r.name, kind, n, size)
	switch {
	case p.quick:
	case r.ours.who.backend == "processes":
		r.peer = by(p.f.multiprocessing(), spec, key)
		p.small(kind, i).add(r)
	case r.ours.who.backend == i.name+" world" && p.ofMPI4Py(i):
		r.peer = by(p.f.original(), spec, key)
		p.small(kind, i).add(r)
	}
}

// ofMPI4Py tells whether mpi4py is compared with the ranks of this MPI: the one that it is built for, or the first if it is not here.
func (p *plan) ofMPI4Py(i *implementation) bool {
	return p.f.mpi4py.vendor == i.family || p.f.mpi4py.look.err != nil && i == p.of()
}

func (p *plan) mapped() {
	spec := fmt.Sprintf("map,n=%d", p.n(10_000_000, 1_000_000))
	conc := by(p.f.goPool("conc iter.Mapper"), fmt.Sprintf("mapper,mapper,%d,2", p.n(10_000_000, 1_000_000)), "mapper.each")
	add := func(g *group, ours *entrant, what goal) row {
		r := row{name: "map", ours: by(ours, spec, "map.each"), peer: conc, note: "2 goroutines", unit: nsElement, goal: what}
		g.add(r)
		return r
	}
	p.oneWorker(func(ours *entrant, i *implementation, _ bool) {
		r := add(p.small("map", i), ours, atMostTimes(1).andAtMost(50))
		r.note = ""
		p.python("map", i, r, 200_000, 100)
	})
	if p.wanted("threads") {
		add(p.group("threads"), p.f.local("threads", 2), atMost(20))
	}
}

func (p *plan) latency() {
	spec := fmt.Sprintf("latency,n=%d", p.n(20_000, 5_000))
	p.oneWorker(func(ours *entrant, i *implementation, world bool) {
		r := row{
			name: "latency p50", ours: by(ours, spec, "latency.p50"), unit: micros, note: "round trip",
			peer: by(p.f.raw(i, here, 1), fmt.Sprintf("trip,%d,0,64,reused", p.n(20_000, 5_000)), "trip.p50"),
		}
		tail := row{
			name: "latency p99", ours: by(ours, spec, "latency.p99"), unit: micros, note: "p50",
			peer: by(ours, spec, "latency.p50"), goal: atMostTimes(10),
		}
		switch {
		case world:
			r.goal = atMostTimes(4)
		case ours.backend == "processes":
			r.goal = atMostTimes(8)
		default:
			tail.goal = goal{}
		}
		p.small("latency", i).add(r, tail)
		p.python("latency", i, row{name: "latency", ours: by(ours, spec, "latency.p50"), unit: micros}, 1000, 1)
	})
}

func (p *plan) echo() {
	sizes := []int{1, 16, 256}
	if p.quick {
		sizes = sizes[:1]
	}
	p.oneWorker(func(ours *entrant, i *implementation, world bool) {
		for _, mib := range sizes {
			n := max(12, min(256, 512/mib)) // the first ones are slower: the heap grows
			if p.quick {
				n = 20
			}
			label := fmt.Sprintf("echo%d", mib)
			r := row{
				name: fmt.Sprintf("echo %d MiB", mib), unit: millis, note: "fresh",
				ours: by(ours, fmt.Sprintf("echo,as=%s,n=%d,bytes=%d", label, n, mib<<20), label+".p50"),
				peer: by(p.f.raw(i, here, 1), fmt.Sprintf("%s,%d,0,%d,fresh", label, n, mib<<20), label+".p50"),
			}
			switch {
			case world:
				r.goal = atMostTimes(1.15)
			case ours.backend == "processes":
				r.goal = atMostTimes(1.3)
			}
			p.small("echo", i).add(r)
			if world && !p.quick {
				// Go gives the memory of an old result to the next, so what comes in is seldom into memory that is new.
				r.name, r.note = r.name+" reused", "reused"
				r.peer.spec, r.peer.key = fmt.Sprintf("%sr,%d,0,%d,reused", label, n, mib<<20), label+"r.p50"
				p.small("echo", i).add(r)
			}
		}
	})
}

func (p *plan) wake() {
	n := p.n(3, 1)
	add := func(ours *entrant, what goal) {
		p.group("wake").add(row{
			name: "wake-up p50", ours: by(ours, fmt.Sprintf("wake,n=%d,pause=1000", n), "wake.p50"), unit: micros, goal: what,
			peer: by(p.f.socketPair(), fmt.Sprintf("wake,%d,1000", n), "wake.p50"),
		})
	}
	p.group("wake").together = p.quick
	p.oneWorker(func(ours *entrant, i *implementation, world bool) {
		switch {
		case world:
			add(ours, atMost(1000)) // the default back-off
		case ours.backend == "processes":
			add(ours, atMostTimes(2.5))
		}
	})
}

// soak is one long sitting.
func (p *plan) soak() {
	spec := fmt.Sprintf("soak,seconds=%d", p.n(600, 8))
	g := p.group("soak")
	g.once = true
	add := func(ours *entrant) {
		for _, who := range []string{"master", "worker"} {
			g.add(row{
				name: "soak " + who, unit: mebibytes, goal: atMostTimes(1.1), note: "early",
				ours: by(ours, spec, "soak."+who+".late"), peer: by(ours, spec, "soak."+who+".early"),
			})
		}
		g.add(row{name: "soak", unit: perSecond, ours: by(ours, spec, "soak.per_second")})
	}
	p.oneWorker(func(ours *entrant, _ *implementation, _ bool) { add(ours) })
}

func (p *plan) threads() {
	if !p.wanted("threads") {
		return
	}
	n := p.n(1_000_000, 200_000)
	ours := by(p.f.local("threads", 2), fmt.Sprintf("submit,n=%d", n), "submit.each")
	for _, name := range []string{"ants", "pond", "conc"} {
		p.group("threads").add(row{
			name: "threads", ours: ours, unit: nsTask, goal: atMostTimes(1).andAtMost(500),
			peer: by(p.f.goPool(name), fmt.Sprintf("%s,%s,%d,2", name, name, n), name+".each"),
		})
	}
	ours.key = "submit.allocations"
	p.group("threads").add(row{name: "threads allocations", ours: ours, unit: perTask, goal: atMost(2.01)})
}

func (p *plan) skew() {
	spec := fmt.Sprintf("skew,n=%d", p.n(10_000, 1_000))
	add := func(ours *entrant) {
		p.group("skew").add(row{
			name: "skew", ours: by(ours, spec, "skew.took"), peer: by(ours, spec, "skew.best"), note: "the best schedule", unit: millis,
			goal: atMostTimes(1.05),
		})
	}
	if p.wanted("threads") && !p.quick {
		add(p.f.local("threads", 2))
	}
	if p.wanted("processes") {
		add(p.f.local("processes", 2))
	}
	for _, i := range p.f.mpis {
		if p.wanted(i.name) && !p.quick {
			add(p.f.world(i, here, 2))
		}
	}
}

func (p *plan) heap() {
	spec := fmt.Sprintf("heap,futures=%d,elements=%d,spins=%d", p.n(1_000_000, 200_000), p.n(10_000_000, 1_000_000), p.n(20_000, 10_000))
	add := func(ours *entrant) {
		p.group("heap").add(
			row{name: "heap per future", ours: by(ours, spec, "heap.future"), unit: bytesEach, goal: atMost(200)},
			row{name: "heap per element", ours: by(ours, spec, "heap.element"), unit: bytesEach, goal: atMost(16)},
			row{name: "heap per slow result", ours: by(ours, spec, "heap.slow"), unit: bytesEach, goal: atMost(36)},
			row{name: "heap per result", ours: by(ours, spec, "heap.result"), unit: bytesEach, goal: atMost(16)},
		)
	}
	if p.wanted("threads") && !p.quick {
		add(p.f.local("threads", 1))
	}
	if p.wanted("processes") {
		add(p.f.local("processes", 1))
	}
	if i := p.of(); p.wanted(i.name) && !p.quick {
		add(p.f.world(i, here, 1))
	}
}

func (p *plan) start() {
	if !p.wanted("processes") {
		return
	}
	for _, n := range []int{1, 2, 8} {
		label := fmt.Sprintf("start%d", n)
		r := row{
			name: fmt.Sprintf("start of %d", n), unit: millis,
			ours: by(p.f.local("processes", n), fmt.Sprintf("start,as=%s,workers=%d", label, n), label+".ready"),
		}
		if !p.quick {
			r.peer = by(p.f.multiprocessing(), fmt.Sprintf("%s,start,1,%d", label, n), label+".ready")
		}
		p.group("start").add(r)
	}
}

func (p *plan) sleep() {
	if !p.wanted("processes") {
		return
	}
	const workers = 64
	n := p.n(10_000, 3_200)
	p.group("sleep").add(row{
		name: "sleep", ours: by(p.f.local("processes", workers), fmt.Sprintf("sleep,n=%d,ms=10", n), "sleep.per_second"), unit: perSecond,
		peer: by(p.f.sleepers(workers), fmt.Sprint(n), "sleep.per_second"), goal: atLeastTimes(0.95),
	})
}

func (p *plan) idle() {
	spec := fmt.Sprintf("idle,pause=%d", p.n(10_000, 2_000))
	g := p.group("idle")
	g.together = true
	add := func(ours *entrant, workers goal) {
		g.add(row{name: "idle master", ours: by(ours, spec, "idle.master"), unit: millis, goal: atMost(1)})
		if ours.backend != "threads" {
			g.add(row{name: "idle worker", ours: by(ours, spec, "idle.worker"), unit: percentage, goal: workers})
		}
	}
	if p.wanted("threads") {
		add(p.f.local("threads", 2), goal{})
	}
	p.oneWorker(func(ours *entrant, _ *implementation, world bool) {
		what := goal{}
		if ours.backend == "processes" {
			what = atMost(1)
		}
		if world || ours.backend == "processes" {
			add(ours, what)
		}
	})
}

func (p *plan) hosts() {
	for _, i := range p.f.mpis {
		if !p.wanted(i.name) {
			continue
		}
		ours, raw := p.f.world(i, abroad, 1), p.f.raw(i, abroad, 1)
		if p.f.hosts == "" {
			ours.missing = errNoHosts
		}
		p.group("hosts, "+i.name).add(
			row{
				name: "hosts", ours: by(ours, fmt.Sprintf("submit,n=%d", p.n(1_000_000, 200_000)), "submit.per_second"), unit: perSecond, goal: atLeastTimes(15),
				peer: by(raw, fmt.Sprintf("depth1,%d,1,64,reused", p.n(50_000, 10_000)), "depth1.per_second"), note: "depth 1",
			},
			row{
				name: "hosts latency p50", ours: by(ours, fmt.Sprintf("latency,n=%d", p.n(10_000, 2_000)), "latency.p50"), unit: micros,
				peer: by(raw, fmt.Sprintf("trip,%d,0,64,reused", p.n(10_000, 2_000)), "trip.p50"), note: "round trip",
			},
		)
	}
}

// Names of the curves' charts.
const (
	overWorkers  = "map over workers"
	overChunks   = "map over chunk sizes, one worker"
	overMessages = "echo over message sizes, one worker"
)

func (p *plan) curves() {
	p.curveOverWorkers()
	p.curveOverChunks()
	p.curveOverMessages()
}

func (p *plan) curveOverWorkers() {
	g := p.group(overWorkers)
	var counts []int
	most := max(2, min(runtime.NumCPU(), runtime.GOMAXPROCS(0)))
	for w := 1; w < most; w *= 2 {
		counts = append(counts, w)
	}
	for _, w := range append(counts, most) {
		add := func(ours *entrant) {
			g.add(row{
				name: "map by workers", x: float64(w), unit: nsElement,
				ours: by(ours, fmt.Sprintf("map,as=mapw,n=%d", p.n(4_000_000, 400_000)), "mapw.each"),
			})
		}
		for _, backend := range []string{"threads", "processes"} {
			if p.wanted(backend) {
				add(p.f.local(backend, w))
			}
		}
		for _, i := range p.f.mpis {
			if p.wanted(i.name) {
				add(p.f.world(i, here, w))
			}
		}
	}
}

func (p *plan) curveOverChunks() {
	for _, chunk := range []int{1, 4, 16, 64, 256, 1024, 4096, 16384} {
		p.oneWorker(func(ours *entrant, i *implementation, world bool) {
			if ours.backend != "processes" && !world {
				return
			}
			label := fmt.Sprintf("mapc%d", chunk)
			p.group(overChunks).add(row{
				name: "map by chunk", x: float64(chunk), unit: nsElement,
				ours: by(ours, fmt.Sprintf("map,as=%s,n=%d,chunk=%d", label, p.n(500_000, 100_000), chunk), label+".each"),
			})
		})
	}
}

func (p *plan) curveOverMessages() {
	for bytes := 64; bytes <= 64<<20; bytes *= 8 {
		p.oneWorker(func(ours *entrant, i *implementation, world bool) {
			if ours.backend != "processes" && !world {
				return
			}
			label, n := fmt.Sprintf("echob%d", bytes), max(5, min(1000, p.n(256<<20, 32<<20)/bytes))
			p.group(overMessages).add(row{
				name: "echo by bytes", x: float64(bytes), unit: micros, note: "fresh",
				ours: by(ours, fmt.Sprintf("echo,as=%s,n=%d,bytes=%d", label, n, bytes), label+".p50"),
				peer: by(p.f.raw(i, here, 1), fmt.Sprintf("%s,%d,0,%d,fresh", label, n, bytes), label+".p50"),
			})
		})
	}
}
