package comm

import (
	"context"
	"errors"
	"fmt"
)

// step is one collective operation under way: its messages have a tag of its own.
type step struct {
	ctx  context.Context
	c    *Comm
	name string
	tag  uint64
}

// begin begins a collective operation with a root; those without one say 0.
func begin(ctx context.Context, c *Comm, name string, root int) (step, error) {
	if c.none() {
		return step{}, fmt.Errorf("comm: %s: %w", name, errNone)
	}
	s := step{ctx, c, name, collectiveTag(c.peers.Next())}
	if root < 0 || root >= c.Size() {
		return s, fmt.Errorf("comm: %s: root %d is out of range: there are %d workers", name, root, c.Size())
	}
	return s, nil
}

func (s step) failed(err error) error { return fmt.Errorf("comm: %s on %v: %w", s.name, s.c, err) }

func sendTo[T any](s step, v *T, dest int) error {
	if err := send(s.c, v, dest, s.tag); err != nil {
		return s.failed(err)
	}
	return nil
}

func recvFrom[T any](s step, source int) (v T, err error) {
	if _, err = receive(s.ctx, s.c, &v, source, func(tag uint64) bool { return tag == s.tag }); err != nil {
		err = s.failed(err)
	}
	return v, err
}

// Barrier returns when the tasks of all ranks have called it.
func (c *Comm) Barrier(ctx context.Context) error {
	s, err := begin(ctx, c, "Barrier", 0)
	if err != nil {
		return err
	}
	if _, err := reduce(s, struct{}{}, func(a, _ struct{}) struct{} { return a }); err != nil {
		return err
	}
	_, err = bcast(s, struct{}{}, 0)
	return err
}

// Bcast gives every rank the value that root has; what the others pass does not matter. At the root, v comes back.
func Bcast[T any](ctx context.Context, c *Comm, v T, root int) (T, error) {
	s, err := begin(ctx, c, "Bcast", root)
	if err != nil {
		return v, err
	}
	return bcast(s, v, root)
}

// bcast sends along a binomial tree: rank r, counted from the root, has it from r without its lowest bit.
func bcast[T any](s step, v T, root int) (T, error) {
	n := s.c.Size()
	r := (s.c.Rank() - root + n) % n
	bit := 1
	for ; bit < n; bit <<= 1 {
		if r&bit != 0 {
			got, err := recvFrom[T](s, (r-bit+root)%n)
			if err != nil {
				return got, err
			}
			v = got
			break
		}
	}
	for bit >>= 1; bit > 0; bit >>= 1 {
		if r+bit < n {
			if err := sendTo(s, &v, (r+bit+root)%n); err != nil {
				return v, err
			}
		}
	}
	return v, nil
}

// Reduce combines the values of all ranks with op, in the order of the ranks, and gives the result to root; the others get
// the zero value. The result is the same for any root, also where op rounds, as long as the number of workers is.
func Reduce[T any](ctx context.Context, c *Comm, v T, op Op[T], root int) (T, error) {
	var zero T
	if op == nil {
		return zero, errors.New("comm: Reduce: the operation is nil")
	}
	s, err := begin(ctx, c, "Reduce", root)
	if err != nil {
		return zero, err
	}
	all, err := reduce(s, v, op)
	switch {
	case err != nil:
		return zero, err
	case root == 0 && c.Rank() == 0:
		return all, nil
	case c.Rank() == 0:
		return zero, sendTo(s, &all, root)
	case c.Rank() == root:
		return recvFrom[T](s, 0)
	}
	return zero, nil
}

// reduce combines to rank 0 along a binomial tree, lower ranks on the left.
func reduce[T any](s step, v T, op Op[T]) (T, error) {
	n, r := s.c.Size(), s.c.Rank()
	for bit := 1; bit < n; bit <<= 1 {
		if r&bit != 0 {
			return v, sendTo(s, &v, r-bit)
		}
		if r+bit < n {
			right, err := recvFrom[T](s, r+bit)
			if err != nil {
				return v, err
			}
			v = op(v, right)
		}
	}
	return v, nil
}

// Allreduce is [Reduce] with the result for all ranks, bit for bit the same.
func Allreduce[T any](ctx context.Context, c *Comm, v T, op Op[T]) (T, error) {
	var zero T
	if op == nil {
		return zero, errors.New("comm: Allreduce: the operation is nil")
	}
	s, err := begin(ctx, c, "Allreduce", 0)
	if err != nil {
		return zero, err
	}
	all, err := reduce(s, v, op)
	if err != nil {
		return zero, err
	}
	return bcast(s, all, 0)
}

// Gather gives root the values of all ranks, in their order; the others get nil.
func Gather[T any](ctx context.Context, c *Comm, v T, root int) ([]T, error) {
	s, err := begin(ctx, c, "Gather", root)
	if err != nil {
		return nil, err
	}
	return gather(s, v, root)
}

func gather[T any](s step, v T, root int) ([]T, error) {
	if s.c.Rank() != root {
		return nil, sendTo(s, &v, root)
	}
	all := make([]T, s.c.Size())
	for r := range all {
		if r == root {
			all[r] = v
			continue
		}
		got, err := recvFrom[T](s, r)
		if err != nil {
			return nil, err
		}
		all[r] = got
	}
	return all, nil
}

// Allgather gives every rank the values of all ranks, in their order.
func Allgather[T any](ctx context.Context, c *Comm, v T) ([]T, error) {
	s, err := begin(ctx, c, "Allgather", 0)
	if err != nil {
		return nil, err
	}
	all, err := gather(s, v, 0)
	if err != nil {
		return nil, err
	}
	return bcast(s, all, 0)
}

// Scatter gives each rank its element of the slice that root has, which must have one for each; what the others pass does
// not matter. When the slice is of another length nothing is sent: the root returns the error, and with its task's return
// the others' wait ends.
func Scatter[T any](ctx context.Context, c *Comm, vs []T, root int) (T, error) {
	var zero T
	s, err := begin(ctx, c, "Scatter", root)
	if err != nil {
		return zero, err
	}
	if c.Rank() != root {
		return recvFrom[T](s, root)
	}
	if len(vs) != c.Size() {
		return zero, fmt.Errorf("comm: Scatter: %d elements for %d workers", len(vs), c.Size())
	}
	for r := range vs {
		if r == root {
			continue
		}
		if err := sendTo(s, &vs[r], r); err != nil {
			return zero, err
		}
	}
	return vs[root], nil
}

// Alltoall sends element i of the slice to rank i, which must have one for each, and returns what came, in the order of the
// ranks.
func Alltoall[T any](ctx context.Context, c *Comm, vs []T) ([]T, error) {
	s, err := begin(ctx, c, "Alltoall", 0)
	if err != nil {
		return nil, err
	}
	n, me := c.Size(), c.Rank()
	if len(vs) != n {
		return nil, fmt.Errorf("comm: Alltoall: %d elements for %d workers", len(vs), n)
	}
	for i := 1; i < n; i++ { // each to another first
		if err := sendTo(s, &vs[(me+i)%n], (me+i)%n); err != nil {
			return nil, err
		}
	}
	all := make([]T, n)
	all[me] = vs[me]
	for i := 1; i < n; i++ {
		r := (me - i + n) % n
		if all[r], err = recvFrom[T](s, r); err != nil {
			return nil, err
		}
	}
	return all, nil
}
