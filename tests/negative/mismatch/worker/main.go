// Command worker is what mismatch/master starts.
package main

import (
	"context"
	"errors"

	"github.com/rankpool/rankpool/futures"
)

var (
	_ = futures.Register("inc", func(x int64) (int, error) { return int(x) + 1, nil })
	_ = futures.Register("onlyWorker", func(x int) (int, error) { return x, nil })
)

func main() {
	futures.Main(func(context.Context) error { return errors.New("not meant to be a master") })
}
