//go:build unix

package faults_test

import (
	"testing"

	"github.com/rankpool/rankpool/futures"
)

// The results of a chunk that failed at its end came with the wrong values when other results had arrived in between.
func TestWhatAMapHasBeforeAFailureIsNotOverwritten(t *testing.T) {
	ex := processes.open(t, futures.WithMaxWorkers(1))
	xs := []futures.Pair[int, string]{{First: 101}, {First: 102}, {First: 103}, {Second: "error"}}
	results := futures.Map(limited(t), ex, actAt, xs, futures.WithChunkSize(len(xs)))
	for range 10 {
		works(t, ex)
	}
	n := 0
	for y, err := range results {
		if n++; n <= 3 && (err != nil || y != 101+n) {
			t.Errorf("result %d is %d, %v", n, y, err)
		}
		if n > 3 {
			says(t, err, "actAt", "no luck")
		}
	}
	if n != 4 {
		t.Errorf("%d results and errors, want 4", n)
	}
}
