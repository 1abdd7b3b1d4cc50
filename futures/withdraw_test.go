package futures_test

import (
	"context"
	"slices"
	"sync/atomic"
	"testing"

	"github.com/rankpool/rankpool/futures"
)

const (
	rounds = 20
	each   = 500 // elements
)

var begun [rounds]atomic.Int64

var untilEnded = futures.RegisterContext("futures_test.untilEnded", func(ctx context.Context, x int) (int, error) {
	if x%each == 0 {
		return x, nil
	}
	begun[x/each].Add(1) // of its round: one that is about to begin when its map ends may begin during the next
	<-ctx.Done()
	return x, ctx.Err()
})

// Each element of a sequence is queued by itself. When all are withdrawn, the workers whose tasks end first must not take others meanwhile.
func TestAMapThatEndsSetsNoWorkerFreeForItsOwnRest(t *testing.T) {
	const workers = 2
	ex, err := futures.NewThreadPoolExecutor(futures.WithMaxWorkers(workers))
	if err != nil {
		t.Fatal(err)
	}
	defer ex.Close()
	for i := range begun {
		begun[i].Store(0)
	}
	for round := range rounds {
		xs := make([]int, each)
		for i := range xs {
			xs[i] = round*each + i
		}
		for _, err := range futures.Map(t.Context(), ex, untilEnded, slices.Values(xs), futures.WithBufferSize(each)) {
			if err != nil {
				t.Fatal(err)
			}
			break
		}
		if n := begun[round].Load(); n > workers {
			t.Fatalf("%d tasks have begun on %d workers, and each was to last until the map had ended", n, workers)
		}
	}
}
