package futures_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/rankpool/rankpool/comm"
	"github.com/rankpool/rankpool/futures"
)

// reductions times a number of reductions of so many float64 to all ranks, from within.
var reductions = futures.RegisterContext("reductions", func(ctx context.Context, p futures.Pair[int, int]) (time.Duration, error) {
	c, err := futures.CommWorkers(ctx)
	if err != nil {
		return 0, err
	}
	v := make([]float64, p.First)
	began := time.Now()
	for range p.Second {
		if _, err := comm.Allreduce(ctx, c, v, comm.Elementwise(comm.Sum[float64])); err != nil {
			return 0, err
		}
	}
	return time.Since(began), nil
})

func BenchmarkAllreduce(b *testing.B) {
	for _, workers := range []int{2, 4} {
		for _, length := range []int{1, 1 << 17} {
			b.Run(fmt.Sprintf("workers=%d/bytes=%d", workers, 8*length), func(b *testing.B) {
				ex, err := futures.NewProcessPoolExecutor(futures.WithMaxWorkers(workers))
				if err != nil {
					b.Fatal(err)
				}
				defer ex.Close()
				f, err := futures.SubmitEach(ex, reductions, futures.Pair[int, int]{First: length, Second: b.N})
				if err != nil {
					b.Fatal(err)
				}
				d, err := f.Result(b.Context())
				if err != nil {
					b.Fatal(err)
				}
				b.ReportMetric(float64(d[0].Nanoseconds())/float64(b.N), "ns/op")
			})
		}
	}
}
