//go:build unix

package modes_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/rankpool/rankpool/internal/mpi/mpitest"
	"github.com/rankpool/rankpool/internal/testkit"
)

const probe = "./probe"

// rankModes are the modes whose workers are ranks.
func rankModes() []mode {
	return slices.DeleteFunc(modes(), func(m mode) bool { return m.reports != "mpi" })
}

func onRanks(t *testing.T, test func(*testing.T, mode)) {
	t.Helper()
	needsMPI(t)
	for _, m := range rankModes() {
		t.Run(m.name, func(t *testing.T) { test(t, m) })
	}
}

// untagged is what ranks printed without the launchers' tags, which MPICH's also puts into lines that are written in
// several pieces, as those of a panic are.
func untagged(output string) string { return tags.ReplaceAllString(output, "") }

var tags = regexp.MustCompile(`\[\d+(?:,\d+\]<std(?:out|err)>: ?|\] )`)

func (o outcome) contains(t *testing.T, want ...string) {
	t.Helper()
	for _, w := range want {
		if !strings.Contains(o.output, w) && !strings.Contains(untagged(o.output), w) {
			t.Errorf("no %q (status %d) in:\n%s", w, o.code, o.output)
		}
	}
}

// The suite of package behaviour, with ranks for workers: as many as its tests ask for where they are spawned, and of each
// world those tests that ask for as many workers as it has.
func TestTheBehaviourSuitePassesOnRanks(t *testing.T) {
	t.Parallel()
	needsMPI(t)
	suite := filepath.Join(binaries.Dir, "behaviour.test")
	build := exec.Command("go", "test", "-c", "-tags", "mpi", testkit.SuiteFlags, "-o", suite)
	if testkit.Race {
		build.Args = append(build.Args, "-race")
	} else {
		build.Env = append(os.Environ(), "CGO_ENABLED=0")
	}
	build.Args = append(build.Args, "../behaviour")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v: %v\n%s", build.Args, err, out)
	}
	var there testkit.Ran
	ways := append(rankModes(), mode{name: "world of two", ranks: 2}, mode{name: "world of four", ranks: 4}, mode{name: "world of five", ranks: 5})
	ways = append(ways, mode{name: "world of two × 2 slots", ranks: 2, slots: 2}) // most tests ask for so many workers
	for _, m := range rankModes() {
		m.name, m.slots = m.name+" × 4 slots", 4
		ways = append(ways, m)
	}
	left := map[string]*atomic.Int32{} // by column, the ways that have not passed
	for _, m := range ways {
		if left[m.column()] == nil {
			left[m.column()] = new(atomic.Int32)
		}
		left[m.column()].Add(1)
	}
	t.Cleanup(func() { // the ways have ended
		for column, n := range left {
			if n.Load() > 0 { // a flag has left one out, or it has failed
				continue
			}
			if err := there.Missing("tests/behaviour", column); err != nil {
				t.Error(err)
			}
		}
	})
	for _, m := range ways {
		t.Run(m.name, func(t *testing.T) {
			t.Parallel() // each waits for spawns and losses most of its time
			list := filepath.Join(t.TempDir(), "ran")
			r, err := mpitest.RunSpawning(t, mpitest.Job{
				Ranks: m.ranks, Program: suite, Limit: 2 * testkit.Suite, Args: []string{"-test.timeout=" + (2*testkit.Suite - limit).String()},
				Options: []string{"-wdir", must(filepath.Abs("../behaviour"))}, Env: []string{"BEHAVIOUR_RAN=" + list, fmt.Sprint("BEHAVIOUR_SLOTS=", m.slots)},
			})
			if err != nil || r.Code != 0 || !strings.Contains(r.Output, "PASS") {
				t.Fatalf("%v, status %d:\n%s", err, r.Code, mpitest.Untagged(r.Report()))
			}
			notes, err := os.ReadFile(list)
			if err != nil {
				t.Fatal(err)
			}
			there.Add(strings.Split(string(notes), "\n")...)
			left[m.column()].Add(-1)
		})
	}
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func TestAProgramThatStartsNoExecutorEnds(t *testing.T) {
	t.Parallel()
	onEvery(t, func(t *testing.T, m mode) { m.succeed(t, probe, []string{"idle"}) })
}

func TestAForgottenExecutorFinishesItsQueueBeforeTheJobEnds(t *testing.T) {
	t.Parallel()
	onRanks(t, func(t *testing.T, m mode) {
		dir := t.TempDir()
		o := m.succeed(t, probe, []string{"-dir", dir, "forgets"})
		if files, err := os.ReadDir(dir); err != nil || len(files) != 20 {
			t.Errorf("%d of 20 tasks ran (%v):\n%s", len(files), err, o.output)
		}
	})
}

func TestExecutorsShareTheRanksOfTheWorld(t *testing.T) {
	t.Parallel()
	needsMPI(t)
	o := world.succeed(t, probe, []string{"many"})
	if n := len(regexp.MustCompile(`executor \d+ has 2 workers`).FindAllString(o.output, -1)); n != 16 {
		t.Errorf("%d of 16 executors have two workers:\n%s", n, o.output)
	}
}

func TestTheFirstExecutorSetsTheRanksUp(t *testing.T) {
	t.Parallel()
	needsMPI(t)
	world.succeed(t, probe, []string{"env"}).contains(t, `executor 0: "set" <nil>, in its directory: true <nil>`,
		`executor 1: "" <nil>, in its directory: false <nil>`)
}

func TestARemoteErrorNamesItsRank(t *testing.T) {
	t.Parallel()
	needsMPI(t)
	world.succeed(t, probe, []string{"rank"}).contains(t,
		"failed: true, worker 0 is rank 1", "failed: true, worker 1 is rank 2")
}

func TestSIGUSR1ReachesTheProgram(t *testing.T) {
	t.Parallel()
	onRanks(t, func(t *testing.T, m mode) {
		o := m.succeed(t, probe, []string{"usr1"})
		if n := strings.Count(o.output, "user defined signal 1"); n != 20 {
			t.Errorf("%d of 20 signals arrived:\n%s", n, o.output)
		}
	})
}

func TestASilentRankCostsItsTaskAndTheOthersGoOn(t *testing.T) {
	t.Parallel()
	needsMPI(t)
	o := world.run(t, probe, []string{"silent"})
	o.contains(t, "broken: true", "silent for", "the other one: 2 <nil>", "workers: 1 <nil>", "ranks [1] did not answer")
	if o.code == 0 {
		t.Errorf("status 0 although a rank is lost:\n%s", o.output)
	}
}

func TestAnIdleMasterUsesNoProcessorTime(t *testing.T) {
	needsMPI(t)
	o := world.succeed(t, probe, []string{"quiet"})
	m := regexp.MustCompile(`idle (\d+) us, waiting (\d+) us`).FindStringSubmatch(o.output)
	if m == nil {
		t.Fatalf("no measurement in:\n%s", o.output)
	}
	idle, _ := strconv.Atoi(m[1])
	waiting, _ := strconv.Atoi(m[2])
	// Polling every millisecond costs 10 ms a second at least; spinning costs all of it.
	if idle > 5_000 || waiting > 400_000 {
		t.Errorf("in one second: %d us with nothing to do, %d us with a task under way", idle, waiting)
	}
}

func TestWithoutMPITheVariableSaysHowToBuild(t *testing.T) {
	t.Parallel()
	if library != "" {
		t.Skip("built with MPI")
	}
	o := mode{backend: "mpi"}.run(t, examples+"hello", nil)
	if o.contains(t, "go build -tags mpi"); o.code != 1 {
		t.Errorf("status %d, want 1:\n%s", o.code, o.output)
	}
}
