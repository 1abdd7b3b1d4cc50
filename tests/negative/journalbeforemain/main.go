// Command journalbeforemain opens its journal where workers come by too.
package main

import (
	"context"
	"fmt"
	"os"

	"github.com/rankpool/rankpool/futures"
	"github.com/rankpool/rankpool/journal"
)

var inc = futures.Register("inc", func(x int) (int, error) { return x + 1, nil })

func main() {
	j, err := journal.Open(os.Args[1])
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	futures.Main(func(ctx context.Context) error {
		ex, err := futures.NewProcessPoolExecutor(futures.WithMaxWorkers(1))
		if err != nil {
			return err
		}
		f, err := futures.Submit(ex, inc, 1, futures.WithJournal(j))
		if err != nil {
			return err
		}
		_, err = f.Result(ctx)
		return err
	})
}
