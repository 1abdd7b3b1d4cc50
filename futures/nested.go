package futures

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/rankpool/rankpool/internal/awake"
	"github.com/rankpool/rankpool/internal/dispatch"
	"github.com/rankpool/rankpool/internal/life"
)

// This file closes what tasks have left open in their worker.

// masters counts the masters that this process serves. Its tasks' executors belong to nobody in particular, so they end with the last of
// these.
var masters struct {
	sync.Mutex
	n int
}

type servedKey struct{}

// serveMaster counts a master until servedMaster is called, or ctx, that of the worker's life, has ended.
func serveMaster(ctx context.Context) context.Context {
	masters.Lock()
	masters.n++
	masters.Unlock()
	over := sync.OnceValue(func() (last bool) {
		masters.Lock()
		defer masters.Unlock()
		masters.n--
		return masters.n == 0
	})
	context.AfterFunc(ctx, func() { over() })
	return context.WithValue(ctx, servedKey{}, over)
}

// servedMaster tells whether this process now serves nobody any more.
func servedMaster(ctx context.Context) (last bool) {
	over, ok := ctx.Value(servedKey{}).(func() bool)
	return ok && over()
}

// leaveWorker closes what the tasks of a worker have left open, whose context this is: their executors, then the states. All of it together
// takes no longer than the limit, of which executors leave a quarter to states.
func leaveWorker(tasks context.Context, limit time.Duration) []dispatch.Failure {
	defer leaveSettings(tasks)
	end, cancel := awake.WithTimeout(context.Background(), limit)
	defer cancel()
	all, first := statesIn(tasks), limit
	if all.some() {
		first -= limit / 4
	}
	return append(leaveExecutors(end, tasks, first), all.leave(end, limit)...)
}

// leaveExecutors finishes the executors that the tasks of this process have left open. What is not done within the limit is
// given up, and told.
func leaveExecutors(end, tasks context.Context, limit time.Duration) (failures []dispatch.Failure) {
	if !servedMaster(tasks) || life.Everywhere() { // there they belong to the program
		return nil
	}
	ctx, cancel := awake.WithTimeout(end, limit)
	defer cancel()
	for _, err := range life.FinishOpen(ctx) {
		failures = append(failures, dispatch.Failure{
			What: "finishing the work of an executor that a task has not closed", Err: fmt.Errorf("after at most %v: %w", limit, err),
		})
	}
	return failures
}
