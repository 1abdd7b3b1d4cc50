// Command workerhangs keeps its workers from reaching futures.Main without end.
package main

import (
	"context"
	"time"

	"github.com/rankpool/rankpool/futures"
)

var inc = futures.Register("inc", func(x int) (int, error) { return x + 1, nil })

func main() {
	for futures.InWorker() {
		time.Sleep(time.Second)
	}
	futures.Main(func(ctx context.Context) error {
		ex, err := futures.NewProcessPoolExecutor(futures.WithMaxWorkers(2), futures.WithStartTimeout(300*time.Millisecond))
		if err != nil {
			return err
		}
		defer ex.Close()
		for _, err := range futures.Map(ctx, ex, inc, []int{1, 2, 3}) {
			if err != nil {
				return err
			}
		}
		return nil
	})
}
