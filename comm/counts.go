package comm

import (
	"context"
	"fmt"
	"slices"
)

// Gatherv gives root the elements of all ranks in one slice, in the order of the ranks, and the number of elements of each; the others get
// nil. The slices may have any lengths. [Gather] of slices gives them one by one, without the copy into one. MPI 4.1, section 6.5:
// MPI_Gatherv.
func Gatherv[T any](ctx context.Context, c *Comm, vs []T, root int) (all []T, counts []int, err error) {
	s, err := begin(ctx, c, gathervVerb, root)
	if err != nil {
		return nil, nil, err
	}
	parts, err := gather(s, vs, root)
	if err != nil || c.Rank() != root {
		return nil, nil, err
	}
	all, counts = joined(parts)
	return all, counts, nil
}

// Allgatherv gives every rank the elements of all ranks in one slice, in the order of the ranks, and the number of elements of each. MPI
// 4.1, section 6.7: MPI_Allgatherv.
func Allgatherv[T any](ctx context.Context, c *Comm, vs []T) (all []T, counts []int, err error) {
	s, err := begin(ctx, c, allgathervVerb, 0)
	if err != nil {
		return nil, nil, err
	}
	parts, err := gather(s, vs, 0)
	if err != nil {
		return nil, nil, err
	}
	if c.Rank() == 0 {
		all, counts = joined(parts)
	}
	if counts, err = bcast(s, counts, 0); err != nil {
		return nil, nil, err
	}
	all, err = bcast(s, all, 0)
	return all, counts, err
}

// Scatterv cuts root's slice into parts of counts[r] elements and gives rank r its part, the first to rank 0 and so on. The slices and
// counts that the others pass are ignored. The counts must be one for each rank, none of them negative, and add up to the length of the
// slice; otherwise there is an error on all ranks. Root's own part is not copied. MPI 4.1, section 6.6: MPI_Scatterv.
func Scatterv[T any](ctx context.Context, c *Comm, all []T, counts []int, root int) ([]T, error) {
	s, err := begin(ctx, c, scattervVerb, root)
	if err != nil {
		return nil, err
	}
	if c.Rank() != root {
		return recvFrom[[]T](s, root)
	}
	parts, err := cut(all, counts, c.Size())
	if err != nil {
		return nil, s.refuse(err)
	}
	return scatter(s, parts, root)
}

// Alltoallv cuts the slice into parts of counts[r] elements and sends rank r its part, the first to rank 0 and so on. It returns the
// received elements in one slice, in the order of the ranks, and the number of elements from each. The rules for counts are those of
// [Scatterv]. [Alltoall] of slices gives them one by one, without the copy into one. MPI 4.1, section 6.8: MPI_Alltoallv.
func Alltoallv[T any](ctx context.Context, c *Comm, all []T, counts []int) (got []T, from []int, err error) {
	s, err := begin(ctx, c, alltoallvVerb, 0)
	if err != nil {
		return nil, nil, err
	}
	parts, err := cut(all, counts, c.Size())
	if err != nil {
		return nil, nil, s.refuse(err)
	}
	if parts, err = exchange(s, parts); err != nil {
		return nil, nil, err
	}
	got, from = joined(parts)
	return got, from, nil
}

func joined[T any](parts [][]T) (all []T, counts []int) {
	for _, p := range parts {
		counts = append(counts, len(p))
	}
	return slices.Concat(parts...), counts
}

// cut cuts a slice into n parts.
func cut[T any](all []T, counts []int, n int) ([][]T, error) {
	if len(counts) != n {
		return nil, fmt.Errorf("%d counts for %d ranks", len(counts), n)
	}
	rest, parts := all, make([][]T, n)
	for r, k := range counts {
		if k < 0 {
			return nil, fmt.Errorf("the count for rank %d is %d", r, k)
		}
		if k > len(rest) {
			return nil, fmt.Errorf("the counts up to rank %d add up to more than the %d elements", r, len(all))
		}
		parts[r], rest = rest[:k:k], rest[k:]
	}
	if len(rest) > 0 {
		return nil, fmt.Errorf("the counts leave out %d of the %d elements", len(rest), len(all))
	}
	return parts, nil
}
