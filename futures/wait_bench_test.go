package futures_test

import (
	"context"
	"testing"

	"github.com/rankpool/rankpool/futures"
)

// BenchmarkWaitForAll and the two below are the cost per future of following a thousand of them.
func BenchmarkWaitForAll(b *testing.B) {
	benchmarkFollow(b, func(fs []*intFuture, finish func()) error {
		go finish()
		_, _, err := futures.Wait(context.Background(), fs, futures.AllCompleted)
		return err
	})
}

func BenchmarkAsCompleted(b *testing.B) {
	benchmarkFollow(b, func(fs []*intFuture, finish func()) error {
		go finish()
		for _, err := range futures.AsCompleted(context.Background(), fs) {
			if err != nil {
				return err
			}
		}
		return nil
	})
}

func BenchmarkCollect(b *testing.B) {
	benchmarkFollow(b, func(fs []*intFuture, finish func()) error {
		all := futures.Collect(fs...)
		finish()
		_, err := all.Result(context.Background())
		return err
	})
}

func benchmarkFollow(b *testing.B, follow func(fs []*intFuture, finish func()) error) {
	const n = 1000
	b.ReportAllocs()
	for b.Loop() {
		fs := newInts(n)
		err := follow(fs, func() {
			for _, f := range fs {
				f.Settle(1, nil)()
			}
		})
		if err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/n, "ns/future")
}
