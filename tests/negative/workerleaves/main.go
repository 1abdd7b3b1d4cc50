// Command workerleaves keeps its workers from reaching futures.Main.
package main

import (
	"context"
	"os"

	"github.com/rankpool/rankpool/futures"
)

var inc = futures.Register("inc", func(x int) (int, error) { return x + 1, nil })

func main() {
	if futures.InWorker() {
		os.Exit(len(os.Args) - 1) // 0, or with an argument 1
	}
	futures.Main(func(ctx context.Context) error {
		ex, err := futures.NewProcessPoolExecutor(futures.WithMaxWorkers(2))
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
