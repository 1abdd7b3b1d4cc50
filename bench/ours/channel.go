package ours

import (
	"context"
	"fmt"
	"runtime"
	"sync"
	"time"
)

// channel is the peer of a pool of goroutines whose tasks sleep: as many goroutines, which take tasks from a channel and write the
// results into a slice. They are there before the time begins, as workers are.
func channel(ctx context.Context, b *bench) error {
	n, each := b.setting("n", 10_000), b.millis("ms", 10)
	tasks := make(chan int, b.job.Workers)
	results := make([]time.Duration, n)
	var there, all sync.WaitGroup
	there.Add(b.job.Workers)
	for range b.job.Workers {
		all.Go(func() {
			there.Done()
			for i := range tasks {
				results[i], _ = sleeps(each)
			}
		})
	}
	there.Wait()
	begin := time.Now()
	for i := range n {
		select {
		case tasks <- i:
		case <-ctx.Done():
			close(tasks)
			all.Wait()
			return context.Cause(ctx)
		}
	}
	close(tasks)
	all.Wait()
	b.values["per_second"] = float64(n) / time.Since(begin).Seconds()
	for i, took := range results {
		if took < each {
			return fmt.Errorf("task %d slept %v", i, took)
		}
	}
	return nil
}

// memoryInUse is what the program has in memory that is in use: its heap, and the stacks of its goroutines.
func memoryInUse() uint64 {
	runtime.GC()
	runtime.GC() // what pools keep goes with the second
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc + m.StackInuse
}
