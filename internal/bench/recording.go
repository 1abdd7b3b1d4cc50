package bench

import (
	"fmt"
	"time"

	"github.com/rankpool/rankpool/bench/ours"
)

// recording is what a recording costs, beside the same work without one.
func (p *plan) recording() {
	if !p.wanted("processes") {
		return
	}
	tiny, grain := fmt.Sprintf("map,n=%d", p.n(10_000_000, 1_000_000)), fmt.Sprintf("grain,ms=%d", p.n(50, 10))
	plain := p.f.local("processes", 1)
	who := p.f.once("recorded", func() *entrant {
		e := *plain
		e.samples = nil
		e.env = []string{"RANKPOOL_TRACE=" + p.f.path("run") + ".rec"}
		return &e
	})
	g := p.group("recording")
	g.once = p.quick
	key := "grain." + ours.GrainShare("map", time.Millisecond)
	g.add(
		row{name: "recorded map", ours: by(who, tiny, "map.each"), peer: by(plain, tiny, "map.each"), note: "without", unit: nsElement, goal: atMostMore(10)},
		row{name: "recorded map, µs", x: 1000, ours: by(who, grain, key), peer: by(plain, grain, key), note: "without", unit: ofIdeal, goal: atLeastTimes(0.98)},
	)
}
