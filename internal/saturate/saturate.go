// Package saturate computes with durations that a user may choose freely: a result that does not fit is the longest or the
// shortest duration there is, never one of the other sign.
package saturate

import (
	"math"
	"time"
)

const (
	longest  = time.Duration(math.MaxInt64)
	shortest = time.Duration(math.MinInt64)
)

// Add returns a + b.
func Add(a, b time.Duration) time.Duration {
	sum := a + b
	switch {
	case a > 0 && b > 0 && sum < 0:
		return longest
	case a < 0 && b < 0 && sum >= 0:
		return shortest
	}
	return sum
}

// Mul returns n times d, for n from 0 on.
func Mul(d time.Duration, n int) time.Duration {
	switch {
	case n == 0 || d == 0:
		return 0
	case d > longest/time.Duration(n):
		return longest
	case d < shortest/time.Duration(n):
		return shortest
	}
	return d * time.Duration(n)
}

// Seconds returns so many seconds as a duration. What is not a number is 0.
func Seconds(s float64) time.Duration {
	switch ns := s * float64(time.Second); {
	case math.IsNaN(ns):
		return 0
	case ns >= math.MaxInt64:
		return longest
	case ns <= math.MinInt64:
		return shortest
	default:
		return time.Duration(ns)
	}
}
