package cluster_test

import (
	"bytes"
	"fmt"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/rankpool/rankpool/internal/mpi/mpitest"
)

// launch is a way to start a job with mpiexec.
type launch struct {
	name    string
	hosts   string // with slots, as both launchers write them
	ranks   int
	workers int
}

var (
	oneHost    = launch{name: "world on one host", hosts: "node1:4", ranks: 4, workers: 3}
	threeHosts = launch{name: "world on three hosts", hosts: "node1:2,node2:1,node3:1", ranks: 4, workers: 3}
	spawned    = launch{name: "spawned on three hosts", hosts: "node1:2,node2:1,node3:1", ranks: 1, workers: 3}

	// For a result that depends on how many workers there are.
	worldOfFive = launch{name: "world of five on three hosts", hosts: "node1:2,node2:2,node3:1", ranks: 5, workers: 4}
	spawnedFour = launch{name: "four spawned on three hosts", hosts: "node1:2,node2:2,node3:1", ranks: 1, workers: 4}
)

// launches are those that the library can do.
func launches() []launch {
	if library == "openmpi" {
		return []launch{oneHost, threeHosts, spawned}
	}
	return []launch{oneHost, threeHosts} // MPICH 4.0.2 cannot spawn
}

func onHosts(t *testing.T, test func(*testing.T, launch)) {
	t.Helper()
	if err := needsMPI(); err != nil {
		t.Skip(err)
	}
	hosts(t)
	for _, l := range launches() {
		t.Run(l.name, func(t *testing.T) { test(t, l) })
	}
}

// run starts an example with mpiexec on the first host.
func (l launch) run(t *testing.T, name string, args ...string) outcome {
	t.Helper()
	return l.start(t, nil, build(t, name), args...)
}

// start starts any program with mpiexec on the first host.
func (l launch) start(t *testing.T, env []string, program string, args ...string) outcome {
	t.Helper()
	c, dir := hosts(t), t.TempDir()
	r, err := mpitest.Run(t.Context(), mpitest.Job{
		Prefix: c.on("node1"), Ranks: l.ranks, Program: program, Args: args, Options: c.options(dir, l.hosts), Env: environment(env...), Limit: limit, Plain: true,
	})
	return finished(t, dir, r, err)
}

// options are those of an mpiexec for hosts that have a slot for each rank: Open MPI's puts spawned ranks on the first host alone when it
// may put more ranks on a host than that.
func (c *cluster) options(dir, hosts string) []string {
	if library == "openmpi" {
		return []string{"-wdir", dir, "--mca", "plm_rsh_agent", c.agent, "--bind-to", "none", "-H", hosts}
	}
	return []string{"-wdir", dir, "-launcher", "rsh", "-launcher-exec", c.agent, "-hosts", hosts}
}

// greeters are the hosts that hello was greeted from, sorted.
func (o outcome) greeters() (all []string) {
	for _, m := range regexp.MustCompile(`(?m)^hello, \w+, from process \d+ on (\w+)$`).FindAllStringSubmatch(o.output, -1) {
		all = append(all, m[1])
	}
	slices.Sort(all)
	return all
}

func TestHelloGreetsFromEveryHost(t *testing.T) {
	onHosts(t, func(t *testing.T, l launch) {
		o := l.run(t, "hello", "Ada", "Grace", "Barbara").succeeded(t)
		want := []string{"node1", "node2", "node3"} // N tasks on N idle workers land one on each
		if l.name == oneHost.name {
			want = []string{"node1", "node1", "node1"}
		}
		if d := cmp.Diff(want, o.greeters()); d != "" {
			t.Errorf("hosts that greeted: %s\n%s", d, o.output)
		}
	})
}

func TestJuliaIsTheSamePictureOnEveryCluster(t *testing.T) {
	want := onThreads(t, "julia").picture(t)
	onHosts(t, func(t *testing.T, l launch) {
		o := l.run(t, "julia").succeeded(t)
		if !bytes.Equal(o.picture(t), want) {
			t.Error("julia.pgm differs from the one that goroutines computed")
		}
		if want := fmt.Sprintf("backend mpi, workers %d, tasks 960,", l.workers); strings.Count(o.output, want) != 1 {
			t.Errorf("want %q once in:\n%s", want, o.output)
		}
	})
}

func TestPrimesAndWordcountPrintTheSameOnEveryCluster(t *testing.T) {
	root, err := filepath.Abs("../../examples")
	if err != nil {
		t.Fatal(err)
	}
	for name, args := range map[string][]string{"primes": nil, "wordcount": {"-batch", "2", root}} {
		want := onThreads(t, name, args...).lines()
		if len(want) < 5 {
			t.Fatalf("%s printed only %q", name, want)
		}
		t.Run(name, func(t *testing.T) {
			onHosts(t, func(t *testing.T, l launch) {
				if d := cmp.Diff(want, l.run(t, name, args...).succeeded(t).lines()); d != "" {
					t.Error(d)
				}
			})
		})
	}
}

// ofFour is what cpi prints with four workers, wherever they are.
const ofFour = "pi: 3.1415977398528137, error: 5.086e-06 (128 intervals, 4 workers)"

func TestTheWorkersOfSeveralHostsAddUpTheirPartsOfPi(t *testing.T) {
	if err := needsMPI(); err != nil {
		t.Skip(err)
	}
	all := []launch{worldOfFive, spawnedFour}
	if library == "mpich" {
		all = all[:1] // MPICH 4.0.2 cannot spawn
	}
	for _, l := range all {
		t.Run(l.name, func(t *testing.T) { // nothing tells it how many workers it has but the launcher
			o := l.run(t, "cpi", "128").succeeded(t)
			if d := cmp.Diff([]string{ofFour}, o.lines()); d != "" {
				t.Error(d)
			}
			t.Log(o.output)
		})
	}
	t.Run("threads", func(t *testing.T) {
		if d := cmp.Diff([]string{ofFour}, onThreads(t, "cpi", "-workers", "4", "128").lines()); d != "" {
			t.Error(d)
		}
	})
}

func TestWorkersAreNumberedOnEachHost(t *testing.T) {
	line := regexp.MustCompile(`(?m)^worker (\d+) of (\d+), (\d+) of (\d+) on (\w+): GPU (\d+), cores \S+$`)
	onHosts(t, func(t *testing.T, l launch) {
		if l.name == threeHosts.name {
			l = worldOfFive // with two on one of them
		}
		o := l.run(t, "pin", "-gpus", "8")
		all := line.FindAllStringSubmatch(o.output, -1)
		if o.code != 0 || len(all) != l.workers {
			t.Fatalf("status %d, %d workers, want %d:\n%s", o.code, len(all), l.workers, o.output)
		}
		count := map[string]int{}
		for _, m := range all {
			count[m[5]]++
		}
		next := map[string]int{}
		for i, m := range all {
			host := m[5]
			want := fmt.Sprintf("%d of %d, %d of %d, GPU %d", i, l.workers, next[host], count[host], next[host])
			if got := fmt.Sprintf("%s of %s, %s of %s, GPU %s", m[1], m[2], m[3], m[4], m[6]); got != want {
				t.Errorf("on %s: %s, want %s", host, got, want)
			}
			next[host]++
		}
		if several := strings.Contains(l.name, "three hosts"); several != (len(count) > 1) {
			t.Errorf("they are on %v", count)
		}
	})
}
