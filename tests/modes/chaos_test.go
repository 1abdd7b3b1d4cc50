//go:build unix

package modes_test

import (
	"fmt"
	"testing"

	"github.com/rankpool/rankpool/internal/mpi/mpitest"
	"github.com/rankpool/rankpool/internal/testkit"
)

const chaos = "github.com/rankpool/rankpool/tests/modes/chaos"

// aBatch is what a rank may have that is lost: two batches of a millisecond of tasks. Each of these is decoded, writes to a
// file, which takes half a microsecond, and is encoded: a microsecond at least.
const aBatch = 2000

const (
	many = 200_000 // of the lane ledgers
	some = 12_000
)

// balances runs the ledger where a lost worker is replaced.
func balances(t *testing.T, tasks int) {
	t.Helper()
	for _, workers := range []int{2, 8, 32} {
		t.Run(fmt.Sprint(workers), func(t *testing.T) {
			m := processes
			m.long = tasks == many
			o := m.succeed(t, chaos, []string{
				"-dir", t.TempDir(), "-tasks", fmt.Sprint(tasks), "-kills", fmt.Sprint(tasks / 600), "-crashes", fmt.Sprint(tasks / 2000),
			}, "RANKPOOL_MAX_WORKERS="+fmt.Sprint(workers))
			t.Log(o.output)
			o.contains(t, "the ledger balances")
		})
	}
}

// balancesOnRanks runs it on four ranks. They are not replaced, so all but one may be killed.
func balancesOnRanks(t *testing.T, tasks int) {
	t.Helper()
	onRanks(t, func(t *testing.T, m mode) {
		pkg, args := m.staying(t, chaos, []string{
			"-dir", t.TempDir(), "-tasks", fmt.Sprint(tasks), "-kills", "3", "-crashes", "0", "-replaced=false", "-cost", fmt.Sprint(aBatch),
		})
		if m.ranks > 1 {
			m.ranks = 5
		}
		m.options, m.long = []string{mpitest.Leave[library]}, tasks == many
		o := m.run(t, pkg, args, "RANKPOOL_MAX_WORKERS=4")
		t.Log(o.output)
		o.contains(t, "the ledger balances", "workers lost 3 (killed 3)")
	})
}

func TestEveryTaskIsToldOnceAndRunsOnceWhileWorkersAreKilledStoppedAndCrash(t *testing.T) {
	t.Parallel()
	balances(t, some)
}

func TestEveryTaskIsToldOnceAndRunsOnceWhileRanksAreKilledAndStopped(t *testing.T) {
	t.Parallel()
	balancesOnRanks(t, some)
}

func TestLargeLedgerBalancesWhileWorkersAreKilledStoppedAndCrash(t *testing.T) {
	notUnderRace(t)
	balances(t, many)
}

func TestLargeLedgerBalancesWhileRanksAreKilledAndStopped(t *testing.T) {
	notUnderRace(t)
	balancesOnRanks(t, many)
}

func notUnderRace(t *testing.T) {
	t.Helper()
	if testkit.Race {
		t.Skip("takes too long under the race detector, where fewer tasks are tried")
	}
}
