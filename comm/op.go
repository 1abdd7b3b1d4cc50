package comm

import "golang.org/x/exp/constraints"

// Op combines two values, of which left is that of the lower ranks. It need not commute. It may keep or change right, but not left.
type Op[T any] func(left, right T) T

// Number is the type of the values that the operations of this package compute with.
type Number interface {
	constraints.Integer | constraints.Float
}

// Sum adds.
func Sum[T Number | constraints.Complex](a, b T) T { return a + b }

// Prod multiplies.
func Prod[T Number | constraints.Complex](a, b T) T { return a * b }

// Min returns the smaller one; NaN if either is.
func Min[T Number](a, b T) T { return min(a, b) }

// Max returns the greater one; NaN if either is.
func Max[T Number](a, b T) T { return max(a, b) }

// Elementwise makes an operation on slices from one on their elements. The result overwrites the right slice. It panics when op is nil; the
// operation panics, which fails the task, when the slices have different lengths.
func Elementwise[T any](op Op[T]) Op[[]T] {
	if op == nil {
		panic("comm: Elementwise: the operation is nil")
	}
	return func(a, b []T) []T {
		if len(a) != len(b) {
			panic("comm: Elementwise: slices of different lengths")
		}
		for i := range b {
			b[i] = op(a[i], b[i])
		}
		return b
	}
}
