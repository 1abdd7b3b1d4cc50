//go:build mpi && linux && (amd64 || arm64)

package job

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/rankpool/rankpool/internal/dispatch"
	"github.com/rankpool/rankpool/internal/link/mpilink"
	"github.com/rankpool/rankpool/internal/mpi"
)

// commRanks is a communicator whose ranks serve one of them.
type commRanks struct {
	comm       *mpi.Comm
	identity   uintptr // of the communicator, whatever handle it was given by
	rank, size int
	world      bool
	ranks      []int // the world's numbers of its ranks
	unfit      error // why its ranks will not meet again; under the lock of entered
}

// Rank implements Comm.
func (c *commRanks) Rank() int { return c.rank }

// Size implements Comm.
func (c *commRanks) Size() int { return c.size }

// World implements Comm.
func (c *commRanks) World() bool { return c.world }

// Comm implements Job. Without a launcher nothing starts MPI: a program that has done so itself may still have made the communicator.
func (*ranks) Comm(c any) (Comm, error) {
	if !launched() && !mpi.Started() && (c == nil || single(c)) {
		return Alone, nil
	}
	if _, err := startMPI(); err != nil {
		return nil, err
	}
	world, err := mpi.World()
	if err != nil {
		return nil, err
	}
	comm := world
	if c != nil {
		comm, err = mpi.FromEmpi(c)
	}
	switch {
	case err != nil && single(c): // not one of MPI's
		return Alone, nil
	case err != nil:
		return nil, err
	case comm.IsInter():
		return nil, errors.New("an intercommunicator has no root that the others could serve; merge it first")
	}
	ranks, err := comm.RanksIn(world)
	if err != nil {
		return nil, err
	}
	identity, err := comm.Identity()
	if err != nil {
		return nil, err
	}
	return &commRanks{comm: comm, identity: identity, rank: comm.Rank(), size: comm.Size(), world: comm.Size() == world.Size(), ranks: ranks}, nil
}

// entered are the communicators whose ranks serve this process, and those whose ranks nobody can meet any more.
var entered struct {
	sync.Mutex
	all []*commRanks
}

// Enter implements Comm. Of two communicators one of which has all ranks, the ranks of the other serve in both.
func (c *commRanks) Enter() error {
	if c.size == 1 {
		return nil
	}
	entered.Lock()
	defer entered.Unlock()
	for _, o := range entered.all {
		switch same := o.identity == c.identity; {
		case o.unfit != nil && same:
			return fmt.Errorf("the ranks of this communicator cannot meet again: %w", o.unfit)
		case o.unfit == nil && (same || o.world || c.world):
			return errors.New("the ranks of this communicator serve already, or are still being let go: use the executor that is there, or wait for its end")
		}
	}
	entered.all = append(entered.all, c)
	return nil
}

// left takes back what Enter has noted, once the other ranks have been let go; unfit is why they will not meet again. They may have met long
// after the call that had them do so was given up: until then another one would meet with a part of them.
func (c *commRanks) left(unfit error) {
	entered.Lock()
	defer entered.Unlock()
	if c.unfit = unfit; unfit == nil {
		entered.all = slices.DeleteFunc(entered.all, func(o *commRanks) bool { return o == c })
	}
}

// gathering is how the ranks of the communicator meet.
func (c *commRanks) gathering(o mpilink.Options) mpilink.Gathering {
	t := mpilink.Gathering{Comm: c.comm, Options: o}
	here.Lock()
	end := here.farewell
	here.Unlock()
	if end == nil || slices.Contains(c.ranks, -1) { // not all are of this world
		return t
	}
	t.Absent = func(stop <-chan struct{}, ranks []int, gone func(why string, ended bool)) {
		asked := make([]int, len(ranks))
		for i, rank := range ranks {
			asked[i] = c.ranks[rank]
		}
		end.absent(stop, c.ranks, asked, gone)
	}
	return t
}

// LetGo implements Comm.
func (c *commRanks) LetGo(ctx context.Context) error {
	if c.size == 1 {
		return nil
	}
	over := make(chan error, 1)
	t := c.gathering(mpilink.Options{})
	t.Over = c.left
	go func() { over <- mpilink.NewGathered(mpilink.Config{}, t).Close(ctx) }()
	select {
	case err := <-over:
		return err
	case <-ctx.Done(): // the others are let go all the same, when they have come
		return fmt.Errorf("some ranks have not come, to be let go: %w", context.Cause(ctx))
	}
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
	svc.Turn = new(dispatch.Lease).Seat
	return mpilink.ServeGathered(ctx, c.gathering(options), root, Serving(svc))
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
	t := c.gathering(options)
	t.Limit, t.Over = q.Limit, c.left
	return mpilink.NewGathered(q.config(), t), nil
}
