package futures

import (
	"context"
	"errors"

	"github.com/rankpool/rankpool/internal/dispatch"
)

// WorkerInfo says which worker something runs on, and where that worker is. Worker returns it.
type WorkerInfo struct {
	// Index is the worker's number in its executor, from 0, and Count is the number of workers of the executor. They are final before the
	// initializer and the first task run. A worker that takes the place of another has its Index.
	//
	// In a ThreadPoolExecutor a task that waits for another lends its slot. A task that runs meanwhile may be on a further worker, whose
	// Index is Count or more.
	Index, Count int

	// HostIndex is the worker's number among those of its executor on the same host, from 0 in the order of Index, and HostCount is how
	// many these are. Use them to choose a GPU, a core, a port or a scratch directory. Workers are on the same host if they have the same
	// Host. Local processes and goroutines all are: HostIndex is Index, and HostCount is Count.
	HostIndex, HostCount int

	// Slot is the worker's number among those of its process, from 0, and Slots is how many these are: see WithSlots. Without that option a
	// process has one. Goroutines are all in one process: Slot is Index, and Slots is Count.
	Slot, Slots int

	Host string // the name of its host, as os.Hostname returns it
	Pid  int    // its process; that of this program where workers are goroutines
	Rank int    // the rank of its process in the world of its MPI job; -1 if it has none

	// Attempt is which run of the task this is, from 1. It is above 1 if the task runs again, see WithRetries, and always 1 in an
	// initializer.
	Attempt int
}

// errNoWorker is the error of Worker outside of a worker.
var errNoWorker = errors.New("futures: Worker: the context is not that of a task or of an initializer: register the function " +
	"with RegisterContext and pass the context that it is given, or one derived from it")

// Worker returns which worker runs the task, initializer or function of a state whose context ctx is or derives from. It does not block,
// costs no message and no memory, and changes nothing about how tasks travel. With any other context, as in the master, it returns an
// error.
//
// Every task on a worker gets the same values, except for [WorkerInfo.Attempt]. An initializer runs once for all workers of a process, and
// gets the first of them. If each worker needs something for itself, such as a GPU, use [RegisterState].
//
// A local process has its numbers in its environment before any code of the program runs: RANKPOOL_WORKER_INDEX, RANKPOOL_WORKER_COUNT,
// RANKPOOL_WORKER_HOST_INDEX and RANKPOOL_WORKER_HOST_COUNT. A rank of an MPI job does not; mpiexec has variables of its own.
//
// Which worker runs an element of a [Map] is not determined. Seed a random generator by the element, and never by the worker: otherwise no
// run can be repeated.
func Worker(ctx context.Context) (WorkerInfo, error) {
	p, ok := dispatch.PlaceOf(ctx)
	if !ok {
		return WorkerInfo{}, errNoWorker
	}
	return WorkerInfo(p), nil
}
