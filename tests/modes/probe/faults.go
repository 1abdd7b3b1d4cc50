//go:build unix

package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"syscall"
	"time"

	"github.com/rankpool/rankpool/futures"
)

func init() {
	for name, act := range map[string]func(context.Context) error{
		"initpanic": brokenInitializer, "initexit": brokenInitializer, "mastergone": masterGone, "stuck": stuck, "bound": bound,
		"big": big, "levels": levels,
	} {
		acts[name] = act
	}
	if os.Getenv("PROBE_EARLY") == "init" {
		executor()
	}
}

var (
	// initialize goes well in the first process that calls it, and in the others goes wrong as it is told.
	initialize = futures.Register("initialize", func(how string) (int, error) {
		f, err := os.OpenFile(filepath.Join(*dir, "first"), os.O_CREATE|os.O_EXCL, 0o600)
		if err == nil {
			return 0, f.Close()
		}
		if how == "initexit" {
			os.Exit(3)
		}
		panic("not on this one")
	})

	identify = futures.Register("identify", func(d time.Duration) ([2]int, error) {
		time.Sleep(d)
		return [2]int{os.Getpid(), runtime.GOMAXPROCS(0)}, nil
	})
)

func brokenInitializer(ctx context.Context) error {
	var limit []futures.Option
	if flag.Arg(0) == "initexit" { // nobody else says that it has not come up
		limit = append(limit, futures.WithStartTimeout(5*time.Second))
	}
	ex := executor(append(limit, futures.WithInitializer(initialize, flag.Arg(0)))...)
	defer ex.Close()
	_, err := submit(ex, add, 1).Result(ctx)
	fmt.Println("broken:", errors.Is(err, futures.ErrBroken), err)
	return err
}

// masterGone kills the master while its workers are busy.
func masterGone(ctx context.Context) error {
	if err := busy(ctx); err != nil {
		return err
	}
	return syscall.Kill(os.Getpid(), syscall.SIGKILL)
}

// stuck never ends, and neither does a process that one of its workers has started.
func stuck(ctx context.Context) error {
	if err := busy(ctx); err != nil {
		return err
	}
	select {}
}

// busy gives every worker something to do that does not end.
func busy(ctx context.Context) error {
	ex := executor()
	n, err := ex.NumWorkers(ctx)
	if err != nil {
		return err
	}
	var all []*futures.Future[[2]int]
	for range n {
		all = append(all, submit(ex, identify, 100*time.Millisecond))
	}
	for _, f := range all {
		who, err := f.Result(ctx)
		if err != nil {
			return err
		}
		fmt.Println("process", who[0])
		submit(ex, hold, *dir)
	}
	_, err = atWork(ctx, *dir, n)
	return err
}

// bound says on how many cores the workers are.
func bound(ctx context.Context) error {
	ex := executor()
	defer ex.Close()
	n, err := ex.NumWorkers(ctx)
	if err != nil {
		return err
	}
	for range n {
		who, err := submit(ex, identify, 50*time.Millisecond).Result(ctx)
		if err != nil {
			return err
		}
		fmt.Println("worker with GOMAXPROCS", who[1])
	}
	return nil
}

// levels has everything at work at once: many small tasks, large slices both ways, and a goroutine that waits for each.
func levels(ctx context.Context) error {
	ex := executor()
	defer ex.Close()
	var small []*futures.Future[int]
	for i := range 5000 {
		small = append(small, submit(ex, add, i))
	}
	large := make([]float64, 1<<18)
	for i := range large {
		large[i] = float64(i)
	}
	for i := range 20 {
		large[0] = float64(i)
		if back, err := submit(ex, echo, large).Result(ctx); err != nil || !slices.Equal(back, large) {
			return fmt.Errorf("echo %d: %w", i, err)
		}
	}
	for i, f := range small {
		if v, err := f.Result(ctx); err != nil || v != i+1 {
			return fmt.Errorf("task %d: %d, %w", i, v, err)
		}
	}
	fmt.Println("all of it came back")
	return nil
}

// big sends a slice of the length given with -tasks there and back.
func big(ctx context.Context) error {
	ex := executor()
	defer ex.Close()
	x := make([]float64, *tasks)
	for i := 0; i < len(x); i += 511 {
		x[i] = float64(i)
	}
	x[len(x)-1] = -1
	y, err := submit(ex, echo, x).Result(ctx)
	if err != nil {
		return err
	}
	wrong := 0
	for i := range y {
		if y[i] != x[i] {
			wrong++
		}
	}
	fmt.Printf("%d bytes came back, %d of them wrong\n", 8*len(y), 8*wrong)
	return nil
}
