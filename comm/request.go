package comm

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/rankpool/rankpool/internal/pkl5"
)

// Request is the future of an [Isend] or an [Irecv]. Its methods may be called from several goroutines and repeatedly, and those that do
// not take a context do not block. It need not be freed: if nobody waits for it, it ends with its task. MPI 4.1, section 3.7.
type Request[T any] struct {
	done   <-chan struct{}
	cancel func() bool

	once   sync.Once
	result func() (T, Status, error) // after done
	v      T
	from   Status
	err    error
}

var errNothing = errors.New("comm: there is no request: look at the error of Isend or Irecv")

// over is closed.
var over = func() <-chan struct{} {
	c := make(chan struct{})
	close(c)
	return c
}()

func (r *Request[T]) none() bool { return r == nil || r.done == nil }

// Done reports whether the message has left or arrived, or never will.
func (r *Request[T]) Done() bool {
	select {
	case <-r.DoneChan():
		return true
	default:
		return false
	}
}

// DoneChan returns a channel that is closed when the request is done, for a select that waits for one of several.
func (r *Request[T]) DoneChan() <-chan struct{} {
	if r.none() {
		return over
	}
	return r.done
}

// Result blocks until the request is done or ctx ends. It returns the received value (nothing for an [Isend]) and the error of the request.
// The end of ctx ends only the wait. The first call decodes the received value. MPI_Wait.
func (r *Request[T]) Result(ctx context.Context) (T, error) {
	v, _, err := r.ResultStatus(ctx)
	return v, err
}

// ResultStatus is [Request.Result] that also returns where the message came from; for an [Isend] that is the zero value.
func (r *Request[T]) ResultStatus(ctx context.Context) (T, Status, error) {
	var v T
	if r.none() {
		return v, Status{}, errNothing
	}
	if !r.Done() {
		select {
		case <-r.done:
		case <-ctx.Done():
			return v, Status{}, fmt.Errorf("comm: the request is not done: %w", context.Cause(ctx))
		}
	}
	r.once.Do(func() { r.v, r.from, r.err = r.result() })
	return r.v, r.from, r.err
}

// Cancel withdraws an [Irecv] that has no message yet: it is done then, with an error that matches [context.Canceled]. False means that
// nothing has changed: the request is done, or it is an [Isend], which cannot be withdrawn. MPI_Cancel.
func (r *Request[T]) Cancel() bool { return !r.none() && r.cancel() }

// Isend is [Send] that does not block. Slices of 256 KiB or more in v must not be changed until the request is done. Messages to one rank
// arrive in the order of the calls, even if an Isend is followed by a [Send]. If ctx has ended at the call, that is an error; its later end
// has no effect. A task's messages leave before the task returns. MPI 4.1, section 3.7: MPI_Isend.
func Isend[T any](ctx context.Context, c *Comm, v T, dest, tag int) (*Request[struct{}], error) {
	if err := c.mayMeet("Isend", dest, tag); err != nil {
		return nil, err
	}
	fail := func(err error) error { return fmt.Errorf("comm: Isend to rank %d: %w", dest, err) }
	if err := context.Cause(ctx); err != nil {
		return nil, fail(err)
	}
	codec, err := codecOf[T]()
	if err != nil {
		return nil, fail(err)
	}
	e := encoders.Get().(*pkl5.Encoder)
	if err := codec.letter(e, nil, &v); err != nil {
		release(e)
		return nil, fail(err)
	}
	done := make(chan struct{})
	var failed error
	r := &Request[struct{}]{done: done, cancel: func() bool { return false }, result: func() (struct{}, Status, error) { return struct{}{}, Status{}, failed }}
	c.peers.SendLater(c.peer(dest), c.number(), userTag(tag), e.Stream, e.Segments, func(err error) {
		release(e)
		if err != nil {
			failed = fail(err)
		}
		close(done)
	})
	return r, nil
}

var errCancelled = fmt.Errorf("the request was cancelled: %w", context.Canceled)

// Irecv is [Recv] that does not block. The request is done when the message is there, when ctx ends, when none can come any more, or when
// the task returns. Several take messages in the order of the calls. MPI 4.1, section 3.7: MPI_Irecv.
func Irecv[T any](ctx context.Context, c *Comm, source, tag int) (*Request[T], error) {
	want, err := c.mayCome("Irecv", source, tag)
	if err != nil {
		return nil, err
	}
	codec, err := codecOf[T]()
	if err != nil {
		return nil, fmt.Errorf("comm: Irecv: %w", err)
	}
	wait := c.peers.Receive(want)
	stop := func() bool { return true }
	select {
	case <-wait.Done():
	default:
		stop = context.AfterFunc(ctx, func() { wait.Cancel(context.Cause(ctx)) })
	}
	return &Request[T]{
		done:   wait.Done(),
		cancel: func() bool { return wait.Cancel(errCancelled) },
		result: func() (T, Status, error) {
			stop()
			l, err := wait.Letter()
			return opened(c, codec, "Irecv", source, l, err)
		},
	}, nil
}

// WaitAll blocks until all requests are done or ctx ends, and returns their results in the order of the requests. A failed request has the
// zero value in its place; the error joins those of all failed requests. MPI 4.1, section 3.7.5: MPI_Waitall.
func WaitAll[T any](ctx context.Context, rs ...*Request[T]) ([]T, error) {
	vs := make([]T, len(rs))
	errs := make([]error, len(rs))
	for i, r := range rs {
		vs[i], errs[i] = r.Result(ctx)
	}
	return vs, errors.Join(errs...)
}
