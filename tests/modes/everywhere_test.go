//go:build unix

package modes_test

import (
	"strings"
	"testing"
)

const everywhere = "github.com/rankpool/rankpool/tests/modes/everywhere"

func TestEveryRankOfACommunicatorCanBeServedByTheOthers(t *testing.T) {
	t.Parallel()
	needsMPI(t)
	o := world.succeed(t, everywhere, []string{"roots"})
	o.contains(t, "root 0 of 3 has [1 2] [3 3] mpi", "root 1 of 3 has [0 2] [3 3] mpi", "root 2 of 3 has [0 1] [3 3] mpi")
	for _, act := range []string{"roots", "rounds"} {
		world.succeed(t, everywhere, []string{act}).contains(t, "rank 0 goes on", "rank 1 goes on", "rank 2 goes on")
	}
}

func TestAProgramForEveryRankRunsAloneToo(t *testing.T) {
	t.Parallel()
	for _, m := range []mode{threads, processes} {
		m.succeed(t, everywhere, []string{"rounds"}).contains(t, "rank 0 goes on")
	}
}

func TestWhatCannotBeServedIsRefusedOnAllRanks(t *testing.T) {
	t.Parallel()
	needsMPI(t)
	o := world.succeed(t, everywhere, []string{"misuse"})
	for _, want := range []string{"root -1 is out of range: the communicator has 3 ranks", "root -3 is", "root 3 is", "the function is nil"} {
		if n := strings.Count(o.output, want); n != 3 {
			t.Errorf("%d ranks of 3 say %q:\n%s", n, want, o.output)
		}
	}
	o.contains(t, "serve already", "the outer one says 9", "WithMaxWorkers(0)", "rank 0 goes on", "rank 1 goes on", "rank 2 goes on")
	if strings.Contains(o.output, "body was called") {
		t.Error(o.output)
	}
}

func TestAFailingInitializerLetsTheServingRanksGoOn(t *testing.T) {
	t.Parallel()
	needsMPI(t)
	world.succeed(t, everywhere, []string{"initializer"}).contains(t, "rank 0 goes on", "rank 1 goes on", "rank 2 goes on")
}

func TestAFailureOnOneRankEndsAProgramOnEveryRank(t *testing.T) {
	t.Parallel()
	needsMPI(t)
	for act, want := range map[string]string{
		"fails": "told to fail", "panics": "told to panic", "late": "have not entered",
	} {
		o := world.run(t, everywhere, []string{act})
		if o.contains(t, want); o.code == 0 {
			t.Errorf("%s: status %d:\n%s", act, o.code, o.output)
		}
	}
}

// Open MPI's mpiexec hung or crashed in every third of these: rank 0 was in MPI_Finalize, and two ranks aborted the job at once.
func TestRanksThatFailTogetherEndAProgramOnEveryRank(t *testing.T) {
	t.Parallel()
	needsMPI(t)
	for range 10 {
		if o := world.run(t, everywhere, []string{"one succeeds"}); o.code != 1 {
			t.Fatalf("status %d:\n%s", o.code, o.output)
		}
	}
}
