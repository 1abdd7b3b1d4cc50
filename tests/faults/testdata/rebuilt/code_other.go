//go:build othercode

package main

import "math/big"

// compute is another way to the same result, or to another one: nobody but the author knows.
func compute(p point) (number, error) {
	x := big.NewInt(int64(p.X))
	return number(x.Mul(x, x).Int64()) + 1, nil
}
