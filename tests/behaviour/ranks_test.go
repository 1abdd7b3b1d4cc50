//go:build mpi && linux && (amd64 || arm64)

package behaviour_test

import (
	"os"
	"strconv"

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

// slotsVariable says how many slots each rank has at most.
const slotsVariable = "BEHAVIOUR_SLOTS"

func ranks() backend {
	b := backend{
		name: "ranks", env: "auto", apart: true, reports: "mpi",
		make: func(o ...futures.Option) (futures.Executor, error) { return futures.NewMPIPoolExecutor(o...) },
		without: map[string]string{
			"TestSlicesThatAreFilledAgainBetweenTwoRunsFailTheSecond": "a rank that ends takes the job along",
			"TestAfterAMapHasEndedNothingThatWasSentAheadBegins":      "a rank learns of the end from a message",
		},
	}
	b.slots, _ = strconv.Atoi(os.Getenv(slotsVariable))
	if size := mpi.FindLauncher(os.LookupEnv).Size; size > 1 {
		b.workers = (size - 1) * max(b.slots, 1)
		for name, why := range map[string]string{
			"TestAPoolThatIsStartedAndAbandonedEndsByItself":             "ranks outlive an executor",
			"TestTheMasterDecidesHowLargeSlicesTravel":                   "only the first executor sets the environment",
			"TestWhatOptionsWereGivenIsCopiedAtConstruction":             "only the first executor sets the environment",
			"TestWorkersStartInTheOrderOfTheOriginal":                    "only the first executor sets directory and environment",
			"TestAfterAWaitingShutdownNoWorkerIsLeft":                    "ranks outlive an executor",
			"TestAbandoningAPoolWhoseInitializerFailsReleasesEverything": "ranks outlive an executor",
			"TestTheNumberOfWorkersIsReadWhenThePoolStarts":              "the world decides how many workers there are",
			"TestNumWorkersStartsThePoolAndKnowsItsEnd":                  "the world decides how many workers there are",
			"TestNumWorkersIsTheSizeAskedForAndNoMoreTasksRunAtOnce":     "the world decides how many workers there are",
			"TestWorkersRunTheExecutableAndArgumentsGiven":               "the launcher decides what the ranks run",
		} {
			b.without[name] = why
		}
		return b
	}
	b.without["TestAfterAWaitingShutdownNoWorkerIsLeft"] = "processes that were spawned end a little after they disconnect"
	return b
}
