package threadpool

import (
	"context"
	"errors"
	"fmt"

	"github.com/rankpool/rankpool/futures"
	"github.com/rankpool/rankpool/pool"
)

// New returns a pool whose workers are goroutines of this process: never more tasks at once than pool.WithProcesses
// says, and without it one per core (H32, H33). It respects no variable of the environment. The error lists every option
// that is wrong, those that only processes can honour among them.
func New(opts ...pool.Option) (*pool.Pool, error) {
	ex, err := futures.NewThreadPoolExecutor(opts...)
	if err != nil {
		return nil, fmt.Errorf("threadpool: New: %w", err)
	}
	return pool.On(ex), nil
}

// With is pool.With for a pool of goroutines.
func With(ctx context.Context, body func(p *pool.Pool) error, opts ...pool.Option) error {
	if body == nil {
		return errors.New("threadpool: With: the function is nil")
	}
	return futures.With(ctx, func(ex *futures.ThreadPoolExecutor) error {
		p := pool.On(ex)
		if err := body(p); err != nil {
			return err
		}
		return p.Join(ctx)
	}, opts...)
}
