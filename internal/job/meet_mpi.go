//go:build mpi && linux && (amd64 || arm64)

package job

import (
	"fmt"
	"time"

	"github.com/rankpool/rankpool/internal/awake"
	"github.com/rankpool/rankpool/internal/mpi"
)

// MeetLimit is how long a rank that has just come through MPI_Init with all others waits for them in what they do together next. Tests
// change it.
var MeetLimit = followLimit

// startTogether starts MPI. limit is how long the others may be waited for in what follows: 0, without a limit, if the program has
// started MPI before, for then the ranks may come here hours apart.
func startTogether() (env *mpi.Environment, limit time.Duration, err error) {
	before := mpi.Started()
	env, err = startMPI()
	if err == nil && !before && !env.Adopted {
		limit = MeetLimit
	}
	return env, limit, err
}

// meet calls f, which all ranks of the world do together and nothing can interrupt. It returns before f does, with an error, when the limit is
// over; 0 is none. The job is to be aborted then.
func meet(world *mpi.Comm, limit time.Duration, call string, f func() error) error {
	if limit == 0 {
		return f()
	}
	done, over := make(chan error, 1), make(chan struct{})
	go func() { done <- f() }()
	timer := awake.AfterFunc(limit, func() { close(over) })
	defer timer.Stop()
	select {
	case err := <-done:
		return err
	case <-over:
	}
	mpi.MarkLost()
	time.Sleep(time.Duration(min(world.Rank(), 2)) * leaveLimit) // the first one aborts the job: two at once make Open MPI's mpiexec hang
	return fmt.Errorf("rank %d: %s has not come back within %v, although every rank had come through MPI_Init: another rank may have ended before it, or "+
		"hang; look at what was printed before, and for a host that has run out of memory", world.Rank(), call, limit)
}

// dup returns a communicator like the world.
func dup(world *mpi.Comm, limit time.Duration) (*mpi.Comm, error) {
	made := make(chan *mpi.Comm, 1)
	err := meet(world, limit, "MPI_Comm_dup", func() error {
		c, err := world.Dup()
		made <- c
		return err
	})
	if err != nil {
		return nil, err
	}
	return <-made, nil
}
