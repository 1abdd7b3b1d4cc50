package futures_test

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/rankpool/rankpool/futures"
)

var (
	partsAdd = futures.Register("partsAdd", func(x int) (int, error) {
		if x < 0 {
			return 0, fmt.Errorf("%d is negative", x)
		}
		return x + 1, nil
	})
	partsHalve = futures.Register("partsHalve", func(x float64) (float64, error) { return x / 2, nil })
	partsText  = futures.Register("partsText", func(x int32) (string, error) { return fmt.Sprint(x), nil })
)

// mapsTo maps over numbers from 0 on and checks the results.
func mapsTo[A, R comparable](t *testing.T, ex futures.Executor, fn futures.Func[A, R], n int, in func(int) A, out func(int) R, opts ...futures.MapOption) {
	t.Helper()
	xs := make([]A, n)
	for i := range xs {
		xs[i] = in(i)
	}
	i := 0
	for y, err := range futures.Map(t.Context(), ex, fn, xs, opts...) {
		if err != nil || y != out(i) {
			t.Fatalf("element %d of %d became %v, %v", i, n, y, err)
		}
		i++
	}
	if i != n {
		t.Fatalf("%d results of %d elements", i, n)
	}
}

// A long slice is submitted in parts. Nobody may see where they meet.
func TestALongSliceIsMappedInOrderWhereverItIsParted(t *testing.T) {
	ex, err := futures.NewProcessPoolExecutor(futures.WithMaxWorkers(2))
	if err != nil {
		t.Fatal(err)
	}
	defer ex.Close()
	same := func(i int) int { return i }
	for _, n := range []int{1, 4095, 4096, 4097, 12_288, 200_001} {
		mapsTo(t, ex, partsAdd, n, same, func(i int) int { return i + 1 })
		mapsTo(t, ex, partsAdd, n, same, func(i int) int { return i + 1 }, futures.WithChunkSize(7))
		mapsTo(t, ex, partsAdd, n, same, func(i int) int { return i + 1 }, futures.WithChunkSize(5000))
		mapsTo(t, ex, partsHalve, n, func(i int) float64 { return float64(i) }, func(i int) float64 { return float64(i) / 2 })
		mapsTo(t, ex, partsText, n, func(i int) int32 { return int32(i) }, func(i int) string { return fmt.Sprint(i) })
	}
}

func TestAFailureInALongSliceComesInItsPlace(t *testing.T) {
	ex, err := futures.NewProcessPoolExecutor(futures.WithMaxWorkers(2))
	if err != nil {
		t.Fatal(err)
	}
	defer ex.Close()
	xs := make([]int, 100_000)
	xs[70_000] = -1
	i := 0
	for y, err := range futures.Map(t.Context(), ex, partsAdd, xs) {
		if (err != nil) != (i == 70_000) || err == nil && y != 1 {
			t.Fatalf("element %d: %d, %v", i, y, err)
		}
		i++
	}
	if i != len(xs) {
		t.Errorf("%d results and errors, want %d", i, len(xs))
	}
}

func TestTheEndOfTheContextEndsALongSlice(t *testing.T) {
	ex, err := futures.NewProcessPoolExecutor(futures.WithMaxWorkers(1))
	if err != nil {
		t.Fatal(err)
	}
	defer ex.Close()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	var last error
	for _, err := range futures.Map(ctx, ex, partsAdd, make([]int, 300_000)) {
		last = err
	}
	if !errors.Is(last, context.Canceled) {
		t.Errorf("the last error is %v", last)
	}
}
