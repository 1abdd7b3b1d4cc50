package pool_test

import (
	"io"
	"testing"

	"github.com/rankpool/rankpool/pool"
)

// A million tiny elements, with and without their progress shown: the second must not cost a hundredth more.
func BenchmarkMillion(b *testing.B) {
	xs := make([]int, 1_000_000)
	for name, opts := range map[string][]pool.MapOption{"plain": nil, "progress": {pool.WithProgress(io.Discard)}} {
		for verb, run := range map[string]func(*testing.B, *pool.Pool){
			"Map": func(b *testing.B, p *pool.Pool) {
				if _, err := pool.Map(b.Context(), p, square, xs, opts...); err != nil {
					b.Fatal(err)
				}
			},
			"Imap": func(b *testing.B, p *pool.Pool) {
				for _, err := range pool.Imap(b.Context(), p, square, xs, opts...) {
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
