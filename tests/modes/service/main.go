//go:build unix

// Command service is master and workers of a pool whose workers are started apart. What it does its first argument says.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"syscall"
	"time"

	"github.com/rankpool/rankpool/futures"
)

var (
	double = futures.Register("double", func(x int) (int, error) { return 2 * x, nil })

	getenv = futures.Register("getenv", func(name string) (string, error) { return os.Getenv(name), nil })

	refuse = futures.Register("refuse", func(int) (int, error) { return 0, errors.New("told to refuse") })

	pid = futures.Register("pid", func(int) (int, error) { return os.Getpid(), nil })

	// sleep goes on until it is killed, for a while.
	sleep = futures.RegisterContext("sleep", func(ctx context.Context, d time.Duration) (int, error) {
		select {
		case <-time.After(d):
		case <-ctx.Done():
		}
		return os.Getpid(), nil
	})
)

var (
	service = flag.String("service", "", "WithService, unless empty")
	start   = flag.Duration("start", 20*time.Second, "WithStartTimeout")
)

func main() {
	if futures.InWorker() {
		fmt.Println("a worker before Main")
	}
	flag.Parse()
	futures.Main(run)
}

func run(ctx context.Context) error {
	options := []futures.Option{futures.WithStartTimeout(*start), futures.WithMaxWorkers(7)}
	if *service != "" {
		options = append(options, futures.WithService(*service))
	}
	switch flag.Arg(0) {
	case "env":
		options = append(options, futures.WithEnv(map[string]string{"GREETING": "from the master"}))
	case "initializer":
		options = append(options, futures.WithInitializer(refuse, 0))
	case "executable":
		options = append(options, futures.WithExecutable("/bin/true"))
	}
	ex, err := futures.NewMPIPoolExecutor(options...)
	if err != nil {
		return err
	}
	defer ex.Close()
	switch flag.Arg(0) {
	case "env":
		f, err := futures.Submit(ex, getenv, "GREETING")
		if err != nil {
			return err
		}
		s, err := f.Result(ctx)
		fmt.Println("GREETING is", s)
		return err
	case "kill", "die":
		return end(ctx, ex)
	}
	n, err := ex.NumWorkers(ctx)
	if err != nil {
		return err
	}
	sum := 0
	for y, err := range futures.Map(ctx, ex, double, []int{1, 2, 3, 4, 5, 6, 7, 8, 9, 10}) {
		if err != nil {
			if errors.Is(err, futures.ErrBroken) {
				fmt.Println("broken")
			}
			return err
		}
		sum += y
	}
	fmt.Printf("backend %s, workers %d, sum %d\n", ex.Backend(), n, sum)
	return nil
}

// end kills a worker, or this process, while a task runs.
func end(ctx context.Context, ex futures.Executor) error {
	f, err := futures.Submit(ex, pid, 0)
	if err != nil {
		return err
	}
	worker, err := f.Result(ctx)
	if err != nil {
		return err
	}
	long, err := futures.Submit(ex, sleep, time.Minute)
	if err != nil {
		return err
	}
	for !long.Running() {
		time.Sleep(time.Millisecond)
	}
	victim := worker
	if flag.Arg(0) == "die" {
		victim = os.Getpid()
	}
	if err := syscall.Kill(victim, syscall.SIGKILL); err != nil {
		return err
	}
	_, err = long.Result(ctx)
	if errors.Is(err, futures.ErrBroken) {
		fmt.Println("broken: true")
	}
	return err
}
