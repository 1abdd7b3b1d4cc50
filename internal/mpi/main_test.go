package mpi_test

import (
	"context"
	"fmt"
	"os"
	"testing"

	"github.com/rankpool/rankpool/internal/mpi"
	"github.com/rankpool/rankpool/internal/mpi/mpitest"
	"github.com/rankpool/rankpool/internal/testkit"
)

// environment is what Init found in a rank.
var environment *mpi.Environment

// wantLevel lets a launch ask for less than MPI_THREAD_MULTIPLE.
const wantLevel = "RANKPOOL_TEST_LEVEL"

// noStart keeps a rank from initialising, for tests about Init itself.
const noStart = "RANKPOOL_TEST_NOSTART"

func TestMain(m *testing.M) {
	if !mpitest.InRank() || os.Getenv(noStart) != "" {
		if !mpi.Built {
			fmt.Println("lanes left out: Open MPI, MPICH (this binary is built without -tags mpi)")
		}
		mpi.Exit(testkit.Run(m)) // a test may have initialised MPI and finalized it
	}
	options := mpi.Options{}
	if os.Getenv(wantLevel) == "serialized" {
		options.Level = mpi.Serialized
	}
	env, err := mpi.Init(options)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	environment = env
	if code := m.Run(); code != 0 {
		_ = mpi.Abort(code)
		os.Exit(code)
	}
	ctx, cancel := context.WithTimeout(context.Background(), testkit.Limit)
	defer cancel()
	if err := mpi.Finalize(ctx); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	if err := testkit.Leaks(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	mpi.Exit(0)
}
