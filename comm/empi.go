//go:build !mpi || cgo

package comm

import (
	"context"
	"errors"
	"fmt"

	"github.com/rankpool/rankpool/internal/dispatch"
	"github.com/rankpool/rankpool/internal/mpi"
)

// Empi returns a communicator of github.com/emer/empi/mpi over the same workers, each with the same rank, for code that calls
// MPI itself. It takes workers that are ranks of an MPI job, and MPI_THREAD_MULTIPLE. All workers' tasks call it, and the
// first time it waits for them. It may be used until the task returns, and must not be freed.
//
// MPI knows nothing of lost workers. So a worker that is lost while tasks on others hold this communicator ends the whole
// job, with a message; Recv and the operations of this package are the ones that get an error instead. Nor does MPI notice
// that a task has returned or failed while others wait for it: as in any MPI program, that is for the tasks to avoid. A
// futures.WithTaskTimeout ends such a job too.
func (c *Comm) Empi(ctx context.Context) (*mpi.EmpiComm, error) {
	if c.none() {
		return nil, fmt.Errorf("comm: Empi: %w", errNone)
	}
	native, err := c.peers.Native(ctx)
	if errors.Is(err, dispatch.ErrNotNative) {
		return nil, errors.New("comm: Empi: the workers are not ranks of an MPI job: start the program with mpiexec, or use the " +
			"operations of this package, which work with any workers")
	}
	if err != nil {
		return nil, fmt.Errorf("comm: Empi: %w", err)
	}
	own, ok := native.(*mpi.Comm)
	if !ok {
		return nil, fmt.Errorf("comm: Empi: the workers talk by %T, not by MPI", native)
	}
	return own.Empi()
}
