// Package ours is what rankpool bench measures of rankpool itself: one program that is the master and the workers of
// any backend, does what it is told and prints figures.
//
// What to do comes as words like "submit,n=1000000": a figure and its settings. All of them are measured in one process,
// one after the other, on one executor that has been warmed up.
package ours

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/rankpool/rankpool/futures"
)

// Mark begins every line with figures, a JSON object of numbers: "submit.per_second", "latency.p50". Times are in
// seconds, sizes in bytes. Launchers may put words before it. Peers that are no Go programs print the same.
const Mark = "RANKPOOL-BENCH "

// Job is what one start of the program does.
type Job struct {
	Backend string        // "threads", "processes", "mpi", or "auto": what the program was started with
	Workers int           // how many there are; 0 with "auto": as many as there are
	Slots   int           // how many of these each process has; 0 is one
	Specs   []string      // what to measure
	Limit   time.Duration // after which every process of the job ends by itself
	Profile string        // a folder for profiles of the processor's time; empty: none are taken

	Options []futures.Option            // further ones of the executor
	Beside  func(context.Context) error // called by the master before it measures, if not nil; its context ends with the work
}

// exitExpired is the status of a process that has reached its limit.
const exitExpired = 3

// Main does the job and ends the process: it is the whole program, in the master and in the workers.
func Main(j Job) {
	time.AfterFunc(j.Limit, func() {
		fmt.Fprintf(os.Stderr, "rankpool bench: %v did not end within %v\n", j.Specs, j.Limit)
		os.Exit(exitExpired)
	})
	futures.Main(j.run)
}

// measures are the figures by name.
var measures = map[string]func(context.Context, *bench) error{
	"submit": submit, "map": mapped, "latency": latency, "wake": wake, "echo": echoes, "start": start,
	"sleep": sleeping, "skew": skewed, "heap": heaps, "idle": idle, "hello": hello, "soak": soak, "channel": channel, "grain": grain,
}

// alone are the figures that are measured without the executor of the others.
var alone = map[string]bool{"start": true, "channel": true}

// bench is one figure while it is measured.
type bench struct {
	job      Job
	ex       futures.Executor
	label    string // how the values are named: the figure, or what the setting "as" says
	settings map[string]string
	bad      error // the first setting that is wrong
	values   map[string]float64
}

func (j Job) run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	if j.Beside != nil {
		if err := j.Beside(ctx); err != nil {
			return err
		}
	}
	var ex futures.Executor
	for _, spec := range j.Specs {
		name, rest, _ := strings.Cut(spec, ",")
		measure, ok := measures[name]
		if !ok {
			return fmt.Errorf("bench: there is no figure %q", name)
		}
		b := &bench{job: j, label: name, settings: map[string]string{}, values: map[string]float64{}}
		for s := range strings.SplitSeq(rest, ",") {
			k, v, _ := strings.Cut(s, "=")
			b.settings[k] = v
		}
		if as := b.settings["as"]; as != "" {
			b.label = as
		}
		if ex == nil && !alone[name] {
			var err error
			if ex, err = open(ctx, j.Backend, j.Workers, j.Slots, j.Options...); err != nil {
				return err
			}
			defer ex.Close()
			if err := warm(ctx, ex); err != nil {
				return err
			}
		}
		b.ex = ex
		debug.FreeOSMemory() // what the figure before has left is not this one's cost
		if j.Profile != "" {
			plain := measure
			measure = func(ctx context.Context, b *bench) error { return b.profiled(ctx, j.Profile, plain) }
		}
		if err := measure(ctx, b); err != nil {
			return fmt.Errorf("bench: %s: %w", spec, err)
		}
		if b.bad != nil {
			return b.bad
		}
		b.print()
	}
	return nil
}

// print writes the values of a figure, if it has any.
func (b *bench) print() {
	if len(b.values) == 0 {
		return
	}
	named := make(map[string]float64, len(b.values))
	for k, v := range b.values {
		named[b.label+"."+k] = v
	}
	text, err := json.Marshal(named)
	if err != nil { // an infinite number
		fmt.Fprintln(os.Stderr, "rankpool bench:", err)
		return
	}
	fmt.Printf("%s%s\n", Mark, text)
}

// setting returns a number from the settings, or what it is by default.
func (b *bench) setting(name string, otherwise int) int {
	v, ok := b.settings[name]
	if !ok {
		return otherwise
	}
	n, err := strconv.Atoi(v)
	if (err != nil || n < 1) && b.bad == nil {
		b.bad = fmt.Errorf("bench: %s: %s=%q is no positive number", b.label, name, v)
	}
	return max(n, 1)
}

// millis returns a duration from the settings.
func (b *bench) millis(name string, otherwise int) time.Duration {
	return time.Duration(b.setting(name, otherwise)) * time.Millisecond
}

// spread sets the median, the 99th percentile and the extremes of some times.
func (b *bench) spread(all []time.Duration) {
	slices.Sort(all)
	for name, i := range map[string]int{"min": 0, "p50": len(all) / 2, "p99": len(all) * 99 / 100, "max": len(all) - 1} {
		b.values[name] = all[i].Seconds()
	}
}

// automatic is the backend that the library chooses.
const automatic = "auto"

// open starts the workers of a backend and waits for them. The error says so when it is not what was asked for: figures of
// another backend must not pass for those of this one.
func open(ctx context.Context, backend string, workers, slots int, options ...futures.Option) (ex futures.Executor, err error) {
	slots = max(1, slots)
	if slots > 1 {
		options = append(slices.Clip(options), futures.WithSlots(slots))
	}
	limited := append(slices.Clip(options), futures.WithMaxWorkers(max(1, workers/slots)))
	switch backend {
	case automatic:
		ex, err = executor(futures.NewMPIPoolExecutor(options...))
	case "threads":
		ex, err = executor(futures.NewThreadPoolExecutor(limited...))
	case "processes":
		ex, err = executor(futures.NewProcessPoolExecutor(limited...))
	case "mpi":
		ex, err = executor(futures.NewMPIPoolExecutor(limited...))
	default:
		err = fmt.Errorf("bench: there is no backend %q", backend)
	}
	if err != nil {
		return nil, err
	}
	n, err := ex.NumWorkers(ctx)
	if err == nil {
		err = ex.Bootup(ctx)
	}
	switch {
	case err != nil:
	case n == 0:
		f, submitErr := futures.Submit(ex, add, 0) // a broken executor says why at Submit only
		if err = submitErr; err == nil {
			_, err = f.Result(ctx)
		}
		err = fmt.Errorf("bench: the workers have not come up: %w", err)
	case backend == automatic:
	case ex.Backend() != backend:
		err = fmt.Errorf("bench: the workers are %s, not %s: the program was not started as it should have been", ex.Backend(), backend)
	case n != workers:
		err = fmt.Errorf("bench: there are %d workers, not %d", n, workers)
	}
	if err != nil {
		_ = ex.Close()
		return nil, err
	}
	return ex, nil
}

// executor makes one type of a constructor's result, and no interface around a nil.
func executor[E futures.Executor](ex E, err error) (futures.Executor, error) {
	if err != nil {
		return nil, err
	}
	return ex, nil
}

// warm runs tasks until the scheduler knows what they take.
func warm(ctx context.Context, ex futures.Executor) error {
	for i := range 1000 {
		if err := call(ctx, ex, i); err != nil {
			return err
		}
	}
	return nil
}

// call runs one task.
func call(ctx context.Context, ex futures.Executor, i int) error {
	f, err := futures.Submit(ex, add, i)
	if err != nil {
		return err
	}
	return check(ctx, f, i)
}

// check waits for the result of add.
func check(ctx context.Context, f *futures.Future[int], i int) error {
	if v, err := f.Result(ctx); err != nil || v != i+1 {
		return fmt.Errorf("task %d returned %d, %w", i, v, err)
	}
	return nil
}
