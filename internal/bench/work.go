package bench

import (
	"context"
	"time"

	"github.com/rankpool/rankpool/bench/ours"
)

// asleep is how long one of the sleeps takes.
const asleep = 10 * time.Millisecond

// Alone is the peer of a pool whose tasks sleep: it starts processes that sleep n times, and prints the figure.
func Alone(workers, n int, limit time.Duration) error {
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	return ours.Alone(ctx, workers, n, asleep, []string{"bench-sleeper"})
}
