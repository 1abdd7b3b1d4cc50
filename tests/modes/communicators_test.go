//go:build unix && (!mpi || cgo)

package modes_test

import (
	"strings"
	"testing"

	"github.com/rankpool/rankpool/internal/mpi/mpitest"
)

const communicators = "github.com/rankpool/rankpool/tests/modes/testdata/communicators"

func TestRanksThatServeAreNotEnteredByAnotherHandle(t *testing.T) {
	t.Parallel()
	needsMPI(t)
	o := world.succeed(t, communicators, []string{"nested"})
	if n := strings.Count(o.output, "nested: futures: MPICommExecutor: the ranks of this communicator serve already"); n != 10 {
		t.Errorf("%d of 10 were refused:\n%s", n, o.output)
	}
	if n := strings.Count(o.output, "2 workers: 9 mpi"); n != 2 {
		t.Errorf("%d of 2 outer blocks of the world went on:\n%s", n, o.output)
	}
	o.contains(t, "1 workers: 9 mpi")
}

func TestRanksThatAreStillBeingLetGoAreNotEntered(t *testing.T) {
	t.Parallel()
	needsMPI(t)
	o := world.succeed(t, communicators, []string{"late", t.TempDir()})
	o.contains(t, "some ranks have not come, to be let go", "second: futures: MPICommExecutor: the ranks of this communicator serve already, or are still being let go",
		"2 workers: 9 mpi")
}

func TestSomeRanksServeAndOthersDoNot(t *testing.T) {
	t.Parallel()
	needsMPI(t)
	world.succeed(t, communicators, []string{"parts"}).contains(t, "1 workers: 9 mpi")
}

func TestEveryRankMayEnterACommunicatorOfItsOwn(t *testing.T) {
	t.Parallel()
	needsMPI(t)
	for _, m := range []mode{world, processes} {
		o := m.succeed(t, communicators, []string{"alone"})
		if n := strings.Count(o.output, "1 workers: 9 threads"); n != max(m.ranks, 1) {
			t.Errorf("%s: %d blocks:\n%s", m.name, n, o.output)
		}
	}
}

func TestRanksAreAfterABlockAsTheyWereBefore(t *testing.T) {
	t.Parallel()
	needsMPI(t)
	dir := t.TempDir()
	o := world.succeed(t, communicators, []string{"surroundings", dir})
	if n := strings.Count(o.output, "in the block: "+dir+` "set"`); n != 2 {
		t.Errorf("%d of 2 workers were set:\n%s", n, o.output)
	}
	o.contains(t, "rank 0 is as before", "rank 1 is as before", "rank 2 is as before")
	o = world.succeed(t, communicators, []string{"surroundings", dir}, "RANKPOOL_SLOTS=2")
	if n := strings.Count(o.output, "in the block: "+dir+` "set"`); n != 4 {
		t.Errorf("%d of 4 slots were set:\n%s", n, o.output)
	}
	o.contains(t, "rank 0 is as before", "rank 1 is as before", "rank 2 is as before")
}

func TestARankThatComesToItsEndWithoutEnteringIsNotWaitedFor(t *testing.T) {
	t.Parallel()
	needsMPI(t)
	for name, c := range map[string]struct {
		args []string // the rank, root, and the ranks of a communicator other than the world
		told int
	}{
		"a worker":                        {[]string{"2", "0"}, 2},
		"root":                            {[]string{"0", "0"}, 2},
		"a worker, and root is another":   {[]string{"0", "1"}, 2},
		"a worker of a part":              {[]string{"0", "0", "2", "0"}, 1},
		"root of a part":                  {[]string{"0", "1", "2", "0"}, 1},
		"a worker of the world backwards": {[]string{"0", "0", "2", "1", "0"}, 2},
		"root of the world backwards":     {[]string{"0", "2", "2", "1", "0"}, 2},
	} {
		t.Run(name, func(t *testing.T) {
			args := c.args
			o := world.run(t, communicators, append([]string{"absent"}, args...))
			// Whoever waits for one that has given up for that reason is told as well. How the job ends is the launcher's: a part of it hangs in MPI.
			o.matches(t, c.told, `rank \d: .*the ranks of the communicator cannot meet: rank \d has come to the end of its program`)
			o.contains(t, "the ranks of the communicator cannot meet: rank "+args[0]+" has")
		})
	}
}

// The ranks of a communicator have other numbers there than in the world.
func TestALossIsThatOfTheRightRankWhateverNumbersACommunicatorHas(t *testing.T) {
	t.Parallel()
	needsMPI(t)
	m := world
	m.options = []string{mpitest.Leave[library]}
	run := func(t *testing.T, args ...string) outcome {
		t.Helper()
		pkg, args := m.staying(t, communicators, append([]string{"lost", t.TempDir()}, args...))
		return m.run(t, pkg, args)
	}
	for name, args := range map[string][]string{"backwards": {"2", "2", "1", "0"}, "a part": {"2", "2", "0"}} {
		t.Run(name, func(t *testing.T) {
			o := run(t, args...)
			o.matches(t, 1, `tasks: .*dying was lost with worker 0 \(rank 2, process \d+ on \S+\)`)
			if name == "backwards" {
				o.contains(t, "1 workers: 9 mpi")
			}
		})
	}
	t.Run("outside", func(t *testing.T) {
		run(t, "1", "2", "0").contains(t, "tasks: <nil>", "1 workers: 9 mpi")
	})
}

func TestAProgramWhoseRanksServeAllTheTimeSharesThemInABlock(t *testing.T) {
	t.Parallel()
	needsMPI(t)
	world.succeed(t, parallel, []string{"blocks"}).contains(t, "block of 2 mpi", "block of 1 threads", "not shared: ", "with spmd.Main")
}
