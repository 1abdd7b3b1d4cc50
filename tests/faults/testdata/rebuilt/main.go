// Command rebuilt squares numbers, keeps the results in a journal, and prints their sum and how many came from the journal. Tags make other programs of it.
package main

import (
	"context"
	"fmt"
	"os"

	"github.com/rankpool/rankpool/futures"
	"github.com/rankpool/rankpool/journal"
)

var square = futures.Register("square", compute, futures.WithVersion(version))

func main() { futures.Main(run) }

func run(ctx context.Context) error {
	j, err := journal.Open(os.Args[1])
	if err != nil {
		return err
	}
	defer j.Close()
	points := make([]point, 10)
	for i := range points {
		points[i].X = i
	}
	return futures.With(ctx, func(ex futures.Executor) error {
		var sum number
		for v, err := range futures.Map(ctx, ex, square, points, futures.WithJournal(j)) {
			if err != nil {
				return err
			}
			sum += v
		}
		fmt.Println("sum", sum, "recalled", ex.Stats().Recalled)
		return nil
	})
}
