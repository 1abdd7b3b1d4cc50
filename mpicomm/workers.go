//go:build !mpi || cgo

package mpicomm

import (
	"context"
	"errors"
	"fmt"

	empi "github.com/emer/empi/mpi"

	"github.com/rankpool/rankpool/internal/dispatch"
	"github.com/rankpool/rankpool/internal/mpi"
)

// Workers returns a communicator of [github.com/emer/empi/mpi] over all workers, for the task whose context ctx is or descends from:
// each worker has the rank that it has in [futures.CommWorkers]. It takes MPI_THREAD_MULTIPLE. The tasks on all workers call it, and
// the first time it waits for them: ctx ends the wait for the master's consent, but not that for the others. It may be used until the
// task returns, and must not be freed.
//
// A worker that is lost while tasks on others hold this communicator has all calls on it fail, those that wait too, where the library
// has failure mitigation: Open MPI since version 5, but not under srun. Other libraries know nothing of lost workers. There it ends the
// whole job, with a message, and with any library while tasks on others wait for the communicator; Recv and the operations of package comm get an error instead with any library. MPI does not notice
// that a task has returned or failed while others wait for it: as in any MPI program, that is for the tasks to avoid. A
// [futures.WithTaskTimeout] ends such a job too.
//
// A gang of fewer workers than there are (futures.OnWorkers) has none yet, which is an error.
//
// Outside of a task that has other workers the error is [futures.ErrNoWorkersComm].
//
// [futures.CommWorkers]: https://pkg.go.dev/github.com/rankpool/rankpool/futures#CommWorkers
// [futures.WithTaskTimeout]: https://pkg.go.dev/github.com/rankpool/rankpool/futures#WithTaskTimeout
// [futures.ErrNoWorkersComm]: https://pkg.go.dev/github.com/rankpool/rankpool/futures#ErrNoWorkersComm
func Workers(ctx context.Context) (*empi.Comm, error) {
	peers, err := dispatch.Workers(ctx)
	if err != nil {
		return nil, err
	}
	native, err := peers.Native(ctx)
	if errors.Is(err, dispatch.ErrNotNative) {
		return nil, errors.New("mpicomm: the workers are not ranks of an MPI job: start the program with mpiexec, or use the " +
			"operations of package comm, which work with any workers")
	}
	if err != nil {
		return nil, fmt.Errorf("mpicomm: %w", err)
	}
	own, ok := native.(*mpi.Comm)
	if !ok {
		return nil, fmt.Errorf("mpicomm: the workers are connected by %T, not by MPI", native)
	}
	return mpi.Empi[empi.Comm](own)
}
