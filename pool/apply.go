package pool

import (
	"context"

	"github.com/rankpool/rankpool/asyncresult"
	"github.com/rankpool/rankpool/futures"
)

// Apply calls fn with arg on a worker and returns what fn returns. It blocks until then, or until ctx ends. In that case the call is
// cancelled, and if it has begun the context of its task ends.
//
// The error is that of the task, or of [futures.Submit]: [futures.ErrShutdown] after [Pool.Close], [futures.ErrBroken], or an argument that
// cannot be encoded. When ctx ends, it matches the error of ctx.
func Apply[A, R any](ctx context.Context, p *Pool, fn futures.Func[A, R], arg A, opts ...TaskOption) (R, error) {
	f, err := submit(p, fn, arg, opts)
	if err != nil {
		var zero R
		return zero, err
	}
	r, err := f.Result(ctx)
	if !f.Done() {
		f.Interrupt()
	}
	return r, err
}

// ApplyAsync is [Apply] that does not wait: it returns an [ApplyResult]. Its own error is one of those that [futures.Submit] returns; the
// error of the task is in the result. [futures.WithContext] bounds the call.
func ApplyAsync[A, R any](p *Pool, fn futures.Func[A, R], arg A, opts ...TaskOption) (*ApplyResult[R], error) {
	f, err := submit(p, fn, arg, opts)
	if err != nil {
		return nil, err
	}
	return asyncresult.New(f), nil
}

func submit[A, R any](p *Pool, fn futures.Func[A, R], arg A, opts []TaskOption) (*futures.Future[R], error) {
	if err := p.usable(); err != nil {
		return nil, err
	}
	return futures.Submit(p.ex, fn, arg, opts...)
}
