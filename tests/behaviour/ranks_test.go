//go:build mpi && cgo

package behaviour_test

import (
	"os"

	"github.com/rankpool/rankpool/futures"
	"github.com/rankpool/rankpool/internal/mpi"
	"github.com/rankpool/rankpool/internal/mpi/mpitest"
)

// Under an mpiexec the workers are ranks, and the other backends are left to the runs without; see package modes.
func init() {
	if mpitest.InRank() {
		backends = []backend{ranks()}
	}
}

func ranks() backend {
	b := backend{
		name: "ranks", env: "auto", apart: true, reports: "mpi",
		make: func(o ...futures.Option) (futures.Executor, error) { return futures.NewMPIPoolExecutor(o...) },
		without: map[string]string{
			"TestSlicesThatAreFilledAgainBetweenTwoRunsFailTheSecond": "a rank that ends takes the job along",
		},
	}
	if size := mpi.FindLauncher(os.LookupEnv).Size; size > 1 {
		b.workers = size - 1
		for name, why := range map[string]string{
			"TestAPoolThatIsStartedAndAbandonedEndsByItself_C014":             "ranks outlive an executor",
			"TestTheMasterDecidesHowLargeSlicesTravel_C094":                   "only the first executor sets the environment (E15)",
			"TestWhatOptionsWereGivenIsCopiedAtConstruction_C003":             "only the first executor sets the environment (E15)",
			"TestWorkersStartInTheOrderOfTheOriginal_C098_C102_C103_C104":     "only the first executor sets directory and environment (E15)",
			"TestAfterAWaitingShutdownNoWorkerIsLeft_C077":                    "ranks outlive an executor",
			"TestAbandoningAPoolWhoseInitializerFailsReleasesEverything_C083": "ranks outlive an executor",
			"TestTheNumberOfWorkersIsReadWhenThePoolStarts_C006_C087":         "the world decides how many workers there are (E09)",
			"TestNumWorkersStartsThePoolAndKnowsItsEnd_C008_C009_C010":        "the world decides how many workers there are (E09)",
			"TestNumWorkersIsTheSizeAskedForAndNoMoreTasksRunAtOnce_C088":     "the world decides how many workers there are (E09)",
			"TestWorkersRunTheExecutableAndArgumentsGiven_C095_C096":          "the launcher decides what the ranks run",
		} {
			b.without[name] = why
		}
		return b
	}
	b.without["TestAfterAWaitingShutdownNoWorkerIsLeft_C077"] = "processes that were spawned end a little after they disconnect"
	return b
}
