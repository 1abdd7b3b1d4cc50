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

// This file finishes what tasks have left to executors that they have made and not closed.

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

// leaveExecutors finishes the executors that the tasks of this process have left open. What is not done within the limit is
// given up, and told.
func leaveExecutors(tasks context.Context, limit time.Duration) (failures []dispatch.Failure) {
	if !servedMaster(tasks) || life.Everywhere() { // there they belong to the program
		return nil
	}
	ctx, cancel := awake.WithTimeout(context.Background(), limit)
	defer cancel()
	for _, err := range life.FinishOpen(ctx) {
		failures = append(failures, dispatch.Failure{
			What: "finishing what a task has left to an executor that it has not closed", Err: fmt.Errorf("after at most %v: %w", limit, err),
		})
	}
	return failures
}
