// Command duplicate gives two functions one name.
package main

import (
	"context"

	"github.com/rankpool/rankpool/futures"
)

var (
	_ = futures.Register("twice", func(x int) (int, error) { return x, nil })
	_ = futures.Register("twice", func(x string) (string, error) { return x, nil })
)

func main() { futures.Main(func(context.Context) error { return nil }) }
