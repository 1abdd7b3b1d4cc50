package mpilink_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"testing"

	"go.uber.org/goleak"

	"github.com/rankpool/rankpool/internal/link"
	"github.com/rankpool/rankpool/internal/link/linktest"
	"github.com/rankpool/rankpool/internal/link/mpilink"
	"github.com/rankpool/rankpool/internal/mpi"
	"github.com/rankpool/rankpool/internal/mpi/mpitest"
	"github.com/rankpool/rankpool/internal/testkit"
)

// hub leads the world's other ranks, in rank 0 of a world that has any.
var hub *mpilink.Hub

func TestMain(m *testing.M) {
	if !mpitest.InRank() {
		if !mpi.Built {
			fmt.Println("lanes left out: Open MPI, MPICH (this binary is built without -tags mpi)")
		}
		testkit.Main(m)
		return
	}
	status, err := inRank(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		status = 1
	}
	if status != 0 {
		_ = mpi.Abort(status)
	}
	mpi.Exit(status)
}

// inRank runs the tests in rank 0 and has every other rank, and every spawned process, serve it.
func inRank(m *testing.M) (status int, err error) {
	if _, err := mpi.Init(mpi.Options{}); err != nil {
		return 1, err
	}
	parent, err := mpi.Parent()
	if err != nil {
		return 1, err
	}
	if parent != nil {
		err := mpilink.Serve(parent, mpilink.Options{}, work)
		ctx, cancel := ending()
		defer cancel()
		return 0, errors.Join(err, mpilink.Disconnect(ctx, parent), mpi.Finalize(ctx))
	}
	world, err := mpi.World()
	if err != nil {
		return 1, err
	}
	if world.Size() == 1 {
		status = m.Run()
		ctx, cancel := ending()
		defer cancel()
		if mpi.Lost() { // so MPI goes on
			return status, testkit.Leaks(goleak.IgnoreTopFunction("github.com/rankpool/rankpool/internal/mpi.holdThread"))
		}
		return status, errors.Join(mpilink.Settle(ctx), mpi.Finalize(ctx), testkit.Leaks())
	}
	c, err := world.Dup()
	if err != nil {
		return 1, err
	}
	if c.Rank() > 0 {
		err := mpilink.Serve(c, mpilink.Options{}, work)
		ctx, cancel := ending()
		defer cancel()
		return 0, errors.Join(err, mpi.Finalize(ctx))
	}
	if hub, err = mpilink.Lead(c, mpilink.Options{}); err != nil {
		return 1, err
	}
	status = m.Run()
	ctx, cancel := ending()
	defer cancel()
	return status, errors.Join(hub.Close(ctx), mpi.Finalize(ctx), testkit.Leaks())
}

// ending is the limit of what follows the tests, however long they have taken.
func ending() (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.Background(), testkit.Limit)
}

// work never fails: the suite's workers end as it tells them to.
func work(ep link.Endpoint) error {
	linktest.Worker(ep)
	return nil
}
