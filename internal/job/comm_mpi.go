//go:build mpi

package job

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/rankpool/rankpool/internal/link"
	"github.com/rankpool/rankpool/internal/link/mpilink"
	"github.com/rankpool/rankpool/internal/mpi"
)

// commRanks is a communicator whose ranks serve one of them.
type commRanks struct {
	comm       *mpi.Comm // nil: this process alone
	key        any       // as it was given
	rank, size int
}

// Rank implements Comm.
func (c *commRanks) Rank() int { return c.rank }

// Size implements Comm.
func (c *commRanks) Size() int { return c.size }

// Comm implements Job.
func (*ranks) Comm(c any) (Comm, error) {
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
	by map[any]bool
}

// Enter implements Comm.
func (c *commRanks) Enter() (leave func(), err error) {
	entered.Lock()
	defer entered.Unlock()
	if entered.by[c.key] {
		return nil, errors.New("the ranks of this communicator serve already: use the executor that is there, or wait for its end")
	}
	if entered.by == nil {
		entered.by = map[any]bool{}
	}
	entered.by[c.key] = true
	return func() {
		entered.Lock()
		delete(entered.by, c.key)
		entered.Unlock()
	}, nil
}

// LetGo implements Comm.
func (c *commRanks) LetGo(ctx context.Context) error {
	if c.size == 1 {
		return nil
	}
	return mpilink.NewGathered(mpilink.Config{}, mpilink.Options{}, c.comm).Close(ctx)
}

// Serve implements Comm.
func (c *commRanks) Serve(ctx context.Context, p Program, root int) error {
	world, err := mpi.World()
	if err != nil {
		return err
	}
	options, err := linkOptions()
	if err != nil {
		return err
	}
	defer BorrowStdin()()
	svc := p.Service()
	svc.Hello.Rank = world.Rank()
	svc.Turn = new(sync.Mutex)
	return mpilink.ServeGathered(ctx, c.comm, root, options, func(ep link.Endpoint) error { return ServeRedirected(ep, svc) })
}

// Group implements Comm.
func (c *commRanks) Group(q Request) (Group, error) {
	if _, err := startMPI(); err != nil {
		return nil, fmt.Errorf("futures: %w", err)
	}
	options, err := linkOptions()
	if err != nil {
		return nil, err
	}
	return mpilink.NewGathered(mpilink.Config{Backoff: q.Backoff, Liveness: q.Liveness}, options, c.comm), nil
}
