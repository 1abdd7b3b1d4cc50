//go:build unix

package modes_test

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/rankpool/rankpool/internal/mpi/mpitest"
	"github.com/rankpool/rankpool/internal/testkit"
	"github.com/rankpool/rankpool/internal/trace"
)

// The jobs here lose ranks under launchers that were told to leave the others alive. docs/clusters.md, "When a rank or a host
// is lost", has what is measured here.

// onLosing runs a test in every mode whose workers are ranks, with three of them.
func onLosing(t *testing.T, test func(t *testing.T, run func(args ...string) outcome), env ...string) {
	t.Helper()
	needsMPI(t)
	for _, m := range rankModes() {
		m.options = []string{mpitest.Leave[library]}
		if m.ranks > 1 {
			m.ranks = 4
		}
		t.Run(m.name, func(t *testing.T) {
			test(t, func(args ...string) outcome {
				t.Helper()
				pkg, args := m.staying(t, probe, append([]string{"-dir", t.TempDir()}, args...))
				return m.run(t, pkg, args, append([]string{"RANKPOOL_MAX_WORKERS=3"}, env...)...)
			})
		})
	}
}

// staying is how a program is started whose ranks are to outlive one that is killed.
func (m mode) staying(t *testing.T, pkg string, args []string) (string, []string) {
	t.Helper()
	if library == "mpich" { // whose proxy would kill the others of its host
		return command, append([]string{"run", "--stay", binaries.Build(t, pkg)}, args...)
	}
	return pkg, args
}

const command = "github.com/rankpool/rankpool/cmd/rankpool"

// ends checks the status of a job that lost a rank, or was told to end, as far as the launchers tell: the master's own, or one of
// what MPICH's makes of it.
func (o outcome) ends(t *testing.T, master int, mpich ...int) {
	t.Helper()
	want := []int{master}
	switch {
	case library == "mpich":
		want = mpich
	case !mpitest.VersionOf(library).Passes():
		want = []int{0}
	}
	if !slices.Contains(want, o.code) || strings.Contains(o.output, "the job is aborted") {
		t.Errorf("status %d, want one of %d and no abort:\n%s", o.code, want, o.output)
	}
}

// lost are the statuses of MPICH's mpiexec after a rank was killed and the others have ended with 0. It says 1 when its proxy has taken
// the status of that rank before it notices that the rank's connection is closed: then it writes a 1 over it.
var lost = []int{137, 1}

// gone is what the error of a task says whose rank was killed.
const gone = `\(rank \d+, process \d+ on \S+\): its process has ended without a goodbye, killed or crashed, silent for [\d.]+m?s`

func (o outcome) matches(t *testing.T, n int, pattern string) {
	t.Helper()
	if got := len(regexp.MustCompile(pattern).FindAllString(o.output, -1)); got != n {
		t.Errorf("%q is there %d times, want %d:\n%s", pattern, got, n, o.output)
	}
}

func TestARankKilledInALongTaskCostsThatTask(t *testing.T) {
	t.Parallel()
	onLosing(t, func(t *testing.T, run func(...string) outcome) {
		o := run("loselong")
		o.matches(t, 2, `long task \d: done`)
		o.matches(t, 1, `long task \d: lost true with worker \d, process \d+, after [\d.]+m?s: hold was lost with worker \d `+gone)
		o.contains(t, "queued: done, workers: 2 <nil>", "after the idle one: workers: 1 <nil>", "lost: 2",
			"ranks were lost, so this job ends without MPI_Finalize")
		killed := regexp.MustCompile(`killed: (\d+)`).FindStringSubmatch(o.output)
		if killed == nil || !strings.Contains(o.output, "process "+killed[1]+", after") {
			t.Errorf("another one was lost than %v:\n%s", killed, o.output)
		}
		o.ends(t, 0, lost...)
	})
}

// The executor says of each task with which worker it was lost, and both were slots of the rank that was killed.
func TestARankKilledWithSlotsCostsWhatTheyRan(t *testing.T) {
	t.Parallel()
	onLosing(t, func(t *testing.T, run func(...string) outcome) {
		o := run("loseslots")
		o.matches(t, 4, `long task \d: done`)
		o.matches(t, 2, `long task \d: lost true with worker \d, process \d+, after [\d.]+m?s: holdBeside was lost with worker \d `+gone)
		o.contains(t, "slots: 6", "queued: done, workers: 4 <nil> failed: 2 lost: 2", "ranks were lost, so this job ends without MPI_Finalize")
		killed := regexp.MustCompile(`killed: (\d+)`).FindStringSubmatch(o.output)
		if killed == nil || strings.Count(o.output, "process "+killed[1]+", after") != 2 {
			t.Errorf("others were lost than those of %v:\n%s", killed, o.output)
		}
		o.ends(t, 0, lost...)
	}, "RANKPOOL_SLOTS=2")
}

// The other elements are delivered, and the lost one is named.
func TestAnElementThatKillsItsWorkerIsLostAloneOnProcessesAndRanks(t *testing.T) {
	t.Parallel()
	test := func(t *testing.T, o outcome) {
		t.Helper()
		o.contains(t, "element 5 of 5 is lost: true", "yielded 40 returned 40 right 38 errors 1 true")
		o.matches(t, 1, `element \d+ of`)
	}
	t.Run("processes", func(t *testing.T) {
		test(t, processes.succeed(t, probe, []string{"losemap"}, "RANKPOOL_MAX_WORKERS=3"))
	})
	t.Run("ranks", func(t *testing.T) {
		onLosing(t, func(t *testing.T, run func(...string) outcome) {
			o := run("losemap")
			test(t, o)
			o.ends(t, 0, lost...)
		})
	})
}

func TestHooksAreToldOfALostRankAndItsTask(t *testing.T) {
	t.Parallel()
	onLosing(t, func(t *testing.T, run func(...string) outcome) {
		o := run("loseexit")
		o.contains(t, "workers: 2 <nil>", "hooks: 2 workers and 2 tasks were lost")
	}, exitsAreAllowed)
}

// exitsAreAllowed has PRRTE not end a job for the status of a rank.
const exitsAreAllowed = "PRTE_MCA_state_base_error_non_zero_exit=0"

func TestATaskThatExitsLosesItsRankAndRunsOnAnotherIfItMay(t *testing.T) {
	t.Parallel()
	onLosing(t, func(t *testing.T, run func(...string) outcome) {
		o := run("loseexit")
		o.contains(t, "the task that exits is lost: true exitOnce was lost with worker", "workers: 2 <nil>",
			"with a retry: attempt 2 <nil> workers: 1 <nil> retried: 1")
	}, exitsAreAllowed)
}

func TestRanksKilledInABatchOfTinyTasksCostWhatTheyHad(t *testing.T) {
	t.Parallel()
	onLosing(t, func(t *testing.T, run func(...string) outcome) {
		o := run("-tasks", "60000", "losebatch")
		o.contains(t, "workers lost: 2, workers: 1 <nil>, counted: true")
		m := regexp.MustCompile(`tasks lost: (\d+)`).FindStringSubmatch(o.output)
		if m == nil {
			t.Fatalf("no count in:\n%s", o.output)
		}
		if n, err := strconv.Atoi(m[1]); err != nil || n > 45000 { // none, if both had just answered all
			t.Errorf("%d of 60000 tasks were lost with two of three workers (%v)", n, err)
		}
		o.ends(t, 0, lost...)
	})
}

func TestARankKilledWhileItsLargeResultIsFetchedLeavesTheMasterAlive(t *testing.T) {
	t.Parallel()
	onLosing(t, func(t *testing.T, run func(...string) outcome) {
		o := run("losefetch")
		o.matches(t, 2, `round \d: (0 elements, lost true|1048576 elements, lost false)`)
		o.contains(t, "then: 2 <nil>")
		o.ends(t, 0, lost...)
	})
}

func TestWithoutARankLeftThePoolIsBrokenAtOnce(t *testing.T) {
	t.Parallel()
	onLosing(t, func(t *testing.T, run func(...string) outcome) {
		o := run("loseall")
		o.matches(t, 3, `task \d: lost true with .*hold was lost with worker \d `+gone)
		o.matches(t, 2, `task \d: lost true with .*the pool is broken: worker \d `+gone)
		o.contains(t, "broken: true")
		o.ends(t, 0, lost...)
	})
}

func TestARankThatIsSilentForAWhileIsLostOnlyBeyondTheLiveness(t *testing.T) {
	t.Parallel()
	onLosing(t, func(t *testing.T, run func(...string) outcome) {
		o := run("pauses")
		o.contains(t, "long computations: done", "stopped for 2s noticed: 0", "stopped for 12s noticed: 1", "then: 2 <nil>")
		o.matches(t, 3, `stopped for 2s: task \d: done`)
		o.matches(t, 2, `stopped for 12s: task \d: done`)
		o.matches(t, 1, `hold was lost with worker \d \(rank \d, process \d+ on \S+\): silent for 4s: it did not answer`)
		o.ends(t, 0, 0) // the rank goes on in the end, and leaves like the others
	}, "GOMAXPROCS=1")
}

func TestALossAmongTasksThatWaitForEachOtherIsAnErrorOfThem(t *testing.T) {
	t.Parallel()
	onLosing(t, func(t *testing.T, run func(...string) outcome) {
		o := run("losegang")
		o.matches(t, 1, `gang broken: true rank \d of 3: gather was lost with worker 1 `+gone)
		o.contains(t, "then: 2 <nil>", "workers: 2 <nil>")
		o.matches(t, 2, `survivors: \[\[0 2 1 1 1\] \[1 2 1 0 0\]\] <nil>`)
		o.ends(t, 0, lost...)
	})
}

func TestARankThatEndsBeforeItServesIsNamedAndTheJobEnds(t *testing.T) {
	t.Parallel()
	for _, how := range []string{"kill", "exit"} {
		t.Run(how, func(t *testing.T) {
			onLosing(t, func(t *testing.T, run func(...string) outcome) {
				o := run("early")
				o.matches(t, 1, `rank (1 of [34]|0 of [123]) ended before MPI had started, .* what the program does before futures.Main`)
				if strings.HasSuffix(t.Name(), "spawned") {
					o.contains(t, "spawned workers have not come up")
				}
				want := 1
				if !mpitest.VersionOf(library).Passes() {
					want = 0
				}
				if o.code != want || len(o.left) > 0 {
					t.Errorf("status %d, want %d; left: %v:\n%s", o.code, want, o.left, o.output)
				}
			}, "PROBE_LOST_EARLY="+how)
		})
	}
}

func TestARankThatEndsBetweenMPIInitAndMainHasTheOthersSaySoAndTheJobEnds(t *testing.T) {
	t.Parallel()
	needsMPI(t)
	for _, form := range []string{"Main", "spmd.Main"} {
		programs := &testkit.Programs{Dir: t.TempDir(), Tags: "mpi"}
		if form == "spmd.Main" {
			programs.Tags = "mpi,everyrank"
		}
		for _, how := range map[string][]string{"openmpi": {"kill", "exit"}, "mpich": {"exit"}}[library] { // MPICH's proxy kills all with one that is killed
			t.Run(form+" "+how, func(t *testing.T) {
				m := world
				m.options, m.binaries = []string{mpitest.Leave[library]}, programs
				o := m.run(t, "github.com/rankpool/rankpool/tests/modes/testdata/unmet", []string{how, t.TempDir()})
				o.contains(t, "MPI_Comm_dup has not come back within 3s", "another rank may have ended before it")
				if o.code == 0 && mpitest.VersionOf(library).Passes() || len(o.left) > 0 {
					t.Errorf("status %d; left: %v:\n%s", o.code, o.left, o.output)
				}
			})
		}
	}
}

func TestTheLaunchersWordOfALossDoesNotDrainAndAWarningDoes(t *testing.T) {
	t.Parallel()
	onLosing(t, func(t *testing.T, run func(...string) outcome) {
		o := run("-drains", "losedrain")
		o.matches(t, 1, `long task \d: lost true with worker \d`)
		o.contains(t, "queued: done, workers: 2 <nil>", "what waited: dropped", "what ran: delivered",
			"rankpool: ended by signal: user defined signal 1")
		o.matches(t, map[string]int{"openmpi": 0, "mpich": 1}[library], `a rank was lost, and the launcher reported that`)
		o.ends(t, 138, append([]int{137 | 138}, lost...)...) // the bits of all ranks' together, but without the master's if that was the last to end
	})
}

func TestASIGTERMEndsAJobInEveryPhase(t *testing.T) {
	t.Parallel()
	want := map[string][]string{
		"starting": {"a task: true futures: a signal told the program to end"},
		"running":  {"what waited: dropped", "what ran: delivered"},
		"closing":  nil,
		"deaf":     {"Shutdown was cut short with 1 tasks running: hold on worker"},
	}
	onLosing(t, func(t *testing.T, run func(...string) outcome) {
		for phase, says := range want {
			o := run("signalled", phase)
			o.contains(t, append(slices.Clone(says), "rankpool: ended by signal: terminated")...)
			o.ends(t, 143, 143)
			if len(o.left) > 0 {
				t.Errorf("%s: processes %v were left:\n%s", phase, o.left, o.output)
			}
		}
	})
}

func TestWorkersLeaveWhenTheirMasterIsKilled(t *testing.T) {
	t.Parallel()
	onLosing(t, func(t *testing.T, run func(...string) outcome) {
		dir := t.TempDir()
		o := run("-dir", dir, "mastergone")
		o.contains(t, "the master (process ", "is gone: it was killed or it crashed; this rank ends too")
		o.leftNone(t, dir, 3)
	})
}

func TestALauncherThatWasToldNothingEndsTheJobWithTheRank(t *testing.T) {
	t.Parallel()
	needsMPI(t)
	m := world
	m.ranks = 4
	o := m.run(t, probe, []string{"-dir", t.TempDir(), "loselong"}, "RANKPOOL_MAX_WORKERS=3")
	if want := map[string]int{"openmpi": 137, "mpich": 9}[library]; o.code != want {
		t.Errorf("status %d, want %d:\n%s", o.code, want, o.output)
	}
}

func TestARecordingTellsOfALostRank(t *testing.T) {
	onLosing(t, func(t *testing.T, run func(...string) outcome) {
		path := filepath.Join(t.TempDir(), "recording")
		t.Setenv("RANKPOOL_TRACE", path)
		o := run("loseexit")
		o.contains(t, "workers: 2 <nil>")
		f, err := os.Open(path)
		if err != nil {
			t.Fatal(err, o.output)
		}
		defer f.Close()
		died, lost, again := 0, 0, 0
		_, cut, err := trace.Read(f, func(e *trace.Event) error {
			switch {
			case e.Kind == trace.WorkerIs && e.Phase == trace.Died:
				died++
			case e.Kind == trace.UnitsRan && e.Outcome == trace.Lost && e.Func == "exitOnce":
				lost++
			case e.Kind == trace.UnitsRan && e.Outcome == trace.Succeeded && e.Attempt == 2:
				again++
			}
			return nil
		})
		if cut || err != nil || died != 2 || lost != 2 || again != 1 {
			t.Errorf("cut %v, %v: %d workers died, %d tasks were lost, %d ran again\n%s", cut, err, died, lost, again, o.output)
		}
	})
}
