package report

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/rankpool/rankpool/internal/testkit"
	"github.com/rankpool/rankpool/internal/trace"
)

func TestMain(m *testing.M) { testkit.Main(m) }

// The comparison as it is said: of each host with all others together.
func TestEachHostIsComparedWithAllOthers(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for range 200 {
		hosts := map[int][]share{}
		var all []share
		for h := range 2 + rng.IntN(5) {
			for range 1 + rng.IntN(20) {
				s := share{int64(rng.IntN(30)), int64(1 + rng.IntN(3))}
				hosts[h], all = append(hosts[h], s), append(all, s)
			}
		}
		total := newDistribution(all)
		for h, shares := range hosts {
			var others []share
			for o, s := range hosts {
				if o != h {
					others = append(others, s...)
				}
			}
			slices.SortFunc(others, func(a, b share) int { return cmp.Compare(a.each, b.each) })
			mine := newDistribution(slices.Clone(shares))
			if got, want := total.medianWithout(&mine), quantile(others, 0.5); got != want {
				t.Fatalf("%d, want %d, without %v of %v", got, want, shares, all)
			}
		}
	}
}

// With as many hosts as there are in a large job, each one's comparison must not look at all that ran on the others: that would be so many times the
// units here, which takes hours.
func TestManyHostsAreComparedInTheTimeOfTheirUnits(t *testing.T) {
	r := &Recording{Functions: []*Function{{Name: "f"}}}
	p := &Pool{}
	const hosts, each = 20000, 20
	for h := range hosts {
		w := &Worker{Pool: p, Slot: h, Host: fmt.Sprint("node", h)}
		p.Workers = append(p.Workers, w)
		for i := range each {
			busy := int64(1000 + i)
			if h == 777 {
				busy *= 3
			}
			r.Units = append(r.Units, Unit{Worker: w, Count: 1, Units: 1, Busy: busy})
		}
	}
	r.Pools = []*Pool{p}
	all := r.Hosts()
	if len(all) != hosts || all[0].Name != "node777" || all[0].Slower != 3 || all[1].Slower != 1 {
		t.Errorf("%d hosts, the first are %+v and %+v", len(all), all[0], all[1])
	}
}

// The time of a chunk is that of many elements.
func TestAStragglerIsAnElementThatTookLongAndNoChunk(t *testing.T) {
	r := &Recording{Functions: []*Function{{Name: "short"}, {Name: "long"}}}
	w := &Worker{Pool: &Pool{Run: &Run{Number: 1}}}
	const ms = int64(1e6)
	for i := range 100 {
		busy := 10 * ms
		if i == 70 {
			busy = 200 * ms
		}
		r.Units = append(r.Units, Unit{Worker: w, Count: 1, Units: 1, Busy: busy, First: int64(i)},
			Unit{Worker: w, Count: 1, Units: 1, Busy: 1000 * ms, Function: 1}, // longer than the straggler, as all of its function
			Unit{Worker: w, Count: 50, Units: 1, Busy: 500 * ms, First: int64(i)})
	}
	r.Units = append(r.Units, Unit{Worker: w, Count: 1, Units: 1, Busy: 900 * ms, Outcome: trace.Lost})
	r.measure()
	if top, all := r.Stragglers(3); all != 1 || len(top) != 1 || top[0].First != 70 || top[0].Count != 1 {
		t.Errorf("%d stragglers: %v", all, top)
	}
	if f := r.Functions[0]; f.Max != 200*ms || f.Count != 100*51 {
		t.Errorf("%+v", f)
	}
}
