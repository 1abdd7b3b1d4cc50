package main

import (
	"github.com/rankpool/rankpool/internal/command"
	"github.com/rankpool/rankpool/internal/launch"
)

// runCommand is `rankpool run`.
type runCommand struct {
	startFlags

	Stay bool `help:"Stay beside the program instead of becoming it. Under MPICH's mpiexec -disable-auto-cleanup a rank that is killed then leaves the others of its host alive."`
}

// Help is what --help says beyond the options.
func (runCommand) Help() string {
	return `Under an mpiexec or srun one rank builds the program, all run it, rank 0 is the master and the others serve it. Without a launcher its workers are processes of this machine, and no MPI is needed. Everything behind TARGET belongs to the program.

Examples:

    rankpool run primes.go -n 10
    rankpool run ./cmd/sweep
    mpiexec -n 17 rankpool run primes.go -n 10
    srun rankpool run -m example.org/sweep@v1.2.0
    generate | rankpool run - input.csv
    rankpool run -c 'var sq = futures.Register("sq", func(x int) (int, error) { return x * x, nil })
        for y, err := range futures.Map(ctx, ex, sq, []int{1, 2, 3}) { fmt.Println(y, err) }'

The statements of -c are the body of the function that futures.Main is given: ctx is its context, ex an MPIPoolExecutor, and they may return an error. Declarations among them (import, type, const, var, named functions) are the package's, so a function is registered with var. The common packages of the standard library and those of rankpool are imported by themselves.

Status: the program's. 1 when there is no program to run or it cannot be built; the reason is printed once.`
}

// Run starts the program; it returns only when that failed.
func (c *runCommand) Run(s command.Surroundings) error {
	return launch.Options(c.startFlags).Run(s, c.Stay)
}
