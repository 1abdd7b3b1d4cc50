package pool

import (
	"context"
	"iter"

	"github.com/rankpool/rankpool/futures"
)

// Imap calls fn on every element of xs, a slice or a sequence, and yields the results one by one in the order of the input.
//
// The elements of a slice are submitted at the call. A sequence is drawn while the results are read, a few tasks per worker ahead, on a
// goroutine of its own; guard the variables that it shares with the loop that reads. The failure of an element comes in its place, as a
// [*futures.ElementError], and the others follow. The end of ctx, the end of the pool, and a mistake in the call end the results with one
// error. When the reader stops early, elements that have not begun are withdrawn, and the contexts of running tasks end. The results can be
// read once, by one goroutine: ranging over them again yields an error that matches [futures.ErrInvalidState].
//
// Each element is a task of its own unless [WithChunkSize] says otherwise. Even so, tiny ones are sent together.
func Imap[A, R any, S []A | iter.Seq[A]](ctx context.Context, p *Pool, fn futures.Func[A, R], xs S, opts ...ImapOption) iter.Seq2[R, error] {
	return each[A, R](ctx, "Imap", p, fn, any(xs), opts)
}

// ImapUnordered is [Imap] with the results as they come; within a chunk the order is kept.
func ImapUnordered[A, R any, S []A | iter.Seq[A]](ctx context.Context, p *Pool, fn futures.Func[A, R], xs S, opts ...ImapOption) iter.Seq2[R, error] {
	return each[A, R](ctx, "ImapUnordered", p, fn, any(xs), opts, futures.Unordered())
}

// Istarmap is [Imap] for a function of several arguments, as [Starmap] takes it. Python has no such verb.
func Istarmap[A, R any, S []A | iter.Seq[A]](ctx context.Context, p *Pool, fn futures.Func[A, R], xs S, opts ...ImapOption) iter.Seq2[R, error] {
	return each[A, R](ctx, "Istarmap", p, fn, any(xs), opts)
}

// IstarmapUnordered is [ImapUnordered] for a function of several arguments, as [Starmap] takes it.
func IstarmapUnordered[A, R any, S []A | iter.Seq[A]](ctx context.Context, p *Pool, fn futures.Func[A, R], xs S, opts ...ImapOption) iter.Seq2[R, error] {
	return each[A, R](ctx, "IstarmapUnordered", p, fn, any(xs), opts, futures.Unordered())
}

func each[A, R any](ctx context.Context, verb string, p *Pool, fn futures.Func[A, R], xs any, opts []ImapOption, more ...ImapOption) iter.Seq2[R, error] {
	err := p.usable()
	var c mapConfig
	if err == nil {
		c, err = newMapConfig(verb, opts)
	}
	if err != nil {
		return func(yield func(R, error) bool) {
			var zero R
			yield(zero, err)
		}
	}
	c.rest = append(c.rest, more...)
	if slice, ok := xs.([]A); ok {
		return futures.Map(ctx, p.ex, fn, slice, c.rest...)
	}
	return futures.Map(ctx, p.ex, fn, xs.(iter.Seq[A]), c.rest...)
}
