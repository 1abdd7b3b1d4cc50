//go:build unix

package modes_test

import (
	"fmt"
	"strings"
	"testing"
)

const (
	inWorker = "github.com/rankpool/rankpool/tests/modes/testdata/inworker"
	inSpmd   = "github.com/rankpool/rankpool/tests/modes/testdata/inspmd"
)

// counts checks how often an output has a text.
func (o outcome) counts(t *testing.T, want int, text string) {
	t.Helper()
	if n := strings.Count(untagged(o.output), text); n != want {
		t.Errorf("%q is there %d times, want %d, in:\n%s", text, n, want, o.output)
	}
}

func TestAProcessKnowsThatItIsAWorkerBeforeItsProgramBegins(t *testing.T) {
	t.Parallel()
	onEvery(t, func(t *testing.T, m mode) {
		for _, args := range [][]string{nil, {"TestMain"}} {
			o := m.succeed(t, inWorker, args)
			apart := m.name != "threads"
			workers := m.workers
			if !apart {
				workers = 0
			}
			o.counts(t, 1, "before Main: false false false\n")
			o.counts(t, workers, "before Main: true true true\n")
			o.counts(t, 1, fmt.Sprintf("in tasks: [%v %[1]v] %s\n", apart, m.reports))
		}
	})
}

func TestARankOfAProgramForEveryRankIsNoWorkerBeforeItServes(t *testing.T) {
	t.Parallel()
	for _, m := range []mode{processes, world} {
		t.Run(m.name, func(t *testing.T) {
			ranks := max(m.ranks, 1)
			tasks := "in tasks of ranks: [false] false threads\n"
			if m.ranks > 0 {
				needsMPI(t)
				tasks = "in tasks of ranks: [true true] false mpi\n"
			}
			o := m.succeed(t, inSpmd, nil)
			o.counts(t, ranks, "before Main: false false false\n")
			o.counts(t, ranks, "before Main: true true true\n") // their own processes
			o.counts(t, ranks, "in the function: false\n")
			o.counts(t, 1, tasks)
			o.counts(t, ranks, "in tasks of processes: [true] false processes\n")
		})
	}
}

func TestAProgramForEveryRankThatCallsMainOfFuturesIsRefusedHoweverItIsStarted(t *testing.T) {
	t.Parallel()
	onEvery(t, func(t *testing.T, m mode) {
		o := m.run(t, inSpmd, []string{"Main"})
		if o.contains(t, "futures.Main was called, at ", "inspmd/main.go:", "call spmd.Main"); o.code == 0 {
			t.Errorf("status %d:\n%s", o.code, o.output)
		}
	})
}

func TestTheTestsOfAProgramForEveryRankRunWithoutALauncher(t *testing.T) {
	t.Parallel()
	o := processes.succeed(t, inSpmd, []string{"TestMain"})
	o.counts(t, 1, "in tasks of processes: [true] false processes\n")
	for _, m := range rankModes() {
		o := m.run(t, inSpmd, []string{"TestMain"})
		if o.contains(t, "futures.TestMain, at ", "without an mpiexec"); o.code == 0 {
			t.Errorf("%s: status %d:\n%s", m.name, o.code, o.output)
		}
	}
}
