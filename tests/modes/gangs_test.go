//go:build unix

package modes_test

import (
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/rankpool/rankpool/internal/mpi/mpitest"
	"github.com/rankpool/rankpool/internal/testkit"
)

const gangs = "github.com/rankpool/rankpool/tests/modes/testdata/gangs"

// onGangs calls test in every mode with ranks, with five workers.
func onGangs(t *testing.T, test func(t *testing.T, m mode, workers string)) {
	t.Helper()
	if runtime.GOOS != "linux" {
		t.Skip("MPI is loaded on Linux only")
	}
	onRanks(t, func(t *testing.T, m mode) {
		if m.ranks > 1 {
			m.ranks = 6
		}
		test(t, m, "RANKPOOL_MAX_WORKERS=5")
	})
}

func TestGangsHaveCommunicatorsOfMPIOfTheirMembersAloneSideBySide(t *testing.T) {
	t.Parallel()
	kinds := map[string]*testkit.Programs{"without cgo": {Dir: t.TempDir(), Tags: "mpi", NoCgo: true}, "with cgo": &binaries}
	onGangs(t, func(t *testing.T, m mode, workers string) {
		for name, programs := range kinds {
			t.Run(name, func(t *testing.T) {
				m.binaries = programs
				m.succeed(t, gangs, []string{"side by side", t.TempDir()}, workers).contains(t, "all gangs were right", "all parts were right",
					"two gangs had theirs at the same time", "all were freed")
			})
		}
	})
}

func TestAMemberThatDoesNotAskForTheCommunicatorReleasesTheOthers(t *testing.T) {
	t.Parallel()
	onGangs(t, func(t *testing.T, m mode, workers string) {
		o := m.succeed(t, gangs, []string{"leavers"}, workers)
		o.matches(t, 1, `returns: gang 0 of 3: rank [02] of 3: .*comm: Handle: worker 1 says nothing more in this parallel task: its call has returned`)
		o.matches(t, 1, `fails: gang 0 of 3: .*(told to fail|its task failed)`)
		o.contains(t, "the next gangs were right")
	})
}

// The example of a sweep whose points are parallel programs, of three ranks and of two, one after another and side by side: its numbers are
// those of one goroutine for each point, bit for bit.
func TestTheExampleOfGroupsComputesOnRanksWhatOneGoroutineComputes(t *testing.T) {
	t.Parallel()
	points := func(o outcome) []string {
		return regexp.MustCompile(`loss .* sweeps`).FindAllString(o.output, -1)
	}
	want := points(threads.succeed(t, examples+"groups", []string{"-points=4", "-ranks=1"}))
	if len(want) != 4 {
		t.Fatalf("%q", want)
	}
	onGangs(t, func(t *testing.T, m mode, workers string) {
		for _, ranks := range []string{"-ranks=3", "-ranks=2"} {
			if got := points(m.succeed(t, examples+"groups", []string{"-points=4", ranks}, workers)); !slices.Equal(got, want) {
				t.Errorf("%s: %q, want %q", ranks, got, want)
			}
		}
	})
}

// losing runs a program that loses a worker, where the launcher leaves the others alone.
func (m mode) losing(t *testing.T, act, workers string) outcome {
	t.Helper()
	m.options = []string{mpitest.Leave[library]}
	pkg, args := m.staying(t, gangs, []string{act, t.TempDir()})
	return m.run(t, pkg, args, workers)
}

func TestTheLossOfAMemberThatHasNotAskedForTheCommunicatorFailsItsGangAlone(t *testing.T) {
	t.Parallel()
	needsMPI(t)
	onGangs(t, func(t *testing.T, m mode, workers string) {
		o := m.losing(t, "early", workers)
		o.matches(t, 1, `early: true gang 0 of 2: rank [01] of 2: .*early (was lost with|failed on) worker`)
		if m.ranks > 1 || !mpitest.VersionOf(library).WakesTasks() { // else the library makes no other communicator then
			o.contains(t, "then: <nil>")
		}
		if strings.Contains(o.output, "the job is aborted") {
			t.Errorf("it was aborted:\n%s", o.output)
		}
	})
}

func TestTheLossOfAMemberWhileOthersWaitForItInMPIIsAnErrorOrEndsTheJob(t *testing.T) {
	t.Parallel()
	needsMPI(t)
	onGangs(t, func(t *testing.T, m mode, workers string) {
		o := m.losing(t, "stuck", workers)
		if mpitest.VersionOf(library).WakesTasks() {
			o.matches(t, 1, `stuck: gang 0 of 2: rank [01] of 2: .*stuck (was lost with|failed on) worker`)
		} else {
			o.contains(t, "the job is aborted: worker 1 (process", "was lost while tasks on other workers talk to it by MPI")
		}
	})
}

func TestTheLossOfAWorkerThatIsInNoGangLeavesCommunicatorsAlone(t *testing.T) {
	t.Parallel()
	needsMPI(t)
	onGangs(t, func(t *testing.T, m mode, workers string) {
		o := m.losing(t, "another", workers)
		if o.contains(t, "crash: true", "the gang of two others: [2 2] <nil>"); strings.Contains(o.output, "the job is aborted") {
			t.Errorf("it was aborted:\n%s", o.output)
		}
	})
}

func TestTheLossOfAMemberFailsItsGangAndNoOther(t *testing.T) {
	t.Parallel()
	needsMPI(t)
	onGangs(t, func(t *testing.T, m mode, workers string) {
		o := m.losing(t, "of another", workers)
		o.matches(t, 1, `a gang that talks by package comm alone: true gang 0 of 2: rank 1 of 2: .*dies was lost with worker \d`)
		if o.contains(t, "the gang of two others: [2 2] <nil>", "the next gang: [3 3 3] <nil>"); strings.Contains(o.output, "the job is aborted") {
			t.Errorf("it was aborted:\n%s", o.output)
		}
	})
}

func TestACommunicatorOfMPIHasOneSlotOfEachRank(t *testing.T) {
	t.Parallel()
	needsMPI(t)
	o := world.succeed(t, gangs, []string{"slots"}, "RANKPOOL_SLOTS=2")
	o.contains(t, "slots: 4 <nil>", "of one slot of each: [2 2 2 2] <nil>")
	if !regexp.MustCompile(`of all: .*each rank runs 2 of these tasks`).MatchString(o.output) {
		t.Error(o.output)
	}
}
