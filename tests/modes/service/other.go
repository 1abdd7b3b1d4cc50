//go:build unix && other

package main

import "github.com/rankpool/rankpool/futures"

// Another program, which has one function more.
func init() { futures.Register("extra", func(x int) (int, error) { return x, nil }) }
