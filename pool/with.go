package pool

import (
	"context"
	"errors"

	"github.com/rankpool/rankpool/futures"
)

// With makes a pool, calls body with it, and ends it, like [futures.With]. When body returns nil, With waits as [Pool.Join] does. When body
// returns an error or panics, With does not wait: queued calls are cancelled, and a running task may finish within the grace period of the
// program. A body that is declared elsewhere can take ctx first.
//
// The error is that of the options, of body, or of the end.
func With[B Body](ctx context.Context, body B, opts ...Option) error {
	var call func(*Pool) error
	switch f := any(body).(type) {
	case func(*Pool) error:
		call = f
	case func(context.Context, *Pool) error:
		if f != nil {
			call = func(p *Pool) error { return f(ctx, p) }
		}
	}
	if call == nil {
		return errors.New("pool: With: the function is nil")
	}
	return futures.With(ctx, func(ex *futures.MPIPoolExecutor) error {
		p := On(ex)
		if err := call(p); err != nil {
			return err
		}
		return p.Join(ctx)
	}, opts...)
}

// Body is what [With] can call.
type Body interface {
	func(*Pool) error | func(context.Context, *Pool) error
}
