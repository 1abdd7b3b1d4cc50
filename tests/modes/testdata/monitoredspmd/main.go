//go:build unix

// Command monitoredspmd has an executor on each rank.
package main

import (
	"context"

	"github.com/rankpool/rankpool/futures"
	_ "github.com/rankpool/rankpool/monitor"
	"github.com/rankpool/rankpool/spmd"
)

var echo = futures.Register("echo", func(x int) (int, error) { return x, nil })

func main() { spmd.Main(run) }

func run(ctx context.Context) error {
	ex, err := futures.NewThreadPoolExecutor()
	if err != nil {
		return err
	}
	f, err := futures.Submit(ex, echo, 1)
	if err != nil {
		return err
	}
	if _, err := f.Result(ctx); err != nil {
		return err
	}
	return ex.Close()
}
