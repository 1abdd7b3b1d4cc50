//go:build mpi && cgo

package futures

import (
	"context"
	"errors"
	"sync"

	"github.com/rankpool/rankpool/internal/dispatch"
	"github.com/rankpool/rankpool/internal/job"
	"github.com/rankpool/rankpool/internal/link"
	"github.com/rankpool/rankpool/internal/link/mpilink"
	"github.com/rankpool/rankpool/internal/mpi"
)

// commRanks is a communicator whose ranks serve one of them.
type commRanks struct {
	comm       *mpi.Comm // nil: this process alone
	key        *mpi.EmpiComm
	rank, size int
}

// commOf looks at a communicator; nil is the world, of this process alone where there is no mpiexec.
func commOf(c *mpi.EmpiComm) (*commRanks, error) {
	if c == nil && !launched() && !mpi.Started() {
		return &commRanks{size: 1}, nil
	}
	if _, err := startMPI(); err != nil {
		return nil, err
	}
	comm, err := mpi.World()
	if c != nil {
		comm, err = mpi.FromEmpi(c)
	}
	if err != nil {
		return nil, err
	}
	if comm.IsInter() {
		return nil, errors.New("an intercommunicator has no root that the others could serve; merge it first")
	}
	return &commRanks{comm, c, comm.Rank(), comm.Size()}, nil
}

// entered are the communicators whose ranks serve this process.
var entered struct {
	sync.Mutex
	by map[*mpi.EmpiComm]bool
}

// enter refuses a communicator whose other ranks serve this one already, and would never answer (D08).
func (c *commRanks) enter() (leave func(), err error) {
	entered.Lock()
	defer entered.Unlock()
	if entered.by[c.key] {
		return nil, errors.New("the ranks of this communicator serve already: use the executor that is there, or wait for its end")
	}
	if entered.by == nil {
		entered.by = map[*mpi.EmpiComm]bool{}
	}
	entered.by[c.key] = true
	return func() {
		entered.Lock()
		delete(entered.by, c.key)
		entered.Unlock()
	}, nil
}

// letGo meets the other ranks and sends them on, for a root that has no executor for them.
func (c *commRanks) letGo(ctx context.Context) error {
	if c.size == 1 {
		return nil
	}
	return mpilink.NewGathered(mpilink.Config{}, mpilink.Options{}, c.comm).Close(ctx)
}

// serve runs workers for root until it lets this rank go.
func (c *commRanks) serve(ctx context.Context, root int) error {
	world, err := mpi.World()
	if err != nil {
		return err
	}
	options, err := linkOptions()
	if err != nil {
		return err
	}
	serving.Store(true)
	defer serving.Store(false)
	defer job.BorrowStdin()()
	svc := processService()
	svc.Hello.Rank = world.Rank()
	svc.Turn = new(sync.Mutex)
	return mpilink.ServeGathered(ctx, c.comm, root, options, func(ep link.Endpoint) error { return dispatch.Serve(ep, svc) })
}
