package futures_test

import (
	"bytes"
	"context"
	"log/slog"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rankpool/rankpool/futures"
)

var afterMillisecond = futures.Register("hooks.aftermillisecond", func(x int) (int, error) {
	time.Sleep(time.Millisecond)
	return x, nil
})

// hooked returns an executor of goroutines with these hooks, and its log.
func hooked(t *testing.T, hooks ...futures.Hook) (futures.Executor, *bytes.Buffer) {
	t.Helper()
	var log bytes.Buffer
	ex, err := futures.NewThreadPoolExecutor(futures.WithMaxWorkers(2), futures.WithHooks(hooks...), futures.WithLogger(slog.New(slog.NewTextHandler(&log, nil))))
	if err != nil {
		t.Fatal(err)
	}
	return ex, &log
}

// ran has so many calls run.
func ran(t *testing.T, ex futures.Executor, calls int) {
	t.Helper()
	fs := make([]*futures.Future[int], calls)
	for i := range fs {
		f, err := futures.Submit(ex, afterMillisecond, i)
		if err != nil {
			t.Fatal(err)
		}
		fs[i] = f
	}
	for _, f := range fs {
		if _, err := f.Result(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
}

func TestTheEndOfAnExecutorWaitsForTheLastBatchOfItsHooks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var tasks, last int
		ex, log := hooked(t, func(ctx context.Context, b *futures.HookBatch) {
			tasks += len(b.Ended)
			if b.Last {
				time.Sleep(4 * time.Second)
				if ctx.Err() == nil {
					last++
				}
			}
		})
		ran(t, ex, 1)
		if err := ex.Close(); err != nil {
			t.Fatal(err)
		}
		if tasks != 1 || last != 1 || log.Len() > 0 {
			t.Errorf("%d tasks, %d last batches: %s", tasks, last, log)
		}
	})
}

func TestTheEndGivesAHookUpThatDoesNotReturn(t *testing.T) {
	for _, c := range []struct {
		name string
		ends bool // the context of Shutdown, when the workers have left
		want time.Duration
	}{{"Close", false, 5 * time.Second}, {"Shutdown", true, time.Second}} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var cause error
				over := make(chan struct{})
				shutdown, end := context.WithCancel(t.Context())
				defer end()
				ex, log := hooked(t, func(ctx context.Context, b *futures.HookBatch) {
					if b.Last {
						if c.ends {
							end()
						}
						<-ctx.Done()
						cause = context.Cause(ctx)
						close(over)
					}
				})
				ran(t, ex, 1)
				begun := time.Now()
				if err := ex.Shutdown(shutdown); err != nil {
					t.Fatal(err)
				}
				if d := time.Since(begun); d < c.want || d >= c.want+time.Second { // the clock is the bubble's
					t.Errorf("it took %v", d)
				}
				<-over
				if cause == nil || !strings.Contains(cause.Error(), "does not wait for its hooks") {
					t.Error(cause)
				}
				begun = time.Now()
				if err := ex.Close(); err != nil || time.Since(begun) > 0 {
					t.Error(err, time.Since(begun))
				}
				if n := strings.Count(log.String(), "a hook has not returned"); n != 1 {
					t.Errorf("%d warnings: %s", n, log)
				}
			})
		})
	}
}

// The first blocks until the pool has finished its calls, the second panics, the third ends its goroutine.
func TestAHookThatBlocksOrPanicsCostsTheExecutorNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		calls := map[string]int{}
		count := func(name string, n int) {
			mu.Lock()
			defer mu.Unlock()
			calls[name] += n
		}
		released := make(chan struct{})
		ex, log := hooked(t,
			func(_ context.Context, b *futures.HookBatch) { count("blocks", len(b.Ended)); <-released },
			func(context.Context, *futures.HookBatch) { count("panics", 1); panic("at the disco") },
			func(context.Context, *futures.HookBatch) { count("exits", 1); runtime.Goexit() },
			func(_ context.Context, b *futures.HookBatch) { count("tells", len(b.Ended)) })
		for range 3 {
			ran(t, ex, 1)
			time.Sleep(time.Second)
		}
		mu.Lock()
		if calls["tells"] != 3 {
			t.Errorf("calls: %v", calls)
		}
		mu.Unlock()
		close(released)
		if err := ex.Close(); err != nil {
			t.Fatal(err)
		}
		for name, n := range map[string]int{"blocks": 3, "tells": 3, "panics": 1, "exits": 1} {
			if calls[name] != n {
				t.Errorf("%s: %d instead of %d", name, calls[name], n)
			}
		}
		if n := strings.Count(log.String(), "a hook has panicked"); n != 2 || !strings.Contains(log.String(), "at the disco") {
			t.Errorf("%d lines in the log: %s", n, log)
		}
	})
}

// The hook does not return before all calls have.
func TestASlowHookIsToldOfEveryTaskAndHowManyAreToldOfTogether(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const calls = 20000
		released := make(chan struct{})
		var all []*futures.HookBatch
		ex, _ := hooked(t, func(_ context.Context, b *futures.HookBatch) {
			all = append(all, b)
			<-released
		})
		ran(t, ex, calls)
		close(released)
		if err := ex.Close(); err != nil {
			t.Fatal(err)
		}
		tasks, merged, together := 0, 0, 0
		for _, b := range all {
			merged += b.Merged
			for _, task := range b.Ended {
				tasks += task.Tasks
				if task.Longest > 0 {
					together += task.Tasks
				}
			}
		}
		if tasks != calls || merged == 0 || merged != together || !all[len(all)-1].Last {
			t.Errorf("%d tasks, %d are said to be told of together, and %d are", tasks, merged, together)
		}
	})
}

// In a bubble the limit for the file never comes before the file is written.
func TestHooksAndARecordingAreToldTheSame(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		var told []int
		path := t.TempDir() + "/recording"
		ex, err := futures.NewThreadPoolExecutor(futures.WithMaxWorkers(2), futures.WithTrace(path), futures.WithHooks(func(_ context.Context, b *futures.HookBatch) {
			mu.Lock()
			defer mu.Unlock()
			for _, f := range b.Failures {
				told = append(told, f.Element)
			}
		}))
		if err != nil {
			t.Fatal(err)
		}
		for _, err := range futures.Map(t.Context(), ex, notThirteen, []int{1, 13, 2, 26}, futures.WithChunkSize(4)) {
			_ = err // it is what is told that counts
		}
		if err := ex.Close(); err != nil {
			t.Fatal(err)
		}
		var recordedToo []int
		for _, e := range recorded(t, path) {
			if strings.HasSuffix(e.Text, "thirteen") {
				recordedToo = append(recordedToo, e.First)
			}
		}
		mu.Lock()
		defer mu.Unlock()
		if want := []int{1, 3}; !slices.Equal(told, want) || !slices.Equal(recordedToo, want) {
			t.Errorf("the hook was told %v, and the file %v", told, recordedToo)
		}
	})
}
