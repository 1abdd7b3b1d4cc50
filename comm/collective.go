package comm

import (
	"context"
	"errors"
	"fmt"
)

// Barrier blocks until the tasks of all ranks have called it, or until ctx ends. MPI 4.1, section 6.3: MPI_Barrier.
func (c *Comm) Barrier(ctx context.Context) error {
	s, err := begin(ctx, c, barrierVerb, 0)
	if err != nil {
		return err
	}
	if _, err := reduce(s, struct{}{}, func(a, _ struct{}) struct{} { return a }); err != nil {
		return err
	}
	_, err = bcast(s, struct{}{}, 0)
	return err
}

// Bcast gives every rank the value of root. The values that the others pass are ignored. At root it returns v. MPI 4.1, section 6.4:
// MPI_Bcast.
func Bcast[T any](ctx context.Context, c *Comm, v T, root int) (T, error) {
	s, err := begin(ctx, c, bcastVerb, root)
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

// Reduce combines the values of all ranks with op, in the order of the ranks, and gives the result to root; the others get the zero value.
// For a given number of ranks the result is the same for any root, even if op rounds. MPI 4.1, section 6.9.1: MPI_Reduce.
func Reduce[T any](ctx context.Context, c *Comm, v T, op Op[T], root int) (T, error) {
	var zero T
	if op == nil {
		return zero, errors.New("comm: Reduce: the operation is nil")
	}
	s, err := begin(ctx, c, reduceVerb, root)
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

// Allreduce is [Reduce] with the result for all ranks, the same bit for bit. MPI 4.1, section 6.9.6: MPI_Allreduce.
func Allreduce[T any](ctx context.Context, c *Comm, v T, op Op[T]) (T, error) {
	var zero T
	if op == nil {
		return zero, errors.New("comm: Allreduce: the operation is nil")
	}
	s, err := begin(ctx, c, allreduceVerb, 0)
	if err != nil {
		return zero, err
	}
	all, err := reduce(s, v, op)
	if err != nil {
		return zero, err
	}
	return bcast(s, all, 0)
}

// Gather gives root the values of all ranks, in the order of the ranks; the others get nil. MPI 4.1, section 6.5: MPI_Gather.
func Gather[T any](ctx context.Context, c *Comm, v T, root int) ([]T, error) {
	s, err := begin(ctx, c, gatherVerb, root)
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

// Allgather gives every rank the values of all ranks, in the order of the ranks. MPI 4.1, section 6.7: MPI_Allgather.
func Allgather[T any](ctx context.Context, c *Comm, v T) ([]T, error) {
	s, err := begin(ctx, c, allgatherVerb, 0)
	if err != nil {
		return nil, err
	}
	all, err := gather(s, v, 0)
	if err != nil {
		return nil, err
	}
	return bcast(s, all, 0)
}

// Scatter gives each rank its element of root's slice, which must have one for each rank. The slices that the others pass are ignored. A
// slice of another length is an error on all ranks. MPI 4.1, section 6.6: MPI_Scatter.
func Scatter[T any](ctx context.Context, c *Comm, vs []T, root int) (T, error) {
	var zero T
	s, err := begin(ctx, c, scatterVerb, root)
	if err != nil {
		return zero, err
	}
	if c.Rank() != root {
		return recvFrom[T](s, root)
	}
	if len(vs) != c.Size() {
		return zero, s.refuse(fmt.Errorf("%d elements for %d ranks", len(vs), c.Size()))
	}
	return scatter(s, vs, root)
}

// scatter is the root's part.
func scatter[T any](s step, vs []T, root int) (T, error) {
	for r := range vs {
		if r == root {
			continue
		}
		if err := sendTo(s, &vs[r], r); err != nil {
			var zero T
			return zero, err
		}
	}
	return vs[root], nil
}

// Alltoall sends element i of the slice to rank i. It returns the received elements, in the order of the ranks. The slice must have one
// element for each rank; another length is an error on all ranks. MPI 4.1, section 6.8: MPI_Alltoall.
func Alltoall[T any](ctx context.Context, c *Comm, vs []T) ([]T, error) {
	s, err := begin(ctx, c, alltoallVerb, 0)
	if err != nil {
		return nil, err
	}
	return exchange(s, vs)
}

func exchange[T any](s step, vs []T) (all []T, err error) {
	n, me := s.c.Size(), s.c.Rank()
	if len(vs) != n {
		return nil, s.refuse(fmt.Errorf("%d elements for %d ranks", len(vs), n))
	}
	for i := 1; i < n; i++ { // each to another first
		if err := sendTo(s, &vs[(me+i)%n], (me+i)%n); err != nil {
			return nil, err
		}
	}
	all = make([]T, n)
	all[me] = vs[me]
	for i := 1; i < n; i++ {
		r := (me - i + n) % n
		if all[r], err = recvFrom[T](s, r); err != nil {
			return nil, err
		}
	}
	return all, nil
}
