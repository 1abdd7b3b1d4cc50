package saturate_test

import (
	"math"
	"math/big"
	"testing"
	"time"

	"github.com/rankpool/rankpool/internal/saturate"
)

var some = []time.Duration{math.MinInt64, math.MinInt64 + 1, math.MinInt64 / 2, -time.Hour, -1, 0, 1, time.Second, math.MaxInt64 / 2,
	math.MaxInt64/2 + 1, math.MaxInt64 - 1, math.MaxInt64}

// nearest is the duration nearest to x.
func nearest(x *big.Int) time.Duration {
	switch {
	case x.IsInt64():
		return time.Duration(x.Int64())
	case x.Sign() > 0:
		return math.MaxInt64
	}
	return math.MinInt64
}

func TestAResultThatDoesNotFitIsTheNearestThatDoes(t *testing.T) {
	for _, a := range some {
		for _, b := range some {
			want := nearest(new(big.Int).Add(big.NewInt(int64(a)), big.NewInt(int64(b))))
			if got := saturate.Add(a, b); got != want {
				t.Errorf("%d + %d = %d, want %d", a, b, got, want)
			}
		}
		for _, n := range []int{0, 1, 2, 3, 8, 1 << 20, math.MaxInt} {
			want := nearest(new(big.Int).Mul(big.NewInt(int64(a)), big.NewInt(int64(n))))
			if got := saturate.Mul(a, n); got != want {
				t.Errorf("%d times %d = %d, want %d", n, a, got, want)
			}
		}
	}
}

func TestSecondsOfEverySize(t *testing.T) {
	for _, c := range []struct {
		s    float64
		want time.Duration
	}{
		{0, 0}, {1.5, 1500 * time.Millisecond}, {-2, -2 * time.Second}, {1e300, math.MaxInt64}, {-1e300, math.MinInt64},
		{math.Inf(1), math.MaxInt64}, {math.Inf(-1), math.MinInt64}, {math.NaN(), 0}, {9223372036.9, math.MaxInt64},
	} {
		if got := saturate.Seconds(c.s); got != c.want {
			t.Errorf("%g s = %d, want %d", c.s, got, c.want)
		}
	}
}
