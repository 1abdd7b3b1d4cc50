package bench

import (
	"encoding/json"
	"fmt"
	"strings"

	"context"
	"math"
	"testing"
	"time"

	"github.com/rankpool/rankpool/bench/ours"
	"github.com/rankpool/rankpool/internal/testkit"
)

// number returns the place of a workload.
func number(t *testing.T, name string) int {
	for i, load := range workloads {
		if load.name == name {
			return i
		}
	}
	t.Fatalf("there is no workload %q", name)
	return 0
}

func TestTheIdealHasEveryWorkerTakeTheNextTaskWhenItIsFree(t *testing.T) {
	for _, tt := range []struct {
		load       string
		workers, n int
		want       time.Duration
	}{
		{"0", 3, 100, 0},
		{"10 ms", 3, 1, 10 * time.Millisecond},
		{"10 ms", 3, 6, 20 * time.Millisecond},
		{"10 ms", 3, 7, 30 * time.Millisecond},
		{mixture, 1, 2, spread(0) + spread(1)},
		{mixture, 2, 3, max(max(spread(0), spread(1)), min(spread(0), spread(1))+spread(2))},
	} {
		p := &simulated{workers: tt.workers, bests: map[[2]int]time.Duration{}}
		if got := p.best(number(t, tt.load), tt.n); got != tt.want {
			t.Errorf("%d tasks of %s on %d workers: %v, want %v", tt.n, tt.load, tt.workers, got, tt.want)
		}
	}
}

func TestTheMixtureIsSpreadOverItsOrdersOfMagnitude(t *testing.T) {
	const n = 100_000
	sum, below := time.Duration(0), 0
	for x := range uint64(n) {
		took := spread(x)
		if took < time.Microsecond || took > 10*time.Millisecond {
			t.Fatalf("task %d takes %v", x, took)
		}
		if sum += took; took < 100*time.Microsecond {
			below++
		}
	}
	for _, load := range workloads {
		if load.name == mixture && math.Abs(float64(sum)/n/float64(load.mean)-1) > 0.01 {
			t.Errorf("the mean is %v, and said to be %v", sum/n, load.mean)
		}
	}
	if share := float64(below) / n; math.Abs(share-0.5) > 0.01 {
		t.Errorf("%v of them are below the middle", share)
	}
}

func TestASimulatedPoolRunsEveryTaskOnce(t *testing.T) {
	p := newSimulated(5)
	if _, err := p.start(testkit.Within(t)); err != nil {
		t.Fatal(err)
	}
	for fn, load := range workloads {
		before := p.master.Stats().Done
		r, err := p.run(testkit.Within(t), fn, 1000)
		if err != nil {
			t.Fatal(load.name, err)
		}
		if done := p.master.Stats().Done - before; done != 1000 || r.messages < 2 || r.took < r.best*9/10 {
			t.Errorf("%s: %d are done, %+v", load.name, done, r)
		}
	}
	if _, err := p.master.Shutdown(context.Background(), true, true); err != nil {
		t.Fatal(err)
	}
}

func TestScaleTellsWhatWasMeasuredWithOtherNumbersOfTasksApart(t *testing.T) {
	var out strings.Builder
	if err := Scale(&out, []string{"scale,workers=2,each=3,enough=1", "scale,workers=4,each=5,enough=1"}, testkit.Limit, ""); err != nil {
		t.Fatal(err)
	}
	_, text, _ := strings.Cut(out.String(), ours.Mark)
	values := map[string]float64{}
	if err := json.Unmarshal([]byte(text), &values); err != nil {
		t.Fatalf("%v in %q", err, out.String())
	}
	for _, each := range []int{3, 5} {
		for _, key := range []string{"0, calls.task", "10 ms.reachable", "start", "both"} {
			if _, ok := values[scaleKey(each, key)]; !ok {
				t.Errorf("there is no %q in %v", scaleKey(each, key), values)
			}
		}
	}
}

func TestCallsAreComparedWithAsManyForEachWorker(t *testing.T) {
	p := &plan{f: newField(t.TempDir(), "", t.Logf)}
	p.scale()
	found := 0
	for _, g := range p.groups {
		for _, r := range g.rows {
			if r.name != "scale 0, calls" || r.peer.who == nil || !strings.HasSuffix(r.ours.key, ".task") {
				continue
			}
			found++
			each := callsEach(r.ours.who.workers, 100)
			if want := fmt.Sprintf("scale,workers=%d,each=%d,", few, each); !strings.HasPrefix(r.peer.spec, want) || r.peer.key != scaleKey(each, "0, calls.task") {
				t.Errorf("%d workers are compared with %s of %s, want %s", r.ours.who.workers, r.peer.key, r.peer.spec, want)
			}
		}
	}
	if found == 0 {
		t.Error("no calls are compared")
	}
}
