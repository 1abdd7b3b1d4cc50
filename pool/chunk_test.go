package pool_test

import (
	"testing"

	"github.com/rankpool/rankpool/pool"
)

func TestTheDefaultChunkIsTheOriginals(t *testing.T) {
	// The third column is what CPython's divmod(n, 4*workers), rounded up, gives; 0 becomes 1.
	for _, c := range [][3]int{
		{0, 1, 1}, {1, 1, 1}, {4, 1, 1}, {5, 1, 2}, {8, 1, 2}, {9, 1, 3},
		{16, 4, 1}, {17, 4, 2}, {100, 4, 7}, {1_000_000, 2, 125_000}, {1_000_001, 2, 125_001},
		{10, 0, 3}, {10, -1, 3}, // a broken pool has no workers
	} {
		if got := pool.DefaultChunk(c[0], c[1]); got != c[2] {
			t.Errorf("%d elements, %d workers: chunks of %d, want %d", c[0], c[1], got, c[2])
		}
	}
}

func TestTheDefaultChunkMakesAtMostFourChunksPerWorker(t *testing.T) {
	for workers := 1; workers <= 9; workers++ {
		for n := 1; n < 300; n++ {
			size := pool.DefaultChunk(n, workers)
			if chunks := (n + size - 1) / size; size < 1 || chunks > 4*workers {
				t.Fatalf("%d elements, %d workers: %d chunks of %d", n, workers, chunks, size)
			}
		}
	}
}
