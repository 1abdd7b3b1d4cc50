//go:build unix

package modes_test

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rankpool/rankpool/internal/mpi/mpitest"
)

// Everything here goes wrong on purpose. A run that does not end by itself fails its test, see limit.

func TestAnErrorOrAPanicInTheMasterDropsTheQueueAndChoosesTheStatus(t *testing.T) {
	t.Parallel()
	onEvery(t, func(t *testing.T, m mode) {
		for act, want := range map[string]struct {
			says   string
			status int
		}{"error": {"told to fail", 1}, "panic": {"panic: told to panic", 1}, "status": {"told to end with 3", 3}} {
			dir := t.TempDir()
			o := m.run(t, probe, []string{"-dir", dir, act})
			if o.contains(t, want.says); o.code != want.status {
				t.Errorf("%s: status %d, want %d:\n%s", act, o.code, want.status, o.output)
			}
			if files, err := os.ReadDir(dir); err != nil || len(files) != 0 {
				t.Errorf("%s: %d of 50 tasks that were queued ran (%v)", act, len(files), err)
			}
		}
	})
}

func TestANilDereferenceInATaskIsTheErrorOfItsFuture(t *testing.T) {
	t.Parallel()
	onRanks(t, func(t *testing.T, m mode) {
		m.succeed(t, probe, []string{"nil"}).contains(t, "panic: true", "nil pointer dereference", "then: 2 <nil>")
	})
}

func TestAnInitializerThatFailsOnOneRankBreaksItsExecutorOnly(t *testing.T) {
	t.Parallel()
	onRanks(t, func(t *testing.T, m mode) {
		m.succeed(t, probe, []string{"-dir", t.TempDir(), "init"}).contains(t,
			"broken: true", "not on this one", "workers: 0 the pool is broken: initializer once failed on worker", "a second executor: 2 <nil>")
	})
}

func TestAnInitializerThatPanicsOnOneRankIsReportedWithItsRank(t *testing.T) {
	t.Parallel()
	onRanks(t, func(t *testing.T, m mode) {
		o := m.run(t, probe, []string{"-dir", t.TempDir(), "initpanic"})
		if o.contains(t, "broken: true", "initializer initialize failed on worker", "(rank ", "panic: not on this one"); o.code != 1 {
			t.Errorf("status %d, want 1:\n%s", o.code, o.output)
		}
	})
}

func TestAnInitializerThatExitsEndsTheJob(t *testing.T) {
	t.Parallel()
	onRanks(t, func(t *testing.T, m mode) {
		o := m.run(t, probe, []string{"-dir", t.TempDir(), "initexit"})
		if o.code == 0 {
			t.Errorf("status %d:\n%s", o.code, o.output)
		}
	})
}

func TestAPanicOutsideOfATaskEndsTheJob(t *testing.T) {
	t.Parallel()
	onRanks(t, func(t *testing.T, m mode) {
		o := m.run(t, probe, []string{"outside"})
		if o.contains(t, "panic: outside of a task"); o.code == 0 {
			t.Errorf("status 0:\n%s", o.output)
		}
	})
}

func TestAnExecutorBeforeMainEndsTheJobInsteadOfSpawningWithoutEnd(t *testing.T) {
	t.Parallel()
	onRanks(t, func(t *testing.T, m mode) {
		for _, where := range []string{"main", "init"} {
			o := m.run(t, probe, []string{"rank"}, "PROBE_EARLY="+where)
			if o.contains(t, "reached in a worker process before futures.Main"); o.code != 1 || len(o.left) > 0 {
				t.Errorf("in %s: status %d, want 1; processes %v left:\n%s", where, o.code, o.left, o.output)
			}
		}
	})
}

// Either launcher ends the ranks when one of them dies, unless it is told not to; then they find out by themselves.
func TestNoRankOutlivesAMasterThatWasKilled(t *testing.T) {
	t.Parallel()
	leave := mpitest.Leave[library]
	onRanks(t, func(t *testing.T, m mode) {
		for _, options := range [][]string{nil, {leave}} {
			m.options = options
			dir := t.TempDir()
			o := m.run(t, probe, []string{"-dir", dir, "mastergone"})
			o.leftNone(t, dir, 2)
			if options != nil && library == "openmpi" { // MPICH's proxy kills what is on its host all the same
				o.contains(t, "the master (process ", "is gone")
			}
		}
	})
}

// leftNone checks that none of the n workers that have held in a directory was left when mpiexec had ended. What they are is read from
// there: MPICH's mpiexec does not pass on all that was printed before a rank was killed.
func (o outcome) leftNone(t *testing.T, dir string, n int) {
	t.Helper()
	files, err := os.ReadDir(dir)
	if err != nil || len(files) != n {
		t.Fatalf("%d of %d workers (%v):\n%s", len(files), n, err, o.output)
	}
	for _, f := range files {
		if slices.Contains(strings.Fields(strings.Trim(fmt.Sprint(o.left), "[]")), f.Name()) {
			t.Errorf("worker %s was still there when mpiexec had ended:\n%s", f.Name(), o.output)
		}
	}
}

func TestTheLimitOfARunKillsSpawnedRanksToo(t *testing.T) {
	t.Parallel()
	onRanks(t, func(t *testing.T, m mode) {
		var r mpitest.Result
		var err error
		var pids [][]string
		for short := 6 * time.Second; len(pids) < 2 && short < limit; short *= 2 { // until it is enough for the start
			r, err = mpitest.Run(t.Context(), mpitest.Job{
				Ranks: m.ranks, Program: binaries.Build(t, probe), Args: []string{"-dir", t.TempDir(), "stuck"},
				Env: []string{"RANKPOOL_MAX_WORKERS=2"}, Limit: short,
			})
			pids = regexp.MustCompile(`process (\d+)`).FindAllStringSubmatch(r.Output, -1)
		}
		if err != nil || !r.Expired || len(pids) != 2 {
			t.Fatalf("%v, expired %v, %d workers:\n%s", err, r.Expired, len(pids), r.Report())
		}
		for _, p := range pids {
			if line, _ := os.ReadFile("/proc/" + p[1] + "/cmdline"); len(line) > 0 {
				t.Errorf("worker %s is still there: %q", p[1], line)
			}
		}
	})
}

func TestWhereNothingCanBeSpawnedTheWorkersAreLocalProcessesAndOneSentenceSaysSo(t *testing.T) {
	t.Parallel()
	needsMPI(t)
	m, ok := spawnless()
	if !ok {
		t.Skip("this library can spawn, or does not say beforehand that it cannot")
	}
	const sentence = "so the workers are processes of this host; for workers that are ranks start the program with `mpiexec -n N`"
	o := m.succeed(t, probe, []string{"-dir", t.TempDir(), "init"}) // it makes two executors
	o.contains(t, "broken: true", "a second executor: 2 <nil>", sentence)
	if n := strings.Count(o.output, "processes of this host"); n != 1 {
		t.Errorf("it is said %d times:\n%s", n, o.output)
	}
	m.backend = "processes" // somebody means it
	if o := m.succeed(t, examples+"hello", nil); strings.Contains(o.output, "processes of this host") {
		t.Errorf("it is said though it was asked for:\n%s", o.output)
	}
	m.backend = "mpi"
	if o = m.run(t, examples+"hello", nil); o.code != 1 {
		t.Errorf("status %d, want 1:\n%s", o.code, o.output)
	}
	o.contains(t, "MPI_Comm_spawn", "start the program with `mpiexec -n N` instead")
}

func TestSpawningMoreThanThereIsRoomForSaysWhatToDo(t *testing.T) {
	t.Parallel()
	needsMPI(t)
	if library != "openmpi" {
		t.Skip("only Open MPI spawns here")
	}
	o := mode{ranks: 1, backend: "auto", plain: true}.run(t, examples+"hello", nil, "RANKPOOL_MAX_WORKERS=100")
	o.contains(t, "100 workers were asked for and the launcher has room for", "mpiexec --oversubscribe", "hostfile", "fewer workers",
		"`mpiexec -n N`")
	if o.code != 1 {
		t.Errorf("status %d, want 1:\n%s", o.code, o.output)
	}
}

func TestTheOtherMPIsLauncherRunsTheSameFile(t *testing.T) {
	t.Parallel()
	needsMPI(t)
	other := map[string]string{"openmpi": "mpich", "mpich": "openmpi"}[library]
	if _, err := os.Stat(filepath.Join("/usr/bin", "mpiexec."+other)); err != nil {
		t.Skipf("no mpiexec.%s here", other)
	}
	r, err := mpitest.Run(t.Context(), mpitest.Job{Ranks: 2, Program: binaries.Build(t, examples+"hello"), Launcher: other, Limit: limit})
	if err != nil {
		t.Fatal(err)
	}
	o := outcome{output: r.Output, code: r.Code}
	if o.contains(t, "hello, "); o.code != 0 {
		t.Errorf("status %d, want 0:\n%s", o.code, o.output)
	}
}
