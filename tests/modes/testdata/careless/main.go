// Command careless is tests with a state that cannot be closed. Its argument says what they do about that.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/rankpool/rankpool/futures"
	"github.com/rankpool/rankpool/pool"
)

var errShaky = errors.New("the index was not written")

var (
	_ = futures.RegisterSentinel("careless.shaky", errShaky)

	shaky = futures.RegisterState("shaky", func(context.Context) (int, error) { return 1, nil }, func(int) error {
		if os.Args[1] == "well" {
			return nil
		}
		return errShaky
	})
	use = futures.RegisterContext("use", func(ctx context.Context, _ struct{}) (int, error) { return shaky.Get(ctx) })
)

// tests are what a test binary runs.
type tests struct{}

func (tests) Run() (status int) {
	ctx := context.Background()
	if os.Args[1] == "join" {
		p := must(pool.New())
		must(pool.Apply(ctx, p, use, struct{}{}))
		_ = p.Join(ctx)
		return 0
	}
	ex := must(futures.NewMPIPoolExecutor())
	must(must(futures.Submit(ex, use, struct{}{})).Result(ctx))
	switch os.Args[1] {
	case "drop", "well":
		_ = ex.Close()
	case "judge":
		if !errors.Is(ex.Close(), errShaky) {
			return 4
		}
	case "print":
		fmt.Println(ex.Close())
	case "fail":
		_ = ex.Close()
		return 3
	}
	return 0 // and if it is to be left open, it is
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func main() { futures.TestMain(tests{}) }
