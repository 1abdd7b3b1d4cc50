package ours

import (
	"context"
	"fmt"
	"os"
	"runtime"
	"slices"
	"time"

	"github.com/rankpool/rankpool/futures"
)

var (
	add    = futures.Register("bench.add", func(x int) (int, error) { return x + 1, nil })
	whoami = futures.RegisterContext("bench.whoami", func(ctx context.Context, _ struct{}) (futures.WorkerInfo, error) { return futures.Worker(ctx) })
)

// submit submits n tasks, then collects their results.
func submit(ctx context.Context, b *bench) error {
	n := b.setting("n", 1_000_000)
	fs := make([]*futures.Future[int], n)
	allocated := mallocs()
	begin := time.Now()
	for i := range fs {
		f, err := futures.Submit(b.ex, add, i)
		if err != nil {
			return err
		}
		fs[i] = f
	}
	for i, f := range fs {
		if err := check(ctx, f, i); err != nil {
			return err
		}
	}
	took := time.Since(begin).Seconds()
	b.values["per_second"] = float64(n) / took
	b.values["each"] = took / float64(n)
	b.values["allocations"] = float64(mallocs()-allocated) / float64(n)
	return nil
}

func mallocs() uint64 {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.Mallocs
}

// mapped maps a function over n elements and reads the results.
func mapped(ctx context.Context, b *bench) error {
	xs := make([]int, b.setting("n", 10_000_000))
	for i := range xs {
		xs[i] = i
	}
	var opts []futures.MapOption
	if _, ok := b.settings["chunk"]; ok {
		opts = append(opts, futures.WithChunkSize(b.setting("chunk", 1)))
	}
	begin := time.Now()
	i := 0
	for y, err := range futures.Map(ctx, b.ex, add, xs, opts...) {
		if err != nil || y != i+1 {
			return fmt.Errorf("element %d became %d, %w", i, y, err)
		}
		i++
	}
	b.values["each"] = time.Since(begin).Seconds() / float64(len(xs))
	if i != len(xs) {
		return fmt.Errorf("%d results of %d elements", i, len(xs))
	}
	return nil
}

// latency submits a task when the one before has ended.
func latency(ctx context.Context, b *bench) error {
	all := make([]time.Duration, b.setting("n", 20_000))
	for i := range all {
		begin := time.Now()
		if err := call(ctx, b.ex, i); err != nil {
			return err
		}
		all[i] = time.Since(begin)
	}
	b.spread(all)
	return nil
}

// wake submits a task after a pause.
func wake(ctx context.Context, b *bench) error {
	pause := b.millis("pause", 1000)
	all := make([]time.Duration, b.setting("n", 3))
	for i := range all {
		if err := rest(ctx, pause); err != nil {
			return err
		}
		begin := time.Now()
		if err := call(ctx, b.ex, i); err != nil {
			return err
		}
		all[i] = time.Since(begin)
	}
	b.spread(all)
	return nil
}

// rest waits without computing.
func rest(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// start starts workers, as many as there are to be, and waits until all are ready.
func start(ctx context.Context, b *bench) error {
	workers := b.setting("workers", b.job.Workers)
	before := memoryInUse()
	begin := time.Now()
	ex, err := open(ctx, b.job.Backend, workers, b.job.Slots)
	if err != nil {
		return err
	}
	b.values["ready"] = time.Since(begin).Seconds()
	b.values["each"] = b.values["ready"] / float64(workers)
	b.values["bytes"] = max(0, float64(memoryInUse())-float64(before)) / float64(workers)
	return ex.Close()
}

// hello prints a line for the master and one for every worker: where it is, and its rank if it has one.
func hello(ctx context.Context, b *bench) error {
	all, err := onEach(ctx, b.ex, whoami, struct{}{})
	if err != nil {
		return err
	}
	host, err := os.Hostname()
	if err != nil {
		return err
	}
	rank := "" // spawned workers have those of their own world
	if len(all) > 0 && all[0].Rank > 0 {
		rank = "rank 0, "
	}
	fmt.Printf("hello from the master of %d workers on %s (%s%s, process %d)\n", len(all), host, rank, b.ex.Backend(), os.Getpid())
	for i, w := range all {
		if w.Rank >= 0 {
			rank = fmt.Sprintf("rank %d, ", w.Rank)
		}
		fmt.Printf("hello from worker %d of %d on %s (%s%s, process %d)\n", i, len(all), w.Host, rank, b.ex.Backend(), w.Pid)
	}
	return nil
}

var echo = futures.Register("bench.echo", func(x []float64) ([]float64, error) { return x, nil })

// echoes sends large slices there and back, one at a time.
func echoes(ctx context.Context, b *bench) error {
	xs := make([]float64, max(1, b.setting("bytes", 1<<20)/8))
	for i := range xs {
		xs[i] = float64(i)
	}
	const unmeasured = 2
	all := make([]time.Duration, b.setting("n", 10)+unmeasured)
	for i := range all {
		begin := time.Now()
		f, err := futures.Submit(b.ex, echo, xs)
		if err != nil {
			return err
		}
		back, err := f.Result(ctx)
		all[i] = time.Since(begin)
		if err != nil {
			return err
		}
		if len(back) != len(xs) || i < unmeasured && !slices.Equal(back, xs) {
			return fmt.Errorf("what came back is something else, of length %d", len(back))
		}
	}
	b.spread(all[unmeasured:])
	return nil
}
