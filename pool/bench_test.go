package pool_test

import (
	"io"
	"slices"
	"testing"
	"time"

	"github.com/rankpool/rankpool/futures"
	"github.com/rankpool/rankpool/pool"
)

// A million tiny elements, with and without their progress shown: the second must not cost a hundredth more.
func BenchmarkMillion(b *testing.B) {
	xs := make([]int, 1_000_000)
	for name, opt := range map[string]futures.AnyMapOption{"plain": nil, "progress": pool.WithProgress(io.Discard)} {
		for verb, run := range map[string]func(*testing.B, *pool.Pool){
			"Map": func(b *testing.B, p *pool.Pool) {
				if _, err := pool.Map(b.Context(), p, square, xs, opt); err != nil {
					b.Fatal(err)
				}
			},
			"Imap": func(b *testing.B, p *pool.Pool) {
				for _, err := range pool.Imap(b.Context(), p, square, xs, opt) {
					if err != nil {
						b.Fatal(err)
					}
				}
			},
		} {
			b.Run(verb+"/"+name, func(b *testing.B) {
				p, err := pool.New(pool.WithProcesses(2))
				if err != nil {
					b.Fatal(err)
				}
				defer func() {
					if err := p.Join(b.Context()); err != nil {
						b.Error(err)
					}
				}()
				run(b, p) // the workers start and the function is measured
				b.ReportAllocs()
				for b.Loop() {
					run(b, p)
				}
			})
		}
	}
}

// The two take turns, so that what else the machine does weighs on both: cost is the median of what progress adds, as a
// share.
func BenchmarkCostOfProgress(b *testing.B) {
	xs := make([]int, 1_000_000)
	p, err := pool.New(pool.WithProcesses(2))
	if err != nil {
		b.Fatal(err)
	}
	defer func() {
		if err := p.Join(b.Context()); err != nil {
			b.Error(err)
		}
	}()
	run := func(opts ...pool.MapOption) time.Duration {
		began := time.Now()
		if _, err := pool.Map(b.Context(), p, square, xs, opts...); err != nil {
			b.Fatal(err)
		}
		return time.Since(began)
	}
	run()
	var ratios []float64
	for i := 0; b.Loop(); i++ {
		var plain, shown time.Duration
		if i%2 == 0 {
			plain = run()
			shown = run(pool.WithProgress(io.Discard))
		} else {
			shown = run(pool.WithProgress(io.Discard))
			plain = run()
		}
		ratios = append(ratios, float64(shown)/float64(plain))
	}
	slices.Sort(ratios)
	b.ReportMetric(100*(ratios[len(ratios)/2]-1), "%cost")
}
