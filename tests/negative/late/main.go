// Command late registers a function when the workers' tables are closed.
package main

import (
	"context"

	"github.com/rankpool/rankpool/futures"
)

func main() {
	futures.Main(func(context.Context) error {
		futures.Register("late", func(x int) (int, error) { return x, nil })
		return nil
	})
}
