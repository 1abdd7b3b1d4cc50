// Command executorbeforemain makes its executor where workers come by too.
package main

import (
	"context"
	"fmt"
	"os"

	"github.com/rankpool/rankpool/futures"
)

var inc = futures.Register("inc", func(x int) (int, error) { return x + 1, nil })

func main() {
	ex, err := futures.NewProcessPoolExecutor(futures.WithMaxWorkers(2))
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	futures.Main(func(ctx context.Context) error {
		f, err := futures.Submit(ex, inc, 1)
		if err != nil {
			return err
		}
		_, err = f.Result(ctx)
		return err
	})
}
