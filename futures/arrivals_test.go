package futures_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"

	"github.com/rankpool/rankpool/futures"
)

func TestArrivalsCountEveryElementBeforeItIsRead(t *testing.T) {
	ex, err := futures.NewThreadPoolExecutor(futures.WithMaxWorkers(2))
	if err != nil {
		t.Fatal(err)
	}
	defer ex.Close()
	odd := errors.New("thirteen")
	fn := futures.Local(func(_ context.Context, x int) (int, error) {
		if x == 13 {
			return 0, odd
		}
		return x, nil
	})
	xs := make([]int, 100)
	for i := range xs {
		xs[i] = i
	}
	for _, c := range []struct{ upTo, chunk int }{{13, 1}, {13, 5}, {100, 1}, {100, 7}} {
		var came, other atomic.Int64
		read := int64(0)
		in := xs[:c.upTo]
		if c.upTo == 100 {
			in = append(in[:13:13], in[14:]...)
		}
		for _, err := range futures.Map(t.Context(), ex, fn, in, futures.WithChunkSize(c.chunk), futures.WithArrivals(nil),
			futures.WithArrivals(func(n int) { came.Add(int64(n)) }), futures.WithArrivals(func(n int) { other.Add(int64(n)) })) {
			if err != nil {
				t.Fatal(err)
			}
			if read++; came.Load() < read {
				t.Fatalf("element %d was read when %d had arrived", read, came.Load())
			}
		}
		if want := int64(len(in)); came.Load() != want || other.Load() != want {
			t.Errorf("%d elements in chunks of %d: %d and %d arrived", want, c.chunk, came.Load(), other.Load())
		}
	}
	var came atomic.Int64
	for _, err = range futures.Map(t.Context(), ex, fn, xs[10:20], futures.WithChunkSize(10),
		futures.WithArrivals(func(n int) { came.Add(int64(n)) })) {
	}
	if !errors.Is(err, odd) || came.Load() != 3 {
		t.Errorf("%d elements arrived before %v, want 3", came.Load(), err)
	}
}
