package spmd

import (
	"context"

	"github.com/rankpool/rankpool/futures"
	"github.com/rankpool/rankpool/internal/everyrank"
	_ "github.com/rankpool/rankpool/internal/everyrank/mark" // says before all else that this package is in the program
	"github.com/rankpool/rankpool/internal/registry"
)

// Main is [futures.Main] for a program that runs on every rank of an MPI job: run is called on all of them. Ranks are workers only for a
// [futures.MPICommExecutor]; other executors use processes of the rank's own machine.
//
// When run fails on one rank, by an error or a panic, the whole job ends, with the status that [futures.Main] has for it. Before that,
// running tasks of that rank's executors have [futures.WithDrainGrace] to finish. Without an mpiexec it is [futures.Main]. It never
// returns.
func Main(run func(ctx context.Context) error, opts ...futures.MainOption) {
	if run == nil {
		panic("spmd: Main: the function is nil")
	}
	everyrank.Call(registry.Caller(0))
	futures.Main(run, opts...)
}
