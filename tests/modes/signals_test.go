//go:build unix

package modes_test

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/rankpool/rankpool/internal/mpi/mpitest"
)

func TestCtrlCAtTheLauncherLeavesTimeForWhatIsDone(t *testing.T) {
	t.Parallel()
	onRanks(t, func(t *testing.T, m mode) {
		for name, s := range map[string]syscall.Signal{"SIGINT": syscall.SIGINT, "SIGTERM": syscall.SIGTERM} {
			m.tells = mpitest.Signals{{Seen: "four are done", Signal: s}}
			dir := t.TempDir()
			// Open MPI 4 kills a second after its SIGTERM unless it is told otherwise. A busy machine may not run the program in that.
			o := m.run(t, probe, []string{"-dir", dir, "interrupted"}, "OMPI_MCA_odls_base_sigkill_timeout=4")
			// Open MPI's launcher knows one signal, and so do its ranks.
			if library == "openmpi" {
				s = syscall.SIGTERM
			}
			if mpitest.VersionOf(library).PRRTE() && !strings.Contains(o.output, "saved: ") {
				t.Log("mpiexec killed the program before it had saved anything: it kills after a quarter of a second, whatever it is told")
				if o.told != 1 || len(o.left) > 0 {
					t.Errorf("%s: %d signals were sent, processes %v were left:\n%s", name, o.told, o.left, o.output)
				}
				continue
			}
			o.contains(t, "saved: [0 1 2 3] futures: gave up", "rankpool: ended by signal: "+s.String())
			saved, err := os.ReadFile(filepath.Join(dir, "saved"))
			if err != nil || !strings.HasPrefix(string(saved), "[0 1 2 3] ") {
				t.Errorf("%s: saved %q (%v)", name, saved, err)
			}
			if o.told != 1 || len(o.left) > 0 {
				t.Errorf("%s: %d signals were sent, processes %v were left:\n%s", name, o.told, o.left, o.output)
			}
		}
	})
}

func TestAWorkerThatReadsStandardInputFindsItsEnd(t *testing.T) {
	t.Parallel()
	onEvery(t, func(t *testing.T, m mode) {
		if m.name == threads.name {
			t.Skip("a goroutine shares the master's")
		}
		m.stdin = "one\ntwo\nthree\n"
		m.succeed(t, probe, []string{"reads"}).contains(t, "ONE and 0 bytes in the worker (<nil>)",
			"TWO and 0 bytes in the worker (<nil>)", "THREE and 0 bytes in the worker (<nil>)")
	})
}

func TestASignalThatNobodyAskedForEndsNoProcessAlsoAfterAStop(t *testing.T) {
	t.Parallel()
	onEvery(t, func(t *testing.T, m mode) {
		if m.name == threads.name {
			t.Skip("its only process has no thread that Go did not make")
		}
		m.succeed(t, probe, []string{"-dir", t.TempDir(), "struck"}).contains(t, "long task 0: done", "long task 1: done", "lost: 0")
	})
}

func TestTheMastersExitStatusIsTheLaunchers(t *testing.T) {
	t.Parallel()
	onEvery(t, func(t *testing.T, m mode) {
		o := m.run(t, probe, []string{"exitcode"})
		if o.contains(t, "verdict 3"); o.code != 3 || len(o.left) > 0 {
			t.Errorf("status %d, want 3; left: %v:\n%s", o.code, o.left, o.output)
		}
		// MPICH's launcher may see first that the other ranks end, or write a 1 over the status: see lost.
		o = m.run(t, probe, []string{"osexit"})
		if o.code != 3 && (library != "mpich" || m.ranks == 0 || o.code != 9 && o.code != 1) || len(o.left) > 0 {
			t.Errorf("after os.Exit: status %d, want 3; left: %v:\n%s", o.code, o.left, o.output)
		}
	})
}

func TestASignalToAllProcessesThatTheMasterHandlesEndsNoWorker(t *testing.T) {
	t.Parallel()
	onRanks(t, func(t *testing.T, m mode) {
		m.succeed(t, probe, []string{"-dir", t.TempDir(), "told"}).contains(t, "the master was told: hangup", "the master was told: quit",
			"the master was told: user defined signal 1", "the master was told: user defined signal 2",
			"long task 0: done", "long task 1: done", "lost: 0")
	})
}

// Open MPI binds spawned processes to one core each unless the spawn says otherwise.
func TestSpawnedProcessesUseAllCoresWhereTheirMasterDoes(t *testing.T) {
	t.Parallel()
	needsMPI(t)
	if library != "openmpi" {
		t.Skip("the options are those of Open MPI")
	}
	r, err := mpitest.Run(t.Context(), mpitest.Job{
		Ranks: 1, Program: binaries.Build(t, examples+"hello"), Args: []string{"Ada"}, Launcher: library, Limit: limit, Plain: true,
		Options: []string{"--bind-to", "none", "-H", "localhost:4"}, Env: []string{"RANKPOOL_MAX_WORKERS=1"},
	})
	if err != nil || r.Expired || r.Code != 0 || !strings.Contains(r.Output, "hello, Ada") || strings.Contains(r.Output, "the launcher bound this process") {
		t.Errorf("%v, expired %v, status %d; want a greeting, and no process that is bound:\n%s", err, r.Expired, r.Code, r.Report())
	}
}
