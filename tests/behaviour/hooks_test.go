package behaviour_test

import (
	"context"
	"errors"
	"sync"
	"testing"

	"github.com/rankpool/rankpool/futures"
)

// told is what a hook was told.
type told struct {
	mu      sync.Mutex
	batches []*futures.HookBatch
}

func (h *told) take(_ context.Context, b *futures.HookBatch) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.batches = append(h.batches, b)
}

// all puts the batches together.
func (h *told) all() (all futures.HookBatch) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, b := range h.batches {
		all.Executor, all.Backend = b.Executor, b.Backend
		all.Maps = append(all.Maps, b.Maps...)
		all.Begun = append(all.Begun, b.Begun...)
		all.Ended = append(all.Ended, b.Ended...)
		all.Failures = append(all.Failures, b.Failures...)
		all.Cancelled = append(all.Cancelled, b.Cancelled...)
		all.Workers = append(all.Workers, b.Workers...)
		all.Merged += b.Merged
		all.Dropped += b.Dropped
		all.Last, all.Err = b.Last, b.Err
	}
	return all
}

// tasks returns the executors of the tasks.
func (h *told) tasks() (of []int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, b := range h.batches {
		for range b.Ended {
			of = append(of, b.Executor)
		}
	}
	return of
}

// end closes an executor, and waits until the hook has had the last batch. Close does, but only for some seconds, and a machine may be busy.
func (h *told) end(t *testing.T, ex futures.Executor) futures.HookBatch {
	t.Helper()
	if err := ex.Close(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the last batch", func() bool { return h.all().Last })
	return h.all()
}

func TestHooksAreToldOfTasksFailuresAndWorkers(t *testing.T) {
	each(t, func(t *testing.T, b backend) {
		var h told
		ex := b.start(t, max(b.workers, 2), futures.WithHooks(h.take, nil))
		args := make([]tracedArg, 100)
		args[70].Fails = true
		bad := 0
		for _, err := range futures.Map(within(t), ex, inRecording, args) {
			if err != nil {
				bad++
			}
		}
		_ = result(t, submit(t, ex, inRecording, tracedArg{}))
		tiny := make([]int, 50000)
		for _, err := range futures.Map(within(t), ex, square, tiny) {
			if err != nil {
				t.Fatal(err)
			}
		}
		all := h.end(t, ex)
		if bad != 1 || all.Backend != ex.Backend() || all.Executor == 0 {
			t.Errorf("%d failed, backend %q, executor %d", bad, all.Backend, all.Executor)
		}
		maps := map[uint64]string{}
		for _, m := range all.Maps {
			maps[m.Job] = m.Func
		}
		done, failed := map[string]int{}, map[string]int{}
		for _, task := range all.Ended {
			if task.Queued.After(task.Sent) || task.Sent.After(task.Begun) || task.Begun.After(task.Ended) || task.Ended.After(task.Received) {
				t.Errorf("out of order: %+v", task)
			}
			switch task.Outcome {
			case futures.TaskSucceeded:
				done[task.Func] += task.Elements
			case futures.TaskFailed:
				failed[task.Func] += task.Elements
				if task.First != 70 || maps[task.Job] != "inRecording" {
					t.Errorf("failed: %+v", task)
				}
			default:
				t.Errorf("%v: %+v", task.Outcome, task)
			}
		}
		if done["inRecording"] != 100 || failed["inRecording"] != 1 || done["square"] != len(tiny) || all.Dropped != 0 || all.Merged != 0 {
			t.Errorf("done %v, failed %v, merged %d, dropped %d", done, failed, all.Merged, all.Dropped)
		}
		if len(all.Failures) != 1 || all.Failures[0].Element != 70 || !contains(all.Failures[0].Err, "it was told to fail") {
			t.Errorf("failures: %+v", all.Failures)
		}
		phases := map[futures.WorkerPhase]int{}
		for _, w := range all.Workers {
			phases[w.Phase]++
			if w.Phase == futures.WorkerReady && (w.Host == "" || w.Pid == 0) {
				t.Errorf("a worker is nowhere: %+v", w)
			}
		}
		if n := phases[futures.WorkerReady]; n < 2 || phases[futures.WorkerLeft] != n && b.apart || phases[futures.WorkerLost] != 0 {
			t.Errorf("phases: %v", phases)
		}
	})
}

// The task goes on until the hook was told that it has begun.
func TestHooksAreToldThatALongTaskHasBegunWhileItRuns(t *testing.T) {
	each(t, func(t *testing.T, b backend) {
		var h told
		ex := b.start(t, max(b.workers, 2), futures.WithHooks(h.take))
		p := place{t.TempDir() + "/begun", newGate(t)}
		f := submit(t, ex, announce, p)
		hasBegun(t, p)
		eventually(t, "the hook is told of the beginning", func() bool { return len(h.all().Begun) > 0 })
		if ended := h.all().Ended; len(ended) != 0 {
			t.Errorf("the end is told of before it: %+v", ended)
		}
		p.Gate.open()
		result(t, f)
		all := h.end(t, ex)
		if len(all.Begun) != 1 || len(all.Ended) != 1 {
			t.Fatalf("begun %+v, ended %+v", all.Begun, all.Ended)
		}
		begun, ended := all.Begun[0], all.Ended[0]
		if begun.Job != ended.Job || begun.First != ended.First || begun.Worker != ended.Worker || begun.Attempt != ended.Attempt || begun.Func != ended.Func {
			t.Errorf("begun %+v, ended %+v", begun, ended)
		}
		if !begun.Ended.IsZero() || begun.Begun.IsZero() || ended.Ended.Before(ended.Begun) {
			t.Errorf("begun %+v, ended %+v", begun, ended)
		}
	})
}

func TestHooksAreToldOfALostWorkerAndItsTask(t *testing.T) {
	each(t, func(t *testing.T, b backend) {
		var h told
		ex := b.start(t, max(b.workers, 2), futures.WithHooks(h.take))
		_, err := submit(t, ex, leaves, 0).Result(within(t))
		matches(t, "the task", err, futures.ErrBroken)
		_ = result(t, submit(t, ex, inRecording, tracedArg{}))
		all := h.end(t, ex)
		died, lost := map[int]bool{}, 0 // processes, and tasks
		for _, w := range all.Workers {
			if w.Phase == futures.WorkerLost {
				died[w.Pid] = true // with slots several workers
				if w.Err == nil || w.Pid == 0 || w.Host == "" {
					t.Errorf("%+v", w)
				}
			}
		}
		for _, task := range all.Ended {
			if task.Outcome == futures.TaskLost {
				lost++
				if task.Func != "leaves" {
					t.Errorf("%+v", task)
				}
			}
		}
		if len(died) != 1 || lost != 1 {
			t.Errorf("processes %v died, %d tasks were lost", died, lost)
		}
	}, apart, replaces)
}

// Each has its own hook, and both have a third.
func TestTwoExecutorsTellTheirHooksApart(t *testing.T) {
	each(t, func(t *testing.T, b backend) {
		var own [2]told
		var both told
		for i := range own { // one after the other: ranks serve one at a time
			ex := b.start(t, max(b.workers, 2), futures.WithHooks(own[i].take), futures.WithHooks(both.take))
			_ = result(t, submit(t, ex, inRecording, tracedArg{}))
			_ = own[i].end(t, ex)
		}
		eventually(t, "both are told of", func() bool { return len(both.all().Ended) == len(own) })
		numbers := map[int]int{}
		for _, task := range both.tasks() {
			numbers[task]++
		}
		for i := range own {
			all := own[i].all()
			if len(all.Ended) != 1 || numbers[all.Executor] != 1 || len(numbers) != 2 {
				t.Errorf("executor %d: %d tasks; by executor: %v", all.Executor, len(all.Ended), numbers)
			}
		}
	})
}

// An executor that breaks says why.
func TestTheLastBatchOfABrokenExecutorSaysWhy(t *testing.T) {
	var h told
	ex, err := futures.NewProcessPoolExecutor(futures.WithMaxWorkers(1), futures.WithExecutable("/does/not/exist"), futures.WithHooks(h.take))
	if err != nil {
		t.Fatal(err)
	}
	if err := ex.Bootup(within(t)); !errors.Is(err, futures.ErrBroken) {
		t.Fatal(err)
	}
	_ = ex.Close()
	eventually(t, "the last batch", func() bool { return h.all().Last })
	if err := h.all().Err; !errors.Is(err, futures.ErrBroken) {
		t.Error(err)
	}
}
