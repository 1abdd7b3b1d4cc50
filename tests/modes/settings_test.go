//go:build unix

package modes_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/rankpool/rankpool/internal/mpi/mpitest"
	"github.com/rankpool/rankpool/internal/testkit"
)

// Below MPI_THREAD_MULTIPLE the calls are made one at a time; the pool does all the same.
func TestAPoolWorksAtEveryThreadLevel(t *testing.T) {
	t.Parallel()
	onRanks(t, func(t *testing.T, m mode) {
		for _, level := range []string{"serialized", "funneled", "single"} {
			o := m.succeed(t, probe, []string{"levels"}, "RANKPOOL_MPI_THREADS="+level)
			o.contains(t, "all of it came back")
			warning := fmt.Sprintf("gave MPI_THREAD_%s: calls are serialised", strings.ToUpper(level))
			want := 1
			if level == "serialized" {
				want = 0
			}
			if n := strings.Count(o.output, warning); n != want {
				t.Errorf("%s: %d warnings, want %d:\n%s", level, n, want, o.output)
			}
		}
	})
}

func TestAnUnknownSettingOfMPIIsRefused(t *testing.T) {
	t.Parallel()
	needsMPI(t)
	for _, setting := range []string{"RANKPOOL_MPI_THREADS=many", "RANKPOOL_MPI_STAGE=maybe"} {
		o := world.run(t, probe, []string{"levels"}, setting)
		if name, _, _ := strings.Cut(setting, "="); o.code != 1 || !strings.Contains(o.output, name) {
			t.Errorf("%s: status %d, want 1:\n%s", setting, o.code, o.output)
		}
	}
}

func TestStagedMessagesArriveWhole(t *testing.T) {
	t.Parallel()
	onRanks(t, func(t *testing.T, m mode) {
		m.succeed(t, probe, []string{"levels"}, "RANKPOOL_MPI_STAGE=1").contains(t, "all of it came back")
		m.succeed(t, probe, []string{"-tasks", "3000000", "big"}, "RANKPOOL_MPI_STAGE=1").contains(t,
			"24000000 bytes came back, 0 of them wrong")
	})
}

func TestAMessageOverTwoGiBComesBackWhole(t *testing.T) {
	t.Parallel()
	needsMPI(t)
	if testkit.Race {
		t.Skip("needs too much memory and time under the race detector")
	}
	two := mode{name: "world of two", backend: "auto", ranks: 2}
	two.succeed(t, probe, []string{"-tasks", fmt.Sprint(1<<28 + 1000), "big"}).contains(t, "2147491648 bytes came back, 0 of them wrong")
}

// bindCore are the options that put each rank on one core of its own.
var bindCore = map[string][]string{"openmpi": {"--bind-to", "core"}, "mpich": {"-bind-to", "core"}}

func TestOneCoreForEachRankIsOneWarning(t *testing.T) {
	t.Parallel()
	needsMPI(t)
	m := mode{backend: "auto", ranks: 2, plain: true, options: bindCore[library]}
	o := m.succeed(t, probe, []string{"bound"})
	if !strings.Contains(o.output, "worker with GOMAXPROCS 1") {
		t.Skipf("the launcher does not bind here:\n%s", o.output)
	}
	o.contains(t, "bound this process to 1 of ", "-bind-to none")
	if n := strings.Count(o.output, "warning:"); n != 1 {
		t.Errorf("%d warnings, want 1:\n%s", n, o.output)
	}
}

func TestOneCoreForTheWorkersAloneIsAWarningToo(t *testing.T) {
	t.Parallel()
	needsMPI(t)
	if !mpitest.VersionOf(library).RunsTwoPrograms() {
		t.Skip("this mpiexec crashes with two programs in one job")
	}
	program := binaries.Build(t, probe)
	r, err := mpitest.Run(t.Context(), mpitest.Job{
		// The master, then two ranks on the first core.
		Options: []string{"-n", "1", program, "bound", ":"}, Ranks: 2, Program: "taskset", Args: []string{"-c", "0", program, "bound"},
		Launcher: library, Limit: limit,
	})
	o := outcome{output: mpitest.Untagged(r.Output), code: r.Code}
	if err != nil || o.code != 0 {
		t.Fatalf("%v, status %d:\n%s", err, o.code, o.output)
	}
	o.contains(t, "worker with GOMAXPROCS 1", "warning: rank ", "bound this process to 1 of ", "-bind-to none")
	if n := strings.Count(o.output, "warning:"); n != 1 {
		t.Errorf("%d warnings, want 1:\n%s", n, o.output)
	}
}
