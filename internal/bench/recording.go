package bench

import (
	"fmt"
	"time"

	"github.com/rankpool/rankpool/bench/ours"
)

// recording is what a recording and a monitor cost, beside the same work without them.
func (p *plan) recording() {
	if !p.wanted("processes") {
		return
	}
	tiny, grain := fmt.Sprintf("map,n=%d", p.n(10_000_000, 1_000_000)), fmt.Sprintf("grain,ms=%d", p.n(50, 10))
	plain := p.f.local("processes", 1)
	g := p.group("recording")
	g.once = p.quick
	for _, with := range []struct {
		name, variable string
		value          func() string
	}{
		{"recorded", "RANKPOOL_TRACE", func() string { return p.f.path("run") + ".rec" }},
		{"monitored", "RANKPOOL_MONITOR", func() string { return "127.0.0.1:0" }},
	} {
		who := p.f.once("with "+with.variable, func() *entrant {
			e := *plain
			e.samples = nil
			e.env = func() []string { return []string{with.variable + "=" + with.value()} }
			return &e
		})
		r := row{name: with.name + " map", ours: by(who, tiny, "map.each"), peer: by(plain, tiny, "map.each"), note: "without", unit: nsElement, goal: atMostMore(10)}
		g.add(r)
		key := "grain." + ours.GrainShare("map", time.Millisecond)
		g.add(row{name: with.name + " map, µs", x: 1000, ours: by(who, grain, key), peer: by(plain, grain, key), note: "without", unit: ofIdeal, goal: atLeastTimes(0.98)})
	}
}
