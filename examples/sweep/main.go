// Command sweep computes a function for each point of a grid of parameters, on as many workers as there are. Results go into a file as they come, failures are listed at
// the end, and what was computed survives: kill it, start it again with the same arguments, and it goes on where it was.
//
//	sweep --out sweep.csv --journal sweep.journal
package main

import (
	"context"
	"encoding/csv"
	"errors"
	"flag"
	"fmt"
	"math"
	"os"
	"strconv"
	"time"

	"github.com/rankpool/rankpool/futures"
	"github.com/rankpool/rankpool/journal"
)

// Point is one set of parameters. Only what it has in it decides about the result.
type Point struct {
	Mass, Speed float64
	Work        time.Duration // how long the example pretends to compute
}

// Give the function another version when its results change: then everything runs again.
var energy = futures.Register("energy", func(p Point) (float64, error) {
	time.Sleep(p.Work)
	if p.Speed >= 1 {
		return 0, fmt.Errorf("mass %g: a speed of %g is not below that of light", p.Mass, p.Speed)
	}
	return p.Mass / math.Sqrt(1-p.Speed*p.Speed), nil
}, futures.WithVersion("1"))

var (
	out    = flag.String("out", "sweep.csv", "the table of results")
	saved  = flag.String("journal", "sweep.journal", "where results survive")
	masses = flag.Int("masses", 20, "how many masses")
	speeds = flag.Int("speeds", 26, "how many speeds, from 0 on in steps of 0.04")
	work   = flag.Duration("work", 10*time.Millisecond, "how long a point takes")
)

func main() {
	flag.Parse()
	futures.Main(run)
}

func run(ctx context.Context) error {
	var points []Point
	for m := range *masses {
		for v := range *speeds {
			points = append(points, Point{float64(m + 1), float64(v) / 25, *work})
		}
	}
	j, err := journal.Open(*saved)
	if err != nil {
		return err
	}
	defer j.Close()
	file, err := os.Create(*out)
	if err != nil {
		return err
	}
	table := csv.NewWriter(file)
	var failed []error
	err = futures.With(ctx, func(ex futures.Executor) error {
		results := futures.Map(ctx, ex, energy, points, futures.WithJournal(j), futures.WithProgress(os.Stderr, "sweep"))
		i := 0
		for e, err := range results {
			var element *futures.ElementError
			switch {
			case errors.As(err, &element):
				failed = append(failed, err)
			case err != nil:
				return err // the sweep cannot go on: this is no failure of a point
			default:
				if err := table.Write([]string{number(points[i].Mass), number(points[i].Speed), number(e)}); err != nil {
					return err
				}
				table.Flush() // a job that is killed leaves its rows
			}
			i++
		}
		fmt.Printf("%d points, %d of them from the journal, %d failed\n", i, ex.Stats().Recalled, len(failed))
		return nil
	})
	err = errors.Join(err, table.Error(), file.Close(), j.Close())
	for _, f := range failed {
		fmt.Println(f)
	}
	return err
}

func number(x float64) string { return strconv.FormatFloat(x, 'g', -1, 64) }
