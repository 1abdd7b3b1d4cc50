package pool

import (
	"context"
	"errors"

	"github.com/rankpool/rankpool/futures"
)

// With makes a pool, calls body with it, and ends it. It is futures.With for pools: when body returns nil, With waits as
// Join does; when body returns an error or panics, With does not wait, what is queued is cancelled, and a task that runs may
// finish within the grace period of the program.
//
// The error is that of the options, of body, or of the end.
func With(ctx context.Context, body func(p *Pool) error, opts ...Option) error {
	if body == nil {
		return errors.New("pool: With: the function is nil")
	}
	return futures.With(ctx, func(ex *futures.MPIPoolExecutor) error {
		p := On(ex)
		if err := body(p); err != nil {
			return err
		}
		return p.Join(ctx)
	}, opts...)
}
