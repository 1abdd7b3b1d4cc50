package futures_test

import (
	"context"
	"fmt"

	"github.com/rankpool/rankpool/comm"
	"github.com/rankpool/rankpool/futures"
)

// harmonic is a task that several workers do together.
var harmonic = futures.RegisterContext("example.harmonic", func(ctx context.Context, n int) (float64, error) {
	c, err := futures.CommWorkers(ctx)
	if err != nil {
		return 0, err
	}
	part := 0.0
	for i := c.Rank(); i < n; i += c.Size() {
		part += 1 / float64(i+1)
	}
	return comm.Allreduce(ctx, c, part, comm.Sum)
})

// Four tasks run on two workers each, side by side as long as there is room.
func ExampleOnWorkers() {
	ctx := context.Background()
	try(futures.With(ctx, func(ex *futures.MPIPoolExecutor) error {
		var fs []*futures.Future[[]float64]
		for n := range 4 {
			f, err := futures.SubmitEach(ex, harmonic, 1000*(n+1), futures.OnWorkers(2))
			if err != nil {
				return err
			}
			fs = append(fs, f)
		}
		all, err := futures.Collect(fs...).Result(ctx)
		for n, ranks := range all {
			fmt.Printf("%d terms: %.4f\n", 1000*(n+1), ranks[0])
		}
		return err
	}, futures.WithMaxWorkers(4)))
	// Output:
	// 1000 terms: 7.4855
	// 2000 terms: 8.1784
	// 3000 terms: 8.5837
	// 4000 terms: 8.8714
}
