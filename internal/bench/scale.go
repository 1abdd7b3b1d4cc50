package bench

import (
	"fmt"
	"os"
	"strconv"
)

// scaleWorkers are the sizes of the simulated pools.
var scaleWorkers = []int{1, 16, 64, 512, 4096, 16384, 65536, 131072}

// few is how many workers the cost of many is compared with.
const few = 16

// scale is the master over simulated workers.
func (p *plan) scale() {
	g := p.group("scale")
	g.once = true
	sizes, each, limit := scaleWorkers, p.n(100, 20), p.n(3600, 30)
	if p.quick {
		sizes = sizes[:4]
	}
	spec := func(workers, each int) string {
		return fmt.Sprintf("scale,workers=%d,each=%d,enough=%d,seconds=%d", workers, each, p.n(400_000, 20_000), limit)
	}
	for _, workers := range sizes {
		ours := p.f.simulated(workers)
		us := func(key string) side { return by(ours, spec(workers, each), scaleKey(each, key)) }
		for _, load := range workloads {
			task := row{name: "scale " + load.name, ours: us(load.name + ".task"), unit: nsTask}
			if workers > few {
				likewise := each // tasks for each worker: the first go out one by one, to workers that have none
				if load.calls {
					likewise = callsEach(workers, each)
				}
				task.peer, task.note = by(p.f.simulated(few), spec(few, likewise), scaleKey(likewise, load.name+".task")), fmt.Sprint(few, " workers")
			}
			if workers == scaleWorkers[len(scaleWorkers)-1] {
				if task.goal = atMostTimes(3); load.mean == 0 {
					task.goal = atMostTimes(2)
				}
			}
			g.add(task, row{name: "scale " + load.name, ours: us(load.name + ".message"), unit: nsMessage})
			if load.mean > 0 {
				g.add(row{
					name: "scale " + load.name, ours: us(load.name + ".share"), unit: ofIdeal, goal: atLeastTimes(0.95),
					peer: us(load.name + ".reachable"), note: "what one master can hand out",
				})
			}
		}
		memory := row{name: "scale memory", ours: us("both"), unit: bytesWorker}
		start := row{name: "scale start", ours: us("start"), unit: microsWorker}
		if workers >= 4096 { // else it is what every pool needs
			memory.goal, start.goal = atMost(2048), atMost(20)
		}
		g.add(memory, row{name: "scale memory, mpilink", ours: us("ranks"), unit: bytesWorker}, start)
	}
}

// simulated is a process of this command with a pool of simulated workers.
func (f *field) simulated(workers int) *entrant {
	return f.once(fmt.Sprint("simulated", workers), func() *entrant {
		e := &entrant{backend: "simulated", workers: workers}
		self, err := os.Executable()
		e.missing = err
		e.command = func(specs []string) []string {
			argv := []string{self, "bench-scale", "--limit", limitOf(specs).String()}
			if f.profile != "" {
				argv = append(argv, "--profile", f.profile+"/scale-"+strconv.Itoa(workers)+".pprof")
			}
			return append(append(argv, "--"), specs...)
		}
		return e
	})
}
