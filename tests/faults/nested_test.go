//go:build unix

package faults_test

import (
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/rankpool/rankpool/futures"
)

func TestATaskMayUseAPoolOfItsOwn(t *testing.T) {
	onEveryBackend(t, func(t *testing.T, b backend) {
		ex := b.open(t, futures.WithMaxWorkers(2))
		for y, err := range futures.Map(limited(t), ex, nested, []int{10, 20, 30}) {
			if err != nil || y%10 != 0 {
				t.Error(y, err)
			}
		}
	})
}

// The task's worker is the master of that pool, however it ends.
func TestAPoolThatATaskLeavesOpenEndsWithItsWorker(t *testing.T) {
	for _, end := range []string{"close", "kill"} {
		t.Run(end, func(t *testing.T) {
			ex, err := processes.make(t, futures.WithMaxWorkers(1), futures.WithStopTimeout(100*time.Millisecond))
			if err != nil {
				t.Fatal(err)
			}
			defer ex.Close()
			left, err := submit(t, ex, abandoned, 1).Result(limited(t))
			if err != nil || len(left) != 2 || gone(left[0]) || gone(left[1]) {
				t.Fatalf("%v, %v: want the processes of two workers that live", left, err)
			}
			if end == "kill" {
				signalTo(t, pids(ex)[0], syscall.SIGKILL)
			} else {
				// It returns at the end of the worker, which is what ends the others: their task goes on, and is given up.
				says(t, ex.Shutdown(limited(t)), "finishing the work of an executor that a task has not closed")
			}
			until(t, "the end of the workers' workers", func() bool {
				return !slices.ContainsFunc(left, func(pid int) bool { return !gone(pid) })
			})
		})
	}
}
