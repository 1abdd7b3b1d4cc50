package threadpool

import (
	"context"
	"errors"
	"fmt"

	"github.com/rankpool/rankpool/futures"
	"github.com/rankpool/rankpool/pool"
)

// New returns a pool whose workers are goroutines of this process: it runs at most as many tasks at once as [pool.WithProcesses] says, and
// without it one per core. The only variables of the environment that it respects are RANKPOOL_LOG, RANKPOOL_TRACE and that of package
// monitor. The error lists every option that is wrong, including those that only processes can honour.
func New(opts ...pool.Option) (*pool.Pool, error) {
	ex, err := futures.NewThreadPoolExecutor(opts...)
	if err != nil {
		return nil, fmt.Errorf("threadpool: New: %w", err)
	}
	return pool.On(ex), nil
}

// With is [pool.With] for a pool of goroutines.
func With[B pool.Body](ctx context.Context, body B, opts ...pool.Option) error {
	var call func(*pool.Pool) error
	switch f := any(body).(type) {
	case func(*pool.Pool) error:
		call = f
	case func(context.Context, *pool.Pool) error:
		if f != nil {
			call = func(p *pool.Pool) error { return f(ctx, p) }
		}
	}
	if call == nil {
		return errors.New("threadpool: With: the function is nil")
	}
	return futures.With(ctx, func(ex *futures.ThreadPoolExecutor) error {
		p := pool.On(ex)
		if err := call(p); err != nil {
			return err
		}
		return p.Join(ctx)
	}, opts...)
}
