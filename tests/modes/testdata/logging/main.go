//go:build unix

// Command logging has tasks that write to their logger, and with the argument "lose" one that loses its worker.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"syscall"

	"github.com/rankpool/rankpool/futures"
)

var speak = futures.RegisterContext("speak", func(ctx context.Context, x int) (int, error) {
	futures.Logger(ctx).Info("from a task", "x", x)
	return x, nil
})

var die = futures.Register("die", func(int) (int, error) {
	return 0, syscall.Kill(os.Getpid(), syscall.SIGKILL)
})

func main() { futures.Main(run) }

func run(ctx context.Context) error {
	futures.Logger(ctx).Info("from the program")
	ex, err := futures.NewMPIPoolExecutor()
	if err != nil {
		return err
	}
	defer ex.Close()
	each, err := futures.SubmitEach(ex, speak, 7)
	if err != nil {
		return err
	}
	if _, err := each.Result(ctx); err != nil || len(os.Args) < 2 {
		return err
	}
	lost, err := futures.Submit(ex, die, 0)
	if err != nil {
		return err
	}
	if _, err := lost.Result(ctx); !errors.Is(err, futures.ErrBroken) {
		return fmt.Errorf("the task that ends its worker: %w", err)
	}
	after, err := futures.SubmitEach(ex, speak, 8) // when another is in its place, where that can be
	if err != nil {
		return err
	}
	_, err = after.Result(ctx)
	return err
}
