package main

import "os"

// ucxTransports is what UCX, which MPICH uses, reads when it is loaded, so before the program can set it. Its transport cma ends
// its own process when it cannot read the memory of another one: a rank that is killed while its result is fetched took the
// master along in 12 of 12 jobs.
const ucxTransports = "UCX_TLS"

// runCommand is `rankpool run`.
type runCommand struct {
	startOptions

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
func (c *runCommand) Run(s surroundings) error {
	ctx, stop := untilSignal()
	defer stop()
	t, err := c.find(ctx, s)
	if err != nil {
		return err
	}
	p, err := c.provide(ctx, s, t, true)
	if err != nil {
		return err
	}
	stop()
	if c.Stay {
		if _, set := os.LookupEnv(ucxTransports); !set {
			if err := os.Setenv(ucxTransports, "^cma"); err != nil {
				return err
			}
		}
		return p.supervise(nil)
	}
	return p.become()
}
