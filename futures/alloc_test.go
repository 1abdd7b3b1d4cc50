package futures_test

import (
	"testing"

	"github.com/rankpool/rankpool/futures"
)

var allocInc = futures.Register("allocInc", func(x int) (int, error) { return x + 1, nil })

func TestAMappedElementCostsNoAllocationOfItsOwn(t *testing.T) {
	ex, err := futures.NewProcessPoolExecutor(futures.WithMaxWorkers(1))
	if err != nil {
		t.Fatal(err)
	}
	defer ex.Close()
	xs := make([]int, 100_000)
	run := func() {
		for y, err := range futures.Map(t.Context(), ex, allocInc, xs, futures.WithChunkSize(100)) {
			if y != 1 || err != nil {
				t.Fatal(y, err)
			}
		}
	}
	run()
	if n := testing.AllocsPerRun(2, run); n > float64(len(xs))/10 {
		t.Errorf("%.0f allocations for %d elements", n, len(xs))
	}
}

func TestASubmittedCallIsOneAllocation(t *testing.T) {
	ex, err := futures.NewProcessPoolExecutor(futures.WithMaxWorkers(1))
	if err != nil {
		t.Fatal(err)
	}
	defer ex.Close()
	fs := make([]*futures.Future[int], 20_000)
	run := func() {
		for i := range fs {
			if fs[i], err = futures.Submit(ex, allocInc, i); err != nil {
				t.Fatal(err)
			}
		}
		for i, f := range fs {
			if y, err := f.Result(t.Context()); y != i+1 || err != nil {
				t.Fatal(y, err)
			}
		}
	}
	run()
	if n := testing.AllocsPerRun(3, run); n > 1.5*float64(len(fs)) { // some are for what several calls share
		t.Errorf("%.0f allocations for %d calls", n, len(fs))
	}
}
