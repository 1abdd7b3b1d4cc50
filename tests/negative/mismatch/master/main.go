// Command master starts, as its workers, the program that its argument names: one that was built from other source.
package main

import (
	"context"
	"os"

	"github.com/rankpool/rankpool/futures"
)

var (
	_   = futures.Register("onlyMaster", func(x int) (int, error) { return x, nil })
	inc = futures.Register("inc", func(x int) (int, error) { return x + 1, nil })
)

func main() {
	futures.Main(func(ctx context.Context) error {
		ex, err := futures.NewProcessPoolExecutor(futures.WithMaxWorkers(2), futures.WithExecutable(os.Args[1]))
		if err != nil {
			return err
		}
		defer ex.Close()
		f, err := futures.Submit(ex, inc, 1)
		if err != nil {
			return err
		}
		_, err = f.Result(ctx)
		return err
	})
}
