package bench

import (
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/rankpool/rankpool/bench/ours"
	"github.com/rankpool/rankpool/bench/peers"
	"github.com/rankpool/rankpool/internal/testkit"
)

// grainOf is the group of the figure.
func grainOf(t *testing.T, quick bool, hosts string, backends ...string) *group {
	t.Helper()
	f := newField(t.TempDir(), "", func(string, ...any) {})
	f.hosts = hosts
	f.mpi4py.vendor = f.mpis[0].family
	p := &plan{f: f, quick: quick, wanted: Options{Backends: backends}.wanted}
	p.add("grain")
	if len(p.groups) != 1 {
		t.Fatalf("%d groups", len(p.groups))
	}
	return p.groups[0]
}

func TestTheGrainIsMeasuredBesideThePoolsOfPython(t *testing.T) {
	var got []string
	for _, r := range grainOf(t, false, "a:1,b:1").rows {
		if !strings.HasSuffix(r.name, ", µs") {
			peer := "nobody"
			if r.peer.who != nil {
				peer = r.peerName()
			}
			got = append(got, fmt.Sprintf("%s, %s, %d, %s, %s", r.name, r.ours.who.backend, r.ours.who.workers, peer, r.goal.describe(r.unit)))
		}
	}
	want := `grain map, processes, 1, multiprocessing.Pool, <= 0.15 µs
grain calls, processes, 1, multiprocessing.Pool, <= 0.3 µs
grain single, processes, 1, multiprocessing.Pool, <= 2 µs
grain map, openmpi world, 1, mpi4py.futures, <= 0.15 µs
grain calls, openmpi world, 1, mpi4py.futures, <= 0.3 µs
grain single, openmpi world, 1, mpi4py.futures, <= 3 µs
grain map, openmpi hosts, 1, nobody, <= 20 µs
grain calls, openmpi hosts, 1, nobody, <= 20 µs
grain single, openmpi hosts, 1, nobody, <= 20 µs
grain map, mpich world, 1, nobody, <= 0.15 µs
grain calls, mpich world, 1, nobody, <= 0.3 µs
grain single, mpich world, 1, nobody, <= 3 µs
grain map, mpich hosts, 1, nobody, <= 20 µs
grain calls, mpich hosts, 1, nobody, <= 20 µs
grain single, mpich hosts, 1, nobody, <= 20 µs
grain map, processes, 2, multiprocessing.Pool,` + " " + `
grain calls, processes, 2, multiprocessing.Pool,` + " " + `
grain single, processes, 2, multiprocessing.Pool,` + " " + `
grain map, 2 slots, 2, nobody,` + " " + `
grain calls, 2 slots, 2, nobody,` + " " + `
grain single, 2 slots, 2, nobody,` + " " + `
grain map, openmpi world, 2, mpi4py.futures,` + " " + `
grain calls, openmpi world, 2, mpi4py.futures,` + " " + `
grain single, openmpi world, 2, mpi4py.futures,` + " " + `
grain map, mpich world, 2, nobody,` + " " + `
grain calls, mpich world, 2, nobody,` + " " + `
grain single, mpich world, 2, nobody,` + " "
	if got := strings.Join(got, "\n"); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

// A row is one value of the program that is measured, and each value is in a row: the program, its peer and the table name the values alike.
func TestEveryFigureOfTheGrainIsOneThatTheProgramsPrint(t *testing.T) {
	for _, r := range grainOf(t, true, "", "processes").rows {
		if r.ours.key != r.peer.key || r.ours.spec != r.peer.spec {
			t.Errorf("%s of %s beside %s of %s", r.ours.key, r.ours.spec, r.peer.key, r.peer.spec)
		}
	}
	keys := grainKeys(t)
	if len(keys) != len(ours.GrainWays)*(1+len(ours.GrainShares)) || len(slices.Compact(slices.Clone(keys))) != len(keys) {
		t.Errorf("%d rows: %v", len(keys), keys)
	}
}

// grainKeys are the names of the values, in order.
func grainKeys(t *testing.T) (keys []string) {
	t.Helper()
	for _, r := range grainOf(t, true, "", "processes").rows {
		keys = append(keys, r.ours.key)
	}
	slices.Sort(keys)
	return keys
}

func TestThePeerOfTheGrainPrintsEveryFigureToo(t *testing.T) {
	if _, err := exec.LookPath("python3"); err != nil {
		t.Skip("the peer is a program in Python, and there is no python3 on the path: install python3")
	}
	folder := t.TempDir()
	if err := os.WriteFile(filepath.Join(folder, "grain.py"), peers.Grain, 0o600); err != nil {
		t.Fatal(err)
	}
	const script = `import grain
ways = dict.fromkeys(("map", "calls", "single"), lambda pool, workers, arg, n: sum(range(1000)))
grain.measure(None, ways, 1.0, 1, ["grain,ms=1"])`
	peer := &entrant{command: func([]string) []string { return []string{"env", "PYTHONPATH=" + folder, "python3", "-c", script} }}
	values, err := peer.run(testkit.Within(t), nil)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(grainKeys(t), slices.Sorted(maps.Keys(values))); d != "" {
		t.Error(d)
	}
}
