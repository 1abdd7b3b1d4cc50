// Settings changes its own process between executors whose workers are the same ranks.
package main

import (
	"context"
	"fmt"
	"os"

	"github.com/rankpool/rankpool/futures"
)

var getenv = futures.Register("getenv", func(name string) (string, error) {
	v, set := os.LookupEnv(name)
	return fmt.Sprintf("%q %v", v, set), nil
})

func main() { futures.Main(run) }

// open starts an executor and says what its tasks see.
func open(ctx context.Context, name string) (*futures.MPIPoolExecutor, error) {
	ex, err := futures.NewMPIPoolExecutor()
	if err != nil {
		return nil, err
	}
	f, err := futures.Submit(ex, getenv, "SEASON")
	if err != nil {
		fmt.Println(name, "is refused:", err)
		return ex, nil
	}
	v, err := f.Result(ctx)
	fmt.Println(name, "sees", v, err)
	return ex, nil
}

func run(ctx context.Context) error {
	first, err := open(ctx, "the first")
	if err != nil {
		return err
	}
	second, err := open(ctx, "another with the same settings")
	if err != nil {
		return err
	}
	for _, season := range []string{"winter", ""} {
		if season == "" {
			os.Unsetenv("SEASON")
		} else {
			os.Setenv("SEASON", season)
		}
		beside, err := open(ctx, "one beside it, "+season)
		if err != nil {
			return err
		}
		for _, ex := range []*futures.MPIPoolExecutor{first, second, beside} {
			if err := ex.Close(); err != nil {
				return err
			}
		}
		if first, err = open(ctx, "one after it, "+season); err != nil {
			return err
		}
		second = first
	}
	return first.Close()
}
