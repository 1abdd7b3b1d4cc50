//go:build unix

package main

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/rankpool/rankpool/futures"
)

// rate submits the tasks, then collects their results.
func rate(ctx context.Context) error {
	return measured(ctx, func(ex *futures.MPIPoolExecutor) error {
		begin := time.Now()
		all := make([]*futures.Future[int], *tasks)
		for i := range all {
			all[i] = submit(ex, add, i)
		}
		for i, f := range all {
			if v, err := f.Result(ctx); err != nil || v != i+1 {
				return fmt.Errorf("task %d: %d, %w", i, v, err)
			}
		}
		took(time.Since(begin) / time.Duration(*tasks))
		return nil
	})
}

// trips submits a task when the one before has ended.
func trips(ctx context.Context) error {
	return measured(ctx, func(ex *futures.MPIPoolExecutor) error {
		all := make([]time.Duration, *tasks)
		for i := range all {
			begin := time.Now()
			if v, err := submit(ex, add, i).Result(ctx); err != nil || v != i+1 {
				return fmt.Errorf("task %d: %d, %w", i, v, err)
			}
			all[i] = time.Since(begin)
		}
		took(middle(all))
		return nil
	})
}

// echoes sends 16 MiB there and back.
func echoes(ctx context.Context) error {
	large := make([]float64, 2<<20)
	for i := range large {
		large[i] = float64(i)
	}
	return measured(ctx, func(ex *futures.MPIPoolExecutor) error {
		all := make([]time.Duration, *tasks)
		for i := range all {
			begin := time.Now()
			back, err := submit(ex, echo, large).Result(ctx)
			all[i] = time.Since(begin)
			if err != nil || !slices.Equal(back, large) {
				return fmt.Errorf("echo of %d: %w", len(back), err)
			}
		}
		took(middle(all))
		return nil
	})
}

// measured runs f with an executor that has run tasks already.
func measured(ctx context.Context, f func(*futures.MPIPoolExecutor) error) error {
	ex := executor()
	defer ex.Close()
	for i := range 1000 {
		if _, err := submit(ex, add, i).Result(ctx); err != nil {
			return err
		}
	}
	return f(ex)
}

func middle(all []time.Duration) time.Duration {
	slices.Sort(all)
	return all[len(all)/2]
}

// took is what package modes reads.
func took(d time.Duration) { fmt.Printf("took %d ns\n", d.Nanoseconds()) }
