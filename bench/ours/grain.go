package ours

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/rankpool/rankpool/futures"
)

var (
	toil = futures.Register("bench.toil", toils)
	pace = futures.Register("bench.pace", paces)
)

// clocked is the length from which a task reads the clock until it is over. A shorter one counts the turns of a loop whose pace is
// known: a look at the clock would be a large part of it.
const clocked = 2 * time.Microsecond

// toils is a task of a length: nanoseconds, or turns of the loop if it is negative.
func toils(length int) (int, error) {
	if length < 0 {
		return int(turns(-length, 1) & 1), nil
	}
	for begin := time.Now(); time.Since(begin) < time.Duration(length); {
	}
	return 0, nil
}

// turns is a loop in which each turn needs the one before.
//
//go:noinline
func turns(n int, x uint64) uint64 {
	for ; n > 0; n-- {
		x ^= x << 13
		x ^= x >> 7
		x ^= x << 17
	}
	return x
}

// paces returns the nanoseconds of one turn: the best of n tries, for others use the machine.
func paces(n int) (float64, error) {
	const many = 200_000
	best := math.Inf(1)
	for range n {
		begin := time.Now()
		if turns(many, 1) == 0 {
			return 0, errors.New("a loop has come to nothing")
		}
		best = min(best, float64(time.Since(begin))/many)
	}
	return best, nil
}

// GrainShares are the lengths at which the share of useful time is told.
var GrainShares = []time.Duration{
	20 * time.Microsecond, 50 * time.Microsecond, 100 * time.Microsecond, 200 * time.Microsecond, 500 * time.Microsecond, time.Millisecond,
}

// GrainWays are the ways in which tasks are run.
var GrainWays = []string{"map", "calls", "single"}

// grain measures, for each way, the shortest task at which half of the workers' time is useful, and the share that is at some lengths.
func grain(ctx context.Context, b *bench) error {
	g := &grinder{bench: b, workers: max(1, b.job.Workers), sitting: b.millis("ms", 50)}
	paces, err := onEach(ctx, b.ex, pace, 20)
	if err != nil {
		return err
	}
	g.turn = slices.Min(paces)
	for _, way := range GrainWays {
		share := func(length time.Duration) (float64, error) { return g.share(ctx, way, length) }
		half, found, err := shortestHalf(share)
		if err != nil {
			return err
		}
		if found {
			b.values[GrainHalf(way)] = half.Seconds()
		}
		for _, length := range GrainShares {
			if b.values[GrainShare(way, length)], err = share(length); err != nil {
				return err
			}
		}
	}
	return nil
}

// GrainHalf is the key of the shortest task at which half of the time is useful. It is not there where no length has been enough.
func GrainHalf(way string) string { return way + ".metg" }

// GrainShare is the key of the useful share with tasks of a length.
func GrainShare(way string, length time.Duration) string {
	return fmt.Sprintf("%s.at%d", way, length.Microseconds())
}

// The lengths that are tried: a tenth of a decade apart.
const (
	shortest  = 20 * time.Nanosecond
	perDecade = 10
	decades   = 6
)

// tried is the length number i.
func tried(i int) time.Duration {
	return time.Duration(math.Round(float64(shortest) * math.Pow(10, float64(i)/perDecade)))
}

// shortestHalf finds the shortest length at which the share of useful time is one half, taking it to grow with the length: by halving the
// range of lengths that are tried, and between the last two by a straight line over the logarithm. It is not found where the longest
// has less.
func shortestHalf(share func(length time.Duration) (float64, error)) (half time.Duration, found bool, err error) {
	below, from := -1, 0.0 // the longest that is known to have less, and what it has
	above, to := perDecade*decades+1, 1.0
	for above-below > 1 {
		i := (below + above) / 2
		s, err := share(tried(i))
		switch {
		case err != nil:
			return 0, false, err
		case s < 0.5:
			below, from = i, s
		default:
			above, to = i, s
		}
	}
	switch {
	case below < 0:
		return shortest, true, nil
	case above > perDecade*decades:
		return 0, false, nil
	}
	low, high := float64(tried(below)), float64(tried(above))
	return time.Duration(math.Round(low * math.Pow(high/low, (0.5-from)/(to-from)))), true, nil
}

// grinder runs tasks of one length.
type grinder struct {
	*bench
	workers int
	sitting time.Duration // how long one run takes, about
	turn    float64       // nanoseconds of the loop
}

// repeats is how many runs there are for one length; the median counts.
const repeats = 3

// share returns how much of the workers' time is useful with tasks of a length.
func (g *grinder) share(ctx context.Context, way string, length time.Duration) (float64, error) {
	arg, exact := int(length), float64(length)
	if length < clocked {
		n := max(1, int(math.Round(exact/g.turn)))
		arg, exact = -n, float64(n)*g.turn
	}
	n, err := g.enough(ctx, way, arg)
	if err != nil {
		return 0, err
	}
	var all []float64
	for range repeats {
		took, err := g.run(ctx, way, arg, n)
		if err != nil {
			return 0, err
		}
		all = append(all, float64(n)*exact/float64(g.workers)/float64(took))
	}
	return middle(all), nil
}

// enough finds out how many tasks take about a sitting. It runs as many at least, so that the scheduler knows what they take.
func (g *grinder) enough(ctx context.Context, way string, arg int) (n int, err error) {
	const most = 2_000_000
	for n = 32 * g.workers; n < most; {
		took, err := g.run(ctx, way, arg, n)
		if err != nil {
			return 0, err
		}
		times := float64(g.sitting) / float64(took)
		if times < 1.5 {
			break
		}
		n = int(float64(n) * min(times, 20))
	}
	return min(n, most), nil
}

// run runs n tasks in one of the ways, and returns what that took.
func (g *grinder) run(ctx context.Context, way string, arg, n int) (time.Duration, error) {
	switch way {
	case "map":
		xs := slices.Repeat([]int{arg}, n)
		begin := time.Now()
		for _, err := range futures.Map(ctx, g.ex, toil, xs) {
			if err != nil {
				return 0, err
			}
		}
		return time.Since(begin), nil
	case "calls":
		fs := make([]*futures.Future[int], n)
		begin := time.Now()
		for i := range fs {
			f, err := futures.Submit(g.ex, toil, arg)
			if err != nil {
				return 0, err
			}
			fs[i] = f
		}
		for _, f := range fs {
			if _, err := f.Result(ctx); err != nil {
				return 0, err
			}
		}
		return time.Since(begin), nil
	default:
		begin := time.Now()
		for range n {
			f, err := futures.Submit(g.ex, toil, arg)
			if err != nil {
				return 0, err
			}
			if _, err := f.Result(ctx); err != nil {
				return 0, err
			}
		}
		return time.Since(begin), nil
	}
}
