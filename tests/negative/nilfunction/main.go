// Command nilfunction registers no function.
package main

import (
	"context"

	"github.com/rankpool/rankpool/futures"
)

var _ = futures.Register[int, int]("nothing", nil)

func main() { futures.Main(func(context.Context) error { return nil }) }
