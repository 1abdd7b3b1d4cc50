// Command cpi computes π as the area under 4/(1+x²) from 0 to 1: SubmitEach calls a function once on every worker, and the
// calls add their parts up in the communicator of the workers.
package main

import (
	"context"
	"flag"
	"fmt"
	"math"
	"strconv"

	"github.com/rankpool/rankpool/comm"
	"github.com/rankpool/rankpool/futures"
)

// area adds the rectangles of this worker, every so many-th, to those of the others.
var area = futures.RegisterContext("area", func(ctx context.Context, intervals int) (float64, error) {
	c, err := futures.CommWorkers(ctx)
	if err != nil {
		return 0, err
	}
	h, sum := 1/float64(intervals), 0.0
	for i := c.Rank() + 1; i <= intervals; i += c.Size() {
		x := h * (float64(i) - 0.5)
		sum += 4 / (1 + x*x)
	}
	return comm.Allreduce(ctx, c, sum*h, comm.Sum[float64])
})

var workers = flag.Int("workers", 0, "number of workers; 0 leaves it to RANKPOOL_MAX_WORKERS or the machine")

func main() {
	flag.Usage = func() {
		fmt.Fprint(flag.CommandLine.Output(), `usage: cpi [-workers n] [intervals]

Computes π as the sum of 256 rectangles, or of as many as intervals says; every worker adds its part.
RANKPOOL_BACKEND (auto, mpi, processes, threads) and RANKPOOL_MAX_WORKERS choose the workers.

`)
		flag.PrintDefaults()
	}
	flag.Parse()
	futures.Main(run)
}

func run(ctx context.Context) error {
	intervals := 256
	switch {
	case flag.NArg() > 1:
		return fmt.Errorf("cpi: %q is not wanted; see cpi -help", flag.Arg(1))
	case flag.NArg() == 1:
		var err error
		if intervals, err = strconv.Atoi(flag.Arg(0)); err != nil || intervals < 1 {
			return fmt.Errorf("cpi: %q intervals: it must be a whole number, at least 1; see cpi -help", flag.Arg(0))
		}
	}
	var opts []futures.Option
	if *workers != 0 {
		opts = append(opts, futures.WithMaxWorkers(*workers))
	}
	return futures.With(ctx, func(ex *futures.MPIPoolExecutor) error {
		f, err := futures.SubmitEach(ex, area, intervals)
		if err != nil {
			return err
		}
		all, err := f.Result(ctx)
		if err != nil {
			return err
		}
		for rank, pi := range all {
			if pi != all[0] {
				return fmt.Errorf("cpi: worker %d has %v, worker 0 has %v", rank, pi, all[0])
			}
		}
		fmt.Printf("pi: %.16f, error: %.3e (%d intervals, %d workers)\n", all[0], math.Abs(all[0]-math.Pi), intervals, len(all))
		return nil
	}, opts...)
}
