package comm

import (
	"context"
	"errors"
	"fmt"
)

// Scan gives rank r the combined values of the ranks 0 … r, bit for bit what [Reduce] gives in a communicator of these ranks alone. So the
// last rank has what [Reduce] returns, even if op rounds. The order of the operations is this: the ranks 0 … r are cut into blocks whose
// sizes are falling powers of two, each block is reduced as by [Reduce], and the blocks are combined from the right. MPI 4.1, section
// 6.11.1: MPI_Scan.
func Scan[T any](ctx context.Context, c *Comm, v T, op Op[T]) (T, error) {
	return scan(ctx, c, v, op, scanVerb)
}

// Exscan is [Scan] without the rank's own value: rank r has what [Scan] gives rank r-1, and rank 0 the zero value.
// MPI 4.1, section 6.11.2: MPI_Exscan.
func Exscan[T any](ctx context.Context, c *Comm, v T, op Op[T]) (T, error) {
	return scan(ctx, c, v, op, exscanVerb)
}

// scan doubles blocks of ranks. Before the step of a bit each rank has what is below it in its block, and with a rank above
// the block the block's total; the upper half of the new block takes the total of the lower, and gives its own if somebody needs it.
func scan[T any](ctx context.Context, c *Comm, v T, op Op[T], name verb) (T, error) {
	var zero T
	if op == nil {
		return zero, fmt.Errorf("comm: %v: the operation is nil", name)
	}
	s, err := begin(ctx, c, name, 0)
	if err != nil {
		return zero, err
	}
	n, me := c.Size(), c.Rank()
	total, err := clone(v) // an operation may change what is on its right
	if err != nil {
		return zero, s.failed(err)
	}
	below, has := zero, false
	if name == scanVerb {
		if below, err = clone(v); err != nil {
			return zero, s.failed(err)
		}
		has = true
	}
	for bit := 1; bit < n; bit <<= 1 {
		other := me ^ bit
		needed := me&^(2*bit-1)+2*bit < n // the total of the new block, by those above it
		switch {
		case other >= n:
		case me&bit == 0:
			if err := sendTo(s, &total, other); err != nil {
				return zero, err
			}
			if needed {
				right, err := recvFrom[T](s, other)
				if err != nil {
					return zero, err
				}
				total = op(total, right)
			}
		default:
			if needed {
				if err := sendTo(s, &total, other); err != nil {
					return zero, err
				}
			}
			left, err := recvFrom[T](s, other)
			if err != nil {
				return zero, err
			}
			if needed {
				again, err := clone(left)
				if err != nil {
					return zero, s.failed(err)
				}
				total = op(again, total)
			}
			if has {
				below = op(left, below)
			} else {
				below, has = left, true
			}
		}
	}
	return below, nil
}

// ReduceScatter combines the slices of all ranks, element by element, and gives element r to rank r, bit for bit what [Reduce] and then
// [Scatter] would give it. A slice must have one element for each rank; another length is an error on all ranks. For the form with counts,
// use slices of any length as elements, with [Elementwise]. MPI 4.1, section 6.10: MPI_Reduce_scatter_block, MPI_Reduce_scatter.
func ReduceScatter[T any](ctx context.Context, c *Comm, vs []T, op Op[T]) (T, error) {
	var zero T
	if op == nil {
		return zero, errors.New("comm: ReduceScatter: the operation is nil")
	}
	s, err := begin(ctx, c, reduceScatterVerb, 0)
	if err != nil {
		return zero, err
	}
	all, err := exchange(s, vs)
	if err != nil {
		return zero, err
	}
	if all[c.Rank()], err = clone(all[c.Rank()]); err != nil { // an operation may change what is on its right
		return zero, s.failed(err)
	}
	for bit := 1; bit < len(all); bit <<= 1 { // the tree of reduce
		for r := 0; r+bit < len(all); r += 2 * bit {
			all[r] = op(all[r], all[r+bit])
		}
	}
	return all[0], nil
}
