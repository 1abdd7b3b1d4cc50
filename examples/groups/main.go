// Command groups is a sweep over a parameter in which each point is itself a parallel program: Jacobi's method for the temperature of a
// rod, by several workers with a communicator of their own. As many points as there is room for run side by side.
package main

import (
	"context"
	"flag"
	"fmt"

	"github.com/rankpool/rankpool/comm"
	"github.com/rankpool/rankpool/futures"
)

const cells, tolerance = 48, 1e-4

type point struct {
	Loss   float64 // of heat, along the rod
	Middle float64 // its temperature there
	Sweeps int
}

// solve has each rank compute its part of the rod. The numbers do not depend on how many ranks there are.
var solve = futures.RegisterContext("solve", func(ctx context.Context, p point) (point, error) {
	c, err := futures.CommWorkers(ctx)
	if err != nil {
		return p, err
	}
	first, end := c.Rank()*cells/c.Size(), (c.Rank()+1)*cells/c.Size()
	old, u := make([]float64, end-first+2), make([]float64, end-first+2) // with a cell of each neighbour
	if c.Rank() == 0 {
		old[0], u[0] = 100, 100 // the hot end
	}
	for change := 1.0; change > tolerance; p.Sweeps++ {
		old, u = u, old
		for side, at := range map[int][2]int{-1: {1, 0}, 1: {end - first, end - first + 1}} {
			if r := c.Rank() + side; r >= 0 && r < c.Size() {
				if old[at[1]], err = comm.Sendrecv[float64](ctx, c, old[at[0]], r, 0, r, 0); err != nil {
					return p, err
				}
			}
		}
		change = 0
		for i := 1; i <= end-first; i++ {
			u[i] = (old[i-1] + old[i+1]) / (2 + p.Loss)
			change = max(change, u[i]-old[i], old[i]-u[i])
		}
		if change, err = comm.Allreduce(ctx, c, change, comm.Max[float64]); err != nil {
			return p, err
		}
	}
	rod, _, err := comm.Allgatherv(ctx, c, u[1:end-first+1])
	if err == nil {
		p.Middle = rod[cells/2]
	}
	return p, err
})

var (
	ranks   = flag.Int("ranks", 0, "workers for each point; 0 is three, or all if there are fewer")
	points  = flag.Int("points", 8, "points of the sweep")
	workers = flag.Int("workers", 0, "number of workers; 0 leaves it to RANKPOOL_MAX_WORKERS or the machine")
)

func main() { flag.Parse(); futures.Main(run) }

func run(ctx context.Context) error {
	var opts []futures.Option
	if *workers != 0 {
		opts = append(opts, futures.WithMaxWorkers(*workers))
	}
	return futures.With(ctx, func(ex *futures.MPIPoolExecutor) error {
		n, err := ex.NumWorkers(ctx)
		if err != nil {
			return err
		}
		k := *ranks
		if k == 0 {
			k = min(3, n)
		}
		var all []*futures.Future[[]point]
		for i := range *points {
			f, err := futures.SubmitEach(ex, solve, point{Loss: float64(i+1) / 64}, futures.OnWorkers(k))
			if err != nil {
				return err
			}
			all = append(all, f)
		}
		for _, f := range all {
			got, err := f.Result(ctx)
			if err != nil {
				return err
			}
			fmt.Printf("loss %v: %v in the middle, after %d sweeps\n", got[0].Loss, got[0].Middle, got[0].Sweeps)
		}
		return nil
	}, opts...)
}
