package futures

import (
	"context"

	"github.com/rankpool/rankpool/comm"
)

// CommWorkers returns the communicator of all workers, for the task whose context ctx is. The tasks on the other workers call it as well.
// In a gang of [OnWorkers] it is the communicator of the members, with ranks from 0. Package [comm] has its operations, and [SubmitEach]
// starts a task on every worker. CommWorkers does not block. [comm.Workers] is the same for code that does not use this package.
//
// Everywhere else the error is [ErrNoWorkersComm]: in the master, in a task of a [ThreadPoolExecutor], and after the task has returned. A
// goroutine that the task starts may use the task's context.
//
// A function that has asked for the communicator is never sent to a worker together with other tasks. So a call that waits for another task
// delays none that was sent with it.
func CommWorkers(ctx context.Context) (*comm.Comm, error) {
	return comm.Workers(ctx)
}
