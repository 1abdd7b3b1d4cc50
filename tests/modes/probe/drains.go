//go:build unix

package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"github.com/rankpool/rankpool/futures"
)

// signalled is told to end while an initializer runs, while tasks run, or while it closes its executor.
func signalled(ctx context.Context) error {
	all := func(pids []int) {
		for _, pid := range append(pids, os.Getpid()) { // as schedulers and terminals do
			send(pid, syscall.SIGTERM)
		}
	}
	letGo := func() error { return os.WriteFile(filepath.Join(*dir, "go"), nil, 0o600) }
	switch flag.Arg(1) {
	case "starting":
		ex := executor(futures.WithInitializer(hold, *dir))
		f := submit(ex, add, 1)
		all(must(atWork(ctx, *dir, 1)))
		_, err := f.Result(context.Background())
		fmt.Println("a task:", errors.Is(err, futures.ErrDrained), err)
		if err := letGo(); err != nil {
			return err
		}
		return ex.Close()
	case "running":
		return drained(ctx, executor(), 3, *dir, all)
	case "deaf": // its tasks run on
		ex := executor()
		f := submit(ex, hold, *dir)
		all(must(atWork(ctx, *dir, 1)))
		_, err := f.Result(ctx)
		return err
	default:
		told := make(chan os.Signal, 1)
		signal.Notify(told, syscall.SIGTERM)
		go func() {
			<-told
			_ = letGo()
		}()
		submit(executor(), signalMaster, futures.Pair[int, string]{First: os.Getpid(), Second: *dir})
		return nil // the task finds the master closing its executor
	}
}

// drained is told to end while n tasks run and others wait.
func drained(ctx context.Context, ex *futures.MPIPoolExecutor, n int, dir string, tell func(pids []int)) error {
	runs, waits := make([]*futures.Future[int], n), make([]*futures.Future[int], 5)
	for i := range runs {
		runs[i] = submit(ex, hold, dir)
	}
	pids, err := atWork(ctx, dir, n)
	if err != nil {
		return err
	}
	for i := range waits {
		waits[i] = submit(ex, add, i)
	}
	tell(pids)
	for _, f := range waits {
		if _, err := f.Result(context.Background()); !errors.Is(err, futures.ErrDrained) {
			return fmt.Errorf("a task that waited: %w", err)
		}
	}
	fmt.Println("what waited: dropped")
	if err := os.WriteFile(filepath.Join(dir, "go"), nil, 0o600); err != nil {
		return err
	}
	for _, f := range runs {
		if _, err := f.Result(context.Background()); err != nil {
			return fmt.Errorf("a task that ran: %w", err)
		}
	}
	fmt.Println("what ran: delivered")
	return nil
}

// loseDrain loses a worker, which is no reason to drain, and is then told to drain.
func loseDrain(ctx context.Context) error {
	ex := executor()
	if _, err := loseOne(ctx, ex); err != nil {
		return err
	}
	n, err := ex.NumWorkers(ctx)
	fmt.Println("queued: done, workers:", n, err)
	return drained(ctx, ex, 2, must(os.MkdirTemp(*dir, "drained-")), func(pids []int) {
		for _, pid := range append(pids, os.Getpid()) {
			send(pid, syscall.SIGUSR1)
		}
		// MPICH's launcher tells of a loss by the same signal. If its word is still under way the two are one, which drains nothing.
		go func() {
			select {
			case <-ctx.Done():
			case <-time.After(20 * time.Second):
				send(os.Getpid(), syscall.SIGUSR1)
			}
		}()
	})
}

// signalMaster tells a master to end that waits for this task.
var signalMaster = futures.Register("signalMaster", func(p futures.Pair[int, string]) (int, error) {
	send(p.First, syscall.SIGTERM)
	for {
		if _, err := os.Stat(filepath.Join(p.Second, "go")); err == nil {
			return 0, nil
		}
		time.Sleep(time.Millisecond)
	}
})
