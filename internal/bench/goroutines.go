package bench

import "fmt"

// goroutineWorkers are the sizes of the pools of goroutines.
var goroutineWorkers = []int{64, 512, 4096, 16384, 65536}

// fewGoroutines is how many workers the cost of many is compared with.
const fewGoroutines = 64

// goroutines is pools of up to many thousands of goroutines.
func (p *plan) goroutines() {
	if !p.wanted("threads") {
		return
	}
	sizes := goroutineWorkers
	g := p.group("goroutines")
	if p.quick {
		sizes, g.once = sizes[:3], true
	}
	n := p.n(300_000, 50_000)
	calls, elements := fmt.Sprintf("submit,n=%d", n), fmt.Sprintf("map,n=%d", n)
	few := p.f.local("threads", fewGoroutines)
	for _, workers := range sizes {
		ours := p.f.local("threads", workers)
		submit := row{name: "goroutines submit", ours: by(ours, calls, "submit.each"), unit: nsTask}
		mapped := row{name: "goroutines map", ours: by(ours, elements, "map.each"), unit: nsElement}
		if workers > fewGoroutines {
			submit.peer, mapped.peer = by(few, calls, "submit.each"), by(few, elements, "map.each")
			submit.note, mapped.note = fmt.Sprint(fewGoroutines, " workers"), fmt.Sprint(fewGoroutines, " workers")
			submit.goal, mapped.goal = atMostTimes(2), atMostTimes(2)
		}
		naps := max(p.n(20, 5)*workers, p.n(10_000, 3200))
		sleep := row{
			name: "goroutines sleep", ours: by(ours, fmt.Sprintf("sleep,n=%d,ms=%d", naps, asleep.Milliseconds()), "sleep.per_second"),
			peer: by(p.f.channel(workers), fmt.Sprintf("channel,n=%d,ms=%d", naps, asleep.Milliseconds()), "channel.per_second"),
			unit: unit{ofIdeal.name, asleep.Seconds() / float64(workers)}, goal: atLeastTimes(0.95),
		}
		start := fmt.Sprintf("start,workers=%d", workers)
		g.add(
			row{name: "goroutines start", ours: by(ours, start, "start.each"), unit: microsWorker},
			row{name: "goroutines memory", ours: by(ours, start, "start.bytes"), unit: bytesWorker},
			submit, mapped, sleep,
		)
	}
}

// channel is goroutines that take tasks from a channel.
func (f *field) channel(workers int) *entrant {
	pool := f.local("threads", workers)
	return f.once(fmt.Sprint("channel", workers), func() *entrant {
		return &entrant{name: "goroutines on a channel", workers: workers, missing: pool.missing, command: pool.command}
	})
}
