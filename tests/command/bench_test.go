//go:build unix

package command_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// benched is one line of `rankpool bench --json`.
type benched struct {
	Name, Backend, Unit, Peer, Target, Machine string
	Workers, Runs                              int
	Value, Min, Max, Ratio                     *float64
	PeerValue                                  *float64 `json:"peer_value"`
	Met                                        *bool
	LeftOut                                    string `json:"left_out"`
}

// fields are what every line has, whether there is something to say or not.
var fields = []string{
	"backend", "left_out", "machine", "max", "met", "min", "name", "peer", "peer_value", "ratio", "runs", "target", "unit", "value", "workers", "x",
}

// records parses what bench prints and checks that every line is complete.
func records(t *testing.T, r result) (all []benched) {
	t.Helper()
	for line := range strings.Lines(r.out) {
		var names map[string]any
		var b benched
		if err := json.Unmarshal([]byte(line), &names); err != nil {
			t.Fatalf("%v in %q\n%s", err, line, r.errors)
		}
		if err := json.Unmarshal([]byte(line), &b); err != nil {
			t.Fatal(err)
		}
		var got []string
		for name := range names {
			got = append(got, name)
		}
		slices.Sort(got)
		if d := cmp.Diff(fields, got); d != "" {
			t.Errorf("fields: %s", d)
		}
		all = append(all, b)
	}
	return all
}

// with returns the figures of a name on a backend.
func with(all []benched, name, backend string) (some []benched) {
	for _, b := range all {
		if b.Name == name && b.Backend == backend {
			some = append(some, b)
		}
	}
	return some
}

func TestTheQuickBenchMeasuresAndEnds(t *testing.T) {
	r := start("bench", "--quick", "--json", "--backend", "processes", "start", "skew").run(t)
	r.expect(t, 0)
	all := records(t, r)
	for _, name := range []string{"start of 1", "start of 2", "start of 8", "skew"} {
		some := with(all, name, "processes")
		if len(some) != 1 {
			t.Errorf("%d figures %q", len(some), name)
			continue
		}
		b := some[0]
		if b.Value == nil || b.Min == nil || b.Max == nil || *b.Min > *b.Value || *b.Value > *b.Max || *b.Min <= 0 {
			t.Errorf("the values make no sense: %+v", b)
		}
		if b.Runs < 5 || b.Workers < 1 || b.Unit != "ms" || b.Machine == "" || b.LeftOut != "" {
			t.Errorf("incomplete: %+v", b)
		}
	}
	for _, b := range with(all, "skew", "processes") {
		if b.Peer == "" || b.PeerValue == nil || b.Ratio == nil || b.Target == "" || b.Met == nil {
			t.Errorf("nothing to compare with: %+v", b)
		}
	}
	if len(all) != 4 {
		t.Errorf("%d figures, want 4:\n%s", len(all), r.out)
	}
}

func TestTheBenchNamesWhatIsMissing(t *testing.T) {
	c := start("bench", "--quick", "--backend", "processes,openmpi", "latency")
	c.env = []string{"PATH=" + t.TempDir(), "CC=", "MPICC=", "PKG_CONFIG="}
	r := c.run(t)
	r.expect(t, 0, "latency p50", "left out", "raw_mpi, openmpi", "latency p50 (openmpi world)", "no mpiexec of Open MPI")

	c.args = append(c.args, "--json")
	all := records(t, c.run(t))
	for _, b := range with(all, "latency p50", "processes") {
		if b.Value == nil || b.PeerValue != nil || b.Ratio != nil || b.Met != nil || !strings.Contains(b.LeftOut, "no mpiexec of Open MPI") {
			t.Errorf("a figure without its peer: %+v", b)
		}
	}
	for _, b := range with(all, "latency p50", "openmpi world") {
		if b.Value != nil || !strings.Contains(b.LeftOut, "no mpiexec of Open MPI") {
			t.Errorf("a backend that is not here: %+v", b)
		}
	}
	if len(all) != 4 {
		t.Errorf("%d figures, want 4: the p50 and the p99 of the latency on two backends", len(all))
	}
}

func TestTheBenchGreetsFromEveryWorker(t *testing.T) {
	r := start("bench", "--backend", "threads,processes", "hello").run(t)
	r.expect(t, 0, "hello from worker 0 of 2 on ", "hello from worker 1 of 2 on ", "(threads, ", "(processes, ")
	for who, want := range map[string]int{"worker": 4, "the master of 2 workers on ": 2} {
		if n := strings.Count(r.out, "hello from "+who); n != want {
			t.Errorf("%d greetings from %s, want %d:\n%s", n, who, want, r.out)
		}
	}
}

func TestInAJobTheBenchGreetsFromItsWorkers(t *testing.T) {
	onEach(t, func(t *testing.T, library string) {
		c := call{program: withMPI(t), args: []string{"bench", "hello"}}
		r := c.ranks(t, library, 3)
		r.expect(t, 0, "hello from the master of 2 workers on ", "(rank 0, mpi, ", "hello from worker 0 of 2 on ", "(rank 1, mpi, ",
			"hello from worker 1 of 2 on ", "(rank 2, mpi, ")
		if n := strings.Count(r.out, "hello from "); n != 3 {
			t.Errorf("%d lines, want one for each of 3 ranks:\n%s", n, r.out)
		}
	})
}

func TestABenchThatMakesNoSenseIsRefused(t *testing.T) {
	for _, tt := range []struct {
		want string
		args []string
	}{
		{`there is no figure "speed"`, []string{"speed"}},
		{`there is no backend "gpu"`, []string{"--backend", "gpu"}},
		{"needs 5 runs", []string{"--runs", "3"}},
		{"name it alone", []string{"hello", "submit"}},
	} {
		r := start(append([]string{"bench"}, tt.args...)...).run(t)
		r.expect(t, 1, tt.want, "Usage: rankpool bench")
		if r.out != "" {
			t.Errorf("%q: standard output has %q", tt.args, r.out)
		}
	}
}
