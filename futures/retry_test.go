package futures_test

import (
	"math"
	"testing"
	"time"

	"github.com/rankpool/rankpool/futures"
)

func TestPausesDoubleUpToTheLongestAndNeverTurnNegative(t *testing.T) {
	const s = time.Second
	for _, c := range []struct {
		first, most time.Duration
		tries       int
		want        time.Duration
	}{
		{s, time.Minute, 1, s},
		{s, time.Minute, 2, 2 * s},
		{s, time.Minute, 4, 8 * s},
		{s, time.Minute, 7, time.Minute},
		{s, time.Minute, 1000, time.Minute},
		{1, math.MaxInt64, 1000, math.MaxInt64},
		{math.MaxInt64, math.MaxInt64, 2, math.MaxInt64},
		{0, s, 5, 0},
	} {
		if got := futures.Backoff(c.first, c.most, c.tries); got != c.want {
			t.Errorf("the pause number %d from %v to %v is %v, want %v", c.tries, c.first, c.most, got, c.want)
		}
		for range 100 {
			if got := futures.Jittered(c.want); got < c.want-c.want/2-1 || got > c.want {
				t.Errorf("of %v there is %v left", c.want, got)
			}
		}
	}
}
