//go:build unix && (!mpi || cgo)

package modes_test

import (
	"fmt"
	"path/filepath"
	"testing"

	"github.com/rankpool/rankpool/internal/testkit"
)

const goodbye = "github.com/rankpool/rankpool/tests/modes/testdata/goodbye"

// goodbyes are the forms in which a program of ranks ends.
var goodbyes = []string{"Main", "spmd.Main", "TestMain"}

// toEnd is how long Open MPI's mpiexec waits before it kills the ranks that have not ended when one has ended with a status other than 0.
const toEnd = "OMPI_MCA_odls_base_sigkill_timeout=4"

// builtWith are programs that go build makes with one more flag.
func builtWith(t *testing.T, flag string) *testkit.Programs {
	return &testkit.Programs{Dir: t.TempDir(), Tags: "mpi", Flags: []string{flag}}
}

// MPICH takes leave of its launcher in such a handler.
func TestTheExitHandlersOfLibcRunInEveryRank(t *testing.T) {
	t.Parallel()
	onRanks(t, func(t *testing.T, m mode) {
		for _, form := range goodbyes {
			if form == "spmd.Main" {
				if m.ranks == 1 {
					continue // it has no other ranks
				}
				m.binaries = &testkit.Programs{Dir: t.TempDir(), Tags: "mpi,everyrank"}
			} else {
				m.binaries = nil
			}
			for _, status := range []int{0, 3} {
				if form != "Main" && status != 0 {
					continue
				}
				o := m.run(t, goodbye, []string{form, "says", "nothing", fmt.Sprint(status)}, toEnd)
				if o.matches(t, 3, "handler ran"); o.code != status {
					t.Errorf("%s: status %d, want %d:\n%s", form, o.code, status, o.output)
				}
			}
		}
	})
}

func TestAnExitHandlerThatHangsDoesNotKeepARank(t *testing.T) {
	t.Parallel()
	onRanks(t, func(t *testing.T, m mode) {
		o := m.run(t, goodbye, []string{"Main", "hangs", "nothing", "3"}, toEnd)
		if o.matches(t, 3, "handler ran"); o.code != 3 {
			t.Errorf("status %d, want 3:\n%s", o.code, o.output)
		}
	})
}

func TestTheCoverageOfRanksIsWritten(t *testing.T) {
	t.Parallel()
	programs := builtWith(t, "-cover")
	onRanks(t, func(t *testing.T, m mode) {
		m.binaries = programs
		dir := t.TempDir()
		o := m.run(t, goodbye, []string{"Main", "says", "nothing", "0"}, "GOCOVERDIR="+dir)
		files, err := filepath.Glob(filepath.Join(dir, "covcounters.*"))
		if o.matches(t, 3, "handler ran"); err != nil || o.code != 0 || len(files) != 3 {
			t.Errorf("%v, status %d, %d of 3 files:\n%s", err, o.code, len(files), o.output)
		}
	})
}

func TestADataRaceInARankIsTheStatusOfTheRaceDetector(t *testing.T) {
	t.Parallel()
	programs := builtWith(t, "-race")
	onRanks(t, func(t *testing.T, m mode) {
		m.binaries = programs
		o := m.run(t, goodbye, []string{"Main", "says", "race", "0"})
		if o.contains(t, "WARNING: DATA RACE", "Found 1 data race(s)"); o.code != 66 {
			t.Errorf("status %d, want 66:\n%s", o.code, o.output)
		}
		o = m.run(t, goodbye, []string{"Main", "says", "nothing", "0"})
		if o.matches(t, 3, "handler ran"); o.code != 0 {
			t.Errorf("without one: status %d:\n%s", o.code, o.output)
		}
	})
}

// Of such jobs a third to a half ended with status 9 under MPICH 4.2, where ranks end without a word to the launcher.
func TestAJobWhoseWorkIsDoneEndsWithStatusZeroEveryTime(t *testing.T) {
	t.Parallel()
	needsMPI(t)
	for _, ranks := range []int{3, 4} {
		m := world
		m.ranks = ranks
		for range 10 {
			m.succeed(t, examples+"hello", nil)
		}
	}
}
