//go:build unix && (!mpi || cgo)

package modes_test

import (
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rankpool/rankpool/internal/mpi/mpitest"
)

const parallel = "github.com/rankpool/rankpool/tests/modes/parallel"

func TestTasksMayCallMPIThemselves(t *testing.T) {
	t.Parallel()
	onRanks(t, func(t *testing.T, m mode) {
		m.succeed(t, parallel, []string{"sums"}).contains(t, "all sums are right")
	})
}

func TestGangsOfSomeWorkersMayCallMPIThemselves(t *testing.T) {
	t.Parallel()
	onRanks(t, func(t *testing.T, m mode) {
		if m.ranks > 1 {
			m.ranks = 6
		}
		m.succeed(t, parallel, []string{"gangs"}, "RANKPOOL_MAX_WORKERS=5").contains(t, "all gangs are right", "all parts are right")
	})
}

// What imports empi is linked with an MPI, and cannot run under another's launcher.
func TestALinkedProgramUnderTheOtherMPIsLauncherIsRefused(t *testing.T) {
	t.Parallel()
	needsMPI(t)
	other := map[string]string{"openmpi": "mpich", "mpich": "openmpi"}[library]
	if _, err := exec.LookPath("mpiexec." + other); err != nil {
		t.Skipf("no mpiexec.%s here", other)
	}
	r, err := mpitest.Run(t.Context(), mpitest.Job{Ranks: 2, Program: binaries.Build(t, parallel), Args: []string{"sums"}, Launcher: other, Limit: limit})
	if err != nil {
		t.Fatal(err)
	}
	o := outcome{output: r.Output, code: r.Code}
	want := "is in a world of 1: start it with"
	if r.EndedInInit() {
		want = "if MPI_Init fails now, start it with"
	}
	if o.contains(t, want); o.code == 0 || o.code != 1 && !r.EndedInInit() || strings.Contains(o.output, "all sums are right") {
		t.Errorf("status %d, want 1 and no sums:\n%s", o.code, o.output)
	}
}

func TestWithoutRanksThereIsNoCommunicatorOfMPI(t *testing.T) {
	t.Parallel()
	for _, m := range []mode{threads, processes} {
		o := m.run(t, parallel, []string{"sums"})
		if o.contains(t, "the workers are not ranks of an MPI job: start the program with mpiexec"); o.code != 1 {
			t.Errorf("%s: status %d:\n%s", m.name, o.code, o.output)
		}
	}
}

// Only a library with failure mitigation can wake those who wait inside MPI for a rank that is gone.
func TestALossWhileTasksWaitInMPIIsAnErrorOfThemOrEndsTheJob(t *testing.T) {
	t.Parallel()
	leave := mpitest.Leave[library]
	onRanks(t, func(t *testing.T, m mode) {
		m.options = []string{leave}
		o := m.run(t, parallel, []string{"stuck", t.TempDir()})
		switch {
		case mpitest.VersionOf(library).WakesTasks():
			if m.ranks > 1 { // of spawned ones the library makes no other communicator then
				o.contains(t, "then: 1 <nil>")
			} else {
				o.contains(t, "then: 0 rank 0 of 1: sums failed on worker 1 ", "MPI_Comm_create_group: process lost")
			}
			o.matches(t, 1, `the call came back: rank \d of 2: stuck (was lost with worker 0|failed on worker 1 .*MPI_ERR_(PROC_FAILED|REVOKED))`) // whichever is first
			if strings.Contains(o.output, "the job is aborted") {
				t.Errorf("it was aborted:\n%s", o.output)
			}
			o.ends(t, 1)
		case library == "openmpi": // MPICH's proxy kills what is on its host all the same
			o.contains(t, "the job is aborted: worker 0 (process", "was lost while tasks on other workers talk to it by MPI")
		}
	})
}

// What is not made yet cannot be revoked.
func TestALossWhileTasksWaitForTheirCommunicatorEndsTheJob(t *testing.T) {
	t.Parallel()
	onRanks(t, func(t *testing.T, m mode) {
		m.options = []string{mpitest.Leave[library]}
		o := m.run(t, parallel, []string{"early", t.TempDir()})
		if library == "openmpi" { // MPICH's proxy kills what is on its host all the same, and Open MPI's hides the status
			o.contains(t, "the job is aborted: worker 0 (process", "was lost while tasks on other workers talk to it by MPI")
		}
	})
}

func TestTasksMayCallMPIOnTheWorkersThatAreLeft(t *testing.T) {
	t.Parallel()
	needsMPI(t)
	m := world
	m.ranks, m.options = 4, []string{mpitest.Leave[library]}
	pkg, args := m.staying(t, parallel, []string{"survivors"})
	o := m.run(t, pkg, args)
	o.matches(t, 1, `sums: \[\[0 3 6\] \[1 3 6\] \[2 3 6\]\] <nil>`)
	o.matches(t, 5, `sums: \[\[0 2 3\] \[1 2 3\]\] <nil>`) // three of another executor
	o.ends(t, 0, lost...)
}

// The workers are the spawned processes, or the world but for its master. For the ranks of a communicator see
// TestEveryRankOfACommunicatorCanBeServedByTheOthers, for those of a service TestAMasterUsesTheRanksOfAServerThatWasStartedApart.
func TestTheCommunicatorHasAllWorkersAndNobodyElse(t *testing.T) {
	t.Parallel()
	for _, m := range modes() {
		if m.backend != threads.backend { // goroutines have none
			t.Run(m.name, func(t *testing.T) {
				m.succeed(t, parallel, []string{"sizes"}).contains(t, "2 workers: [[0 2] [1 2]]")
			})
		}
	}
}

// Open MPI's key wdir is the directory of the spawned processes.
func TestHintsReachTheLibraryAsTheyAre(t *testing.T) {
	t.Parallel()
	needsMPI(t)
	if library != "openmpi" {
		t.Skip("only Open MPI spawns here")
	}
	dir := must(filepath.EvalSymlinks(t.TempDir()))
	mode{ranks: 1, backend: "auto"}.succeed(t, parallel, []string{"where", dir}).contains(t, "2 workers: ["+dir+" "+dir+"]")
}
