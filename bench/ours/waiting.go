package ours

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"slices"
	"sync/atomic"
	"time"

	"github.com/rankpool/rankpool/futures"
)

var (
	sleep = futures.Register("bench.sleep", sleeps)
	hold  = futures.Register("bench.hold", holds)
	spin  = futures.Register("bench.spin", spins)
	spent = futures.Register("bench.spent", func(struct{}) (time.Duration, error) { return processorTime(), nil })
)

// sleeps sleeps, and returns how long that took.
func sleeps(d time.Duration) (time.Duration, error) {
	begin := time.Now()
	time.Sleep(d)
	return time.Since(begin), nil
}

// holdLimit is how long a task keeps its worker at most.
const holdLimit = time.Minute

// holds keeps its worker until a file is gone.
func holds(path string) (bool, error) {
	for end := time.Now().Add(holdLimit); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		if _, err := os.Stat(path); err != nil {
			return true, nil
		}
	}
	return false, fmt.Errorf("%s is still there after %v", path, holdLimit)
}

// sleeping runs n tasks that sleep.
func sleeping(ctx context.Context, b *bench) error {
	ds := slices.Repeat([]time.Duration{b.millis("ms", 10)}, b.setting("n", 10_000))
	begin := time.Now()
	if _, err := run(ctx, b, ds); err != nil {
		return err
	}
	b.values["per_second"] = float64(len(ds)) / time.Since(begin).Seconds()
	return nil
}

// skewed runs n tasks that sleep 100 µs, every hundredth 10 ms. The best schedule is that in which no worker is ever
// without work, computed from what the tasks took.
func skewed(ctx context.Context, b *bench) error {
	ds := make([]time.Duration, b.setting("n", 10_000))
	for i := range ds {
		if ds[i] = 100 * time.Microsecond; i%100 == 99 {
			ds[i] = 10 * time.Millisecond
		}
	}
	begin := time.Now()
	sum, err := run(ctx, b, ds)
	b.values["took"] = time.Since(begin).Seconds()
	b.values["best"] = sum.Seconds() / float64(b.job.Workers)
	return err
}

// run submits tasks that sleep, waits for all, and returns what they took together.
func run(ctx context.Context, b *bench, ds []time.Duration) (sum time.Duration, err error) {
	fs := make([]*futures.Future[time.Duration], len(ds))
	for i, d := range ds {
		if fs[i], err = futures.Submit(b.ex, sleep, d); err != nil {
			return 0, err
		}
	}
	for _, f := range fs {
		took, err := f.Result(ctx)
		if err != nil {
			return 0, err
		}
		sum += took
	}
	return sum, nil
}

// heaps measures the master's heap while all workers are held up: by futures that wait, by elements of a map that wait,
// and by results of a map that nobody has read.
func heaps(ctx context.Context, b *bench) error {
	err := behind(ctx, b, func(release func()) error {
		fs := make([]*futures.Future[int], b.setting("futures", 1_000_000))
		before := heap()
		var err error
		for i := range fs {
			if fs[i], err = futures.Submit(b.ex, add, i); err != nil {
				return err
			}
		}
		b.values["future"] = (heap() - before) / float64(len(fs))
		release()
		for i, f := range fs {
			if err := check(ctx, f, i); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	if err := unread(ctx, b); err != nil {
		return err
	}
	return behind(ctx, b, func(release func()) error {
		xs := make([]int, b.setting("elements", 10_000_000))
		for i := range xs {
			xs[i] = i
		}
		var arrived atomic.Int64
		all := make(chan struct{})
		before := heap()
		ys := futures.Map(ctx, b.ex, add, xs, futures.WithArrivals(func(n int) {
			if arrived.Add(int64(n)) == int64(len(xs)) {
				close(all)
			}
		}))
		b.values["element"] = (heap() - before) / float64(len(xs))
		release()
		select {
		case <-all:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
		b.values["result"] = (heap() - before) / float64(len(xs))
		for _, err := range ys {
			if err != nil {
				return err
			}
		}
		runtime.KeepAlive(xs)
		return nil
	})
}

// unread measures what the results of tasks take that nobody has read: of tasks of 100 µs, which are answered one by one.
func unread(ctx context.Context, b *bench) error {
	xs := make([]int, b.setting("spins", 20_000))
	for i := range xs {
		xs[i] = i
	}
	var arrived atomic.Int64
	all := make(chan struct{})
	before := heap()
	ys := futures.Map(ctx, b.ex, spin, xs, futures.WithArrivals(func(n int) {
		if arrived.Add(int64(n)) == int64(len(xs)) {
			close(all)
		}
	}))
	select {
	case <-all:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	b.values["slow"] = (heap() - before) / float64(len(xs))
	for _, err := range ys {
		if err != nil {
			return err
		}
	}
	runtime.KeepAlive(xs)
	return nil
}

// spins computes for 100 µs.
func spins(x int) (int, error) {
	for begin := time.Now(); time.Since(begin) < 100*time.Microsecond; {
	}
	return x, nil
}

// behind calls f while every worker is held up, until f calls release.
func behind(ctx context.Context, b *bench, f func(release func()) error) error {
	folder, err := os.MkdirTemp("", "rankpool-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(folder)
	gate := filepath.Join(folder, "gate")
	if err := os.WriteFile(gate, nil, 0o600); err != nil {
		return err
	}
	held, err := futures.SubmitEach(b.ex, hold, gate)
	if err != nil {
		return err
	}
	if err := f(func() { _ = os.Remove(gate) }); err != nil { // a gate that stays fails the task
		return err
	}
	_, err = held.Result(ctx)
	return err
}

func heap() float64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return float64(m.HeapAlloc)
}

// idle measures the processor time of the master and of the workers while nothing is in flight, in a pause of 10 s; a
// shorter one is scaled.
func idle(ctx context.Context, b *bench) error {
	const whole = 10 * time.Second
	pause := b.millis("pause", int(whole.Milliseconds()))
	ask := func() (all []time.Duration, at time.Time, err error) {
		all, err = onEach(ctx, b.ex, spent, struct{}{})
		return all, time.Now(), err
	}
	before, asked, err := ask()
	if err != nil {
		return err
	}
	debug.FreeOSMemory() // the garbage of the start is not the cost of waiting
	if err := rest(ctx, 200*time.Millisecond); err != nil {
		return err
	}
	own, begin := processorTime(), time.Now()
	if err := rest(ctx, pause); err != nil {
		return err
	}
	b.values["master"] = (processorTime() - own).Seconds() * float64(whole) / float64(time.Since(begin))
	after, answered, err := ask()
	if err != nil {
		return err
	}
	for i := range after {
		b.values["worker"] = max(b.values["worker"], (after[i]-before[i]).Seconds()/answered.Sub(asked).Seconds())
	}
	return nil
}
