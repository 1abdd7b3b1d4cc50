package futures

import (
	"context"

	"github.com/rankpool/rankpool/comm"
)

// CommWorkers returns the communicator of all workers, for the task whose context this is: its tasks on the other
// workers call it as well. In a gang of [OnWorkers] it is that of the members, with ranks from 0. See package [comm] for what it can do, and [SubmitEach] for starting a task on every worker. It
// does not block. [comm.Workers] is the same for code that does not use this package.
//
// Everywhere else, in the master, in the task of a [ThreadPoolExecutor], after the task has returned, the error is
// [ErrNoWorkersComm]. A goroutine that the task starts may use the task's context.
//
// A function that has asked for the communicator is never sent to a worker together with other tasks, so one that waits
// for another task keeps none of them waiting.
func CommWorkers(ctx context.Context) (*comm.Comm, error) {
	return comm.Workers(ctx)
}
