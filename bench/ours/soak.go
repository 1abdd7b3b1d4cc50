package ours

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/rankpool/rankpool/futures"
)

var (
	resident = futures.Register("bench.resident", func(struct{}) (float64, error) { return residentMemory() })
	refuse   = futures.Register("bench.refuse", func(int) (int, error) { return 0, errRefused })
)

var errRefused = errors.New("refused")

// soak keeps the pool at its full rate for a while, with everything that a program does in turns, and looks at the memory
// of the master and of a worker: "early" is the middle value between a tenth and three tenths of the time, "late" that of
// the last fifth.
func soak(ctx context.Context, b *bench) error {
	length := time.Duration(b.setting("seconds", 600)) * time.Second
	xs := make([]int, 200_000)
	vector := make([]float64, 1<<17)
	var masters, workers []float64
	tasks := 0
	begin := time.Now()
	for time.Since(begin) < length {
		n, err := soakOnce(ctx, b, xs, vector)
		if err != nil {
			return err
		}
		tasks += n
		own, err := residentMemory()
		if err != nil {
			return err
		}
		f, err := futures.Submit(b.ex, resident, struct{}{})
		if err != nil {
			return err
		}
		theirs, err := f.Result(ctx)
		if err != nil {
			return err
		}
		masters, workers = append(masters, own), append(workers, theirs)
	}
	for name, all := range map[string][]float64{"master": masters, "worker": workers} {
		n := len(all)
		b.values[name+".early"] = middle(all[n/10 : n*3/10+1])
		b.values[name+".late"] = middle(all[n*4/5:])
	}
	b.values["per_second"] = float64(tasks) / time.Since(begin).Seconds()
	return nil
}

// soakOnce is one of every kind, and returns how many tasks and elements that were.
func soakOnce(ctx context.Context, b *bench, xs []int, vector []float64) (int, error) {
	fs := make([]*futures.Future[int], 50_000)
	for i := range fs {
		var err error
		if fs[i], err = futures.Submit(b.ex, add, i); err != nil {
			return 0, err
		}
	}
	for i, f := range fs {
		if err := check(ctx, f, i); err != nil {
			return 0, err
		}
	}
	for y, err := range futures.Map(ctx, b.ex, add, xs) {
		if err != nil || y != 1 {
			return 0, fmt.Errorf("a map's element is %d, %w", y, err)
		}
	}
	for range 4 {
		f, err := futures.Submit(b.ex, echo, vector)
		if err != nil {
			return 0, err
		}
		if back, err := f.Result(ctx); err != nil || len(back) != len(vector) {
			return 0, fmt.Errorf("%d elements of %d came back, %w", len(back), len(vector), err)
		}
	}
	for range 20 {
		f, err := futures.Submit(b.ex, refuse, 1)
		if err != nil {
			return 0, err
		}
		if _, err := f.Result(ctx); err == nil {
			return 0, errors.New("a task that fails did not")
		}
	}
	return len(fs) + len(xs) + 24, nil
}

// middle is the median of at least one value.
func middle(all []float64) float64 {
	sorted := slices.Sorted(slices.Values(all))
	return sorted[len(sorted)/2]
}

// residentMemory is what this process has of the machine's memory, in bytes.
func residentMemory() (float64, error) {
	text, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		return 0, fmt.Errorf("the memory of a process is told by Linux only: %w", err)
	}
	fields := strings.Fields(string(text))
	if len(fields) < 2 {
		return 0, fmt.Errorf("/proc/self/statm says %q", text)
	}
	pages, err := strconv.ParseFloat(fields[1], 64)
	return pages * float64(os.Getpagesize()), err
}
