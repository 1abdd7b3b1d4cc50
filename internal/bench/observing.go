package bench

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/rankpool/rankpool/bench/ours"
)

// observing is what a recording, a monitor and a hook cost, each beside the same work without.
func (p *plan) observing() {
	if !p.wanted("processes") {
		return
	}
	plain := p.f.local("processes", 1)
	recorded := p.f.once("recorded", func() *entrant {
		e := *plain
		e.samples = nil
		e.env = []string{"RANKPOOL_TRACE=" + p.f.path("run") + ".rec"}
		return &e
	})
	p.beside("recorded", recorded, plain)
	unwatched := p.f.watched()
	p.beside("monitored", p.f.watched("-monitor"), unwatched)
	p.beside("hooked", p.f.watched("-hook"), unwatched)
}

// beside compares an entrant with one that does the same work without what the other has.
func (p *plan) beside(what string, who, plain *entrant) {
	tiny, calls := fmt.Sprintf("map,n=%d", p.n(10_000_000, 1_000_000)), fmt.Sprintf("submit,n=%d", p.n(1_000_000, 200_000))
	grain := fmt.Sprintf("grain,ms=%d", p.n(50, 10))
	share := "grain." + ours.GrainShare("map", time.Millisecond)
	g := p.group("observing")
	g.once = p.quick
	g.add(
		row{name: what + " map", ours: by(who, tiny, "map.each"), peer: by(plain, tiny, "map.each"), note: "without", unit: nsElement, goal: atMostMore(10)},
		row{name: what + " submit", ours: by(who, calls, "submit.each"), peer: by(plain, calls, "submit.each"), note: "without", unit: nsTask},
		row{name: what + " 1 ms tasks", ours: by(who, grain, share), peer: by(plain, grain, share), note: "without", unit: ofIdeal, goal: atLeastTimes(0.98)},
	)
}

// watched is ours on a local process, in a program that can serve a monitor.
func (f *field) watched(flags ...string) *entrant {
	return f.once(fmt.Sprint("watched", flags), func() *entrant {
		return &entrant{
			backend: "processes", workers: 1, prepare: []*chore{&f.watcher},
			command: func(specs []string) []string {
				args := append([]string{f.path("watched")}, flags...)
				return append(append(args, "-backend", "processes", "-workers", strconv.Itoa(1), "-limit", limitOf(specs).String(), "--"), specs...)
			},
		}
	})
}

// buildWatched builds the program that imports package monitor.
func (f *field) buildWatched(ctx context.Context) error {
	f.log("building watched")
	folder := filepath.Join(f.scratch, "build-watched")
	if err := os.Mkdir(folder, 0o700); err != nil {
		return err
	}
	return f.build(ctx, "watched", "bench/watched", folder, []string{"GOWORK=off"})
}
