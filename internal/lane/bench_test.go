package lane_test

import (
	"testing"

	"github.com/rankpool/rankpool/internal/lane"
)

// The lane is empty before every function, so that each has a goroutine of its own.
func BenchmarkAFunctionAlone(b *testing.B) {
	b.ReportAllocs()
	var l lane.Lane
	done := make(chan struct{})
	for b.Loop() {
		l.Add(func() { done <- struct{}{} })
		<-done
	}
}
