// Command emptyname gives a function no name.
package main

import (
	"context"

	"github.com/rankpool/rankpool/futures"
)

var _ = futures.Register("", func(x int) (int, error) { return x, nil })

func main() { futures.Main(func(context.Context) error { return nil }) }
