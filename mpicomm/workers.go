//go:build !mpi || cgo

package mpicomm

import (
	"context"
	"fmt"

	empi "github.com/emer/empi/mpi"

	"github.com/rankpool/rankpool/comm"
	"github.com/rankpool/rankpool/internal/mpi"
)

// Workers returns a communicator of [github.com/emer/empi/mpi] over all workers, or in a gang (futures.OnWorkers) over its members alone, for
// the task whose context ctx is or derives from. Each worker has the rank that it has in [futures.CommWorkers]. It needs
// MPI_THREAD_MULTIPLE. The tasks on all these workers call it, and the first call waits for all of them. If they are all workers, ctx ends
// the wait for the master's consent, but not that for the others; in a smaller gang it ends the wait for members that have not called
// Workers, and so does the end of one of their tasks: the error matches [futures.ErrBroken]. The communicator may be used until the task
// returns, and must not be freed.
//
// When one of its workers is lost while tasks on others hold this communicator, all calls on it fail, including those that wait, if the library has
// failure mitigation: Open MPI since version 5, but not under srun. With other libraries the whole job ends, with a message. With every
// library the job ends when a worker is lost while tasks on others wait for the communicator, in a smaller gang after all members have called
// Workers. The operations of package comm return an
// error instead, with every library. MPI does not notice that a task has returned or failed while others wait for it: as in any MPI
// program, tasks must avoid that. A [futures.WithTaskTimeout] ends such a job too.
//
// Outside of a task that has other workers the error is [futures.ErrNoWorkersComm]. If the workers are not ranks of an MPI job it matches
// [comm.ErrNoHandle].
//
// [futures.ErrBroken]: https://pkg.go.dev/github.com/rankpool/rankpool/futures#ErrBroken
// [futures.CommWorkers]: https://pkg.go.dev/github.com/rankpool/rankpool/futures#CommWorkers
// [futures.WithTaskTimeout]: https://pkg.go.dev/github.com/rankpool/rankpool/futures#WithTaskTimeout
// [futures.ErrNoWorkersComm]: https://pkg.go.dev/github.com/rankpool/rankpool/futures#ErrNoWorkersComm
func Workers(ctx context.Context) (*empi.Comm, error) {
	c, err := comm.Workers(ctx)
	if err != nil {
		return nil, err
	}
	return Of(ctx, c)
}

// Of returns a communicator of [github.com/emer/empi/mpi] with the ranks of c, for c of [comm.Workers], [comm.Comm.Split] or
// [comm.Comm.Dup]. All these ranks call it, and the first call waits for all of them; further calls return the same. It is the communicator
// of [comm.Comm.Handle], which says what ends the wait, what a loss does, and which errors there are. It may be used until the task returns,
// and must not be freed.
func Of(ctx context.Context, c *comm.Comm) (*empi.Comm, error) {
	own, err := mpi.OfComm(ctx, c)
	if err != nil {
		return nil, fmt.Errorf("mpicomm: %w", err)
	}
	return mpi.Empi[empi.Comm](own)
}
