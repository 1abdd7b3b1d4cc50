package futures_test

import (
	"context"
	"testing"

	"github.com/rankpool/rankpool/futures"
)

func TestATaskThatAsksWhichWorkerRunsItAllocatesNothing(t *testing.T) {
	ex, err := futures.NewThreadPoolExecutor(futures.WithMaxWorkers(1))
	if err != nil {
		t.Fatal(err)
	}
	defer ex.Close()
	f, err := futures.Submit(ex, futures.Local(func(ctx context.Context, _ int) (float64, error) {
		return testing.AllocsPerRun(100, func() {
			if w, err := futures.Worker(ctx); err != nil || w.Count != 1 {
				panic(err)
			}
		}), nil
	}), 0)
	if err != nil {
		t.Fatal(err)
	}
	if n, err := f.Result(t.Context()); n != 0 || err != nil {
		t.Errorf("%v allocations, %v", n, err)
	}
}
