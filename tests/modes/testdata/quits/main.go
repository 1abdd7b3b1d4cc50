//go:build unix

// Command quits has a task on each worker, and gets SIGQUIT when all of them run.
package main

import (
	"context"
	"fmt"
	"os"
	"syscall"
	"time"

	"github.com/rankpool/rankpool/futures"
)

// hold says that it has begun, and does not end before its worker is ended.
var hold = futures.Register("hold", func(i int) (int, error) {
	if err := os.WriteFile(fmt.Sprint("begun-", i), nil, 0o600); err != nil {
		return 0, err
	}
	time.Sleep(time.Hour)
	return i, nil
})

func main() { futures.Main(run) }

func run(ctx context.Context) error {
	ex, err := futures.NewMPIPoolExecutor()
	if err != nil {
		return err
	}
	n, err := ex.NumWorkers(ctx)
	if err != nil {
		return err
	}
	xs := make([]int, n+3)
	for i := range xs {
		xs[i] = i
	}
	results := futures.Map(ctx, ex, hold, xs)
	for i := range n {
		for { // the folder is that of all processes
			if _, err := os.Stat(fmt.Sprint("begun-", i)); err == nil {
				break
			}
			time.Sleep(time.Millisecond)
		}
	}
	if err := syscall.Kill(os.Getpid(), syscall.SIGQUIT); err != nil {
		return err
	}
	for _, err := range results {
		return err
	}
	return nil
}
