package pool

import (
	"context"
	"fmt"
	"iter"

	"github.com/rankpool/rankpool/asyncresult"
	"github.com/rankpool/rankpool/futures"
	"github.com/rankpool/rankpool/internal/dispatch"
)

// Map calls fn on every element of xs, a slice or a sequence, and returns all results in the order of the input.
//
// It blocks until all results are there, an element fails, or ctx ends. In the latter cases elements that have not begun are withdrawn, the
// contexts of running tasks end, and Map returns an error without results. For a failure that is the [*futures.ElementError] of the element
// that failed first, wherever it is in the input. With [KeepGoing] it returns all results and all failures.
func Map[A, R any, S []A | iter.Seq[A]](ctx context.Context, p *Pool, fn futures.Func[A, R], xs S, opts ...MapOption) ([]R, error) {
	return mapAll[A, R](ctx, "Map", p, fn, any(xs), opts)
}

// MapAsync is [Map] that does not wait for the results: it returns a [MapResult], whose Get has a context of its own. ctx bounds the whole
// map, as in [Map].
//
// A slice is submitted before MapAsync returns and may then be changed, unless [futures.WithBufferSize] makes it wait for results. A
// sequence is read to its end. Without [WithChunkSize] MapAsync blocks until the workers have started, because the default depends on their
// number. It returns the errors that show at the call: a wrong chunk size, [futures.ErrShutdown], the end of ctx. All others, such as that
// of a failing element, are in the result.
func MapAsync[A, R any, S []A | iter.Seq[A]](ctx context.Context, p *Pool, fn futures.Func[A, R], xs S, opts ...MapOption) (*MapResult[R], error) {
	return mapAsync[A, R](ctx, "MapAsync", p, fn, any(xs), opts)
}

// Starmap is [Map] for a function of several arguments, grouped in a [futures.Pair] for [futures.Spread], or in any struct.
func Starmap[A, R any, S []A | iter.Seq[A]](ctx context.Context, p *Pool, fn futures.Func[A, R], xs S, opts ...MapOption) ([]R, error) {
	return mapAll[A, R](ctx, "Starmap", p, fn, any(xs), opts)
}

// StarmapAsync is [MapAsync] for a function of several arguments, as [Starmap] takes it.
func StarmapAsync[A, R any, S []A | iter.Seq[A]](ctx context.Context, p *Pool, fn futures.Func[A, R], xs S, opts ...MapOption) (*MapResult[R], error) {
	return mapAsync[A, R](ctx, "StarmapAsync", p, fn, any(xs), opts)
}

// list is a verb that returns all results, under way.
type list[R any] struct {
	n       int
	goOn    bool // after the failure of an element
	results iter.Seq2[R, error]
}

// listInput checks a call and reads its input to the end.
func listInput[A any](ctx context.Context, p *Pool, verb string, xs any, opts []MapOption) (mapConfig, []A, error) {
	if err := p.usable(); err != nil {
		return mapConfig{}, nil, err
	}
	c, err := newMapConfig(verb, opts)
	if err != nil {
		return c, nil, err
	}
	slice, isSlice := xs.([]A)
	if isSlice {
		return c, slice, nil
	}
	for x := range xs.(iter.Seq[A]) {
		slice = append(slice, x)
		if ctx.Err() != nil {
			return c, nil, context.Cause(ctx)
		}
	}
	return c, slice, nil
}

// startList submits a slice in chunks, of the default size unless the call has set one.
func startList[A, R any](ctx context.Context, p *Pool, c mapConfig, fn futures.Func[A, R], xs []A) (list[R], error) {
	opts := c.rest
	if c.chunk == 0 && len(xs) > 0 {
		workers, err := p.ex.NumWorkers(ctx) // starts them; 0 when the pool is broken, which the map finds out
		if err != nil {
			return list[R]{}, err
		}
		opts = append([]futures.MapOption{futures.WithChunkSize(defaultChunk(len(xs), workers))}, opts...)
	}
	if !c.goOn {
		opts = append(opts, futures.FailFast())
	}
	return list[R]{len(xs), c.goOn, futures.Map(ctx, p.ex, fn, xs, opts...)}, nil
}

// collect waits for the results.
func (l list[R]) collect() ([]R, error) {
	all := make([]R, 0, l.n)
	var failed futures.ElementErrors
	for r, err := range l.results {
		if err != nil {
			element, ok := err.(*futures.ElementError) //nolint:errorlint // it is not wrapped
			switch {
			case !l.goOn:
				return nil, err
			case !ok && len(failed) > 0:
				return all, fmt.Errorf("%w; before that, %w", err, failed)
			case !ok:
				return all, err
			}
			failed = append(failed, element)
		}
		all = append(all, r)
	}
	if len(failed) > 0 {
		return all, failed
	}
	return all, nil
}

func mapAll[A, R any](ctx context.Context, verb string, p *Pool, fn futures.Func[A, R], xs any, opts []MapOption) ([]R, error) {
	c, slice, err := listInput[A](ctx, p, verb, xs, opts)
	if err != nil {
		return nil, err
	}
	l, err := startList(ctx, p, c, fn, slice)
	if err != nil {
		return nil, err
	}
	return l.collect()
}

func mapAsync[A, R any](ctx context.Context, verb string, p *Pool, fn futures.Func[A, R], xs any, opts []MapOption) (*MapResult[R], error) {
	c, slice, err := listInput[A](ctx, p, verb, xs, opts)
	if err != nil {
		return nil, err
	}
	if err := p.beginMap(); err != nil {
		return nil, err
	}
	ctx = dispatch.Apart(ctx) // a task that calls this goes on while the results come in
	l, err := startList(ctx, p, c, fn, slice)
	if err != nil {
		p.endMap()
		return nil, err
	}
	promise := futures.NewPromiseOn[[]R](p.ex)
	go func() {
		defer p.endMap()
		rs, err := l.collect()
		_ = promise.SetPartial(rs, err) // nobody else completes it
	}()
	return asyncresult.New(promise.Future()), nil
}
