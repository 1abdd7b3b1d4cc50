package behaviour_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rankpool/rankpool/futures"
)

var (
	// mark leaves a file.
	mark = futures.Register("mark", func(path string) (int, error) { return os.Getpid(), os.WriteFile(path, nil, 0o600) })
	// hold waits for a file, and leaves one.
	hold = futures.Register("hold", func(path string) (int, error) {
		for {
			if _, err := os.Stat(path); err == nil {
				return 0, nil
			}
			time.Sleep(time.Millisecond)
		}
	})
	// nestedWorkers counts the workers of executors that a task makes.
	nestedWorkers = futures.RegisterContext("nestedWorkers", func(ctx context.Context, asked int) ([2]int, error) {
		var n [2]int
		for i, make := range []func(...futures.Option) (futures.Executor, error){
			func(o ...futures.Option) (futures.Executor, error) { return futures.NewMPIPoolExecutor(o...) },
			func(o ...futures.Option) (futures.Executor, error) { return futures.NewProcessPoolExecutor(o...) },
		} {
			var opts []futures.Option
			if asked > 0 {
				opts = append(opts, futures.WithMaxWorkers(asked))
			}
			ex, err := make(opts...)
			if err != nil {
				return n, err
			}
			if n[i], err = ex.NumWorkers(ctx); err != nil {
				return n, err
			}
			if err := ex.Close(); err != nil {
				return n, err
			}
		}
		return n, nil
	})
	// leaveQueued returns while its own executor has work: so many marks, behind a task that waits for a file.
	leaveQueued = futures.RegisterContext("leaveQueued", func(ctx context.Context, dir string) (int, error) {
		ex, err := futures.NewMPIPoolExecutor()
		if err != nil {
			return 0, err
		}
		if _, err := futures.Submit(ex, hold, filepath.Join(dir, "go")); err != nil {
			return 0, err
		}
		for i := range nestedMarks {
			if _, err := futures.Submit(ex, mark, filepath.Join(dir, strconv.Itoa(i))); err != nil {
				return 0, err
			}
		}
		return 0, nil
	})
	// enterWorld has a task of any kind enter the communicator of all ranks.
	enterWorld = futures.RegisterContext("enterWorld", func(ctx context.Context, x int) (y int, err error) {
		err = futures.MPICommExecutor(ctx, nil, 0, func(ctx context.Context, ex futures.Executor) error {
			n, err := ex.NumWorkers(ctx)
			if err == nil && n != 1 {
				err = fmt.Errorf("%d workers", n)
			}
			if err != nil {
				return err
			}
			f, err := futures.Submit(ex, square, x)
			if err == nil {
				y, err = f.Result(ctx)
			}
			return err
		})
		return y, err
	})
)

const nestedMarks = 5

func TestAnExecutorThatATaskMakesHasOneWorker(t *testing.T) {
	each(t, func(t *testing.T, b backend) {
		t.Setenv("RANKPOOL_MAX_WORKERS", "3") // the program's
		ex := b.start(t, max(b.workers, 2))
		for asked, want := range map[int]int{0: 1, 2: 2} {
			if got := result(t, submit(t, ex, nestedWorkers, asked)); got != [2]int{want, want} {
				t.Errorf("asked for %d: %v", asked, got)
			}
		}
	}, apart)
}

// In a worker, for the end of the program see with_test.go.
func TestWhatATaskLeavesInAnExecutorOfItsOwnIsFinished(t *testing.T) {
	each(t, func(t *testing.T, b backend) {
		dir := t.TempDir()
		ex := b.start(t, max(b.workers, 1), futures.WithStopTimeout(limit)) // the executor of the task has workers to start in that time
		result(t, submit(t, ex, leaveQueued, dir))
		if err := os.WriteFile(filepath.Join(dir, "go"), nil, 0o600); err != nil {
			t.Fatal(err)
		}
		mustClose(t, ex)
		if files, err := os.ReadDir(dir); err != nil || len(files) != nestedMarks+1 {
			t.Errorf("%d files, %v", len(files), err)
		}
	}, apart)
}

// lastingDir is a folder in which a process may write that lives on after the test: t.TempDir fails the test then.
func lastingDir(t *testing.T) string {
	dir, err := os.MkdirTemp("", "left") //nolint:usetesting // see above
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

func TestWhatATaskLeavesInAnExecutorOfItsOwnAndCannotBeFinishedIsTold(t *testing.T) {
	each(t, func(t *testing.T, b backend) {
		dir := lastingDir(t)
		ex, err := b.make(futures.WithMaxWorkers(max(b.workers, 1)), futures.WithStopTimeout(time.Second))
		if err != nil {
			t.Fatal(err)
		}
		result(t, submit(t, ex, leaveQueued, dir))
		if err := ex.Shutdown(within(t)); err == nil || !strings.Contains(err.Error(), "an executor that a task has not closed") {
			t.Errorf("Shutdown: %v", err)
		}
		if err := os.WriteFile(filepath.Join(dir, "go"), nil, 0o600); err != nil { // where the worker's process lives on
			t.Fatal(err)
		}
	}, apart)
}

// Each of the two took all of the time, and the worker was killed before it had told of either.
func TestWhatTasksHaveLeftAndStatesShareTheTimeOfTheEnd(t *testing.T) {
	if testing.Short() {
		t.Skip("left out by -short: it waits for limits that pass")
	}
	each(t, func(t *testing.T, b backend) {
		if b.workers > 1 {
			t.Skip("needs one worker")
		}
		for name, hangs := range map[string]bool{"a state that closes": false, "a state that hangs": true} {
			t.Run(name, func(t *testing.T) {
				dir, g, how := lastingDir(t), newGate(t), "close fails"
				if hangs {
					how = string(g)
				}
				ex, err := b.make(futures.WithMaxWorkers(1), futures.WithStopTimeout(4*time.Second), futures.WithGlobal(pickyGlobal, how))
				if err != nil {
					t.Fatal(err)
				}
				result(t, submit(t, ex, usePicky, 1))
				result(t, submit(t, ex, leaveQueued, dir))
				err = ex.Shutdown(within(t))
				says := []string{"an executor that a task has not closed", `close of state "state.picky"`, "unsaved"}
				if hangs {
					says[2] = "it has not returned within 4s"
				}
				for _, want := range says {
					if !contains(err, want) {
						t.Errorf("there is no %q in: %v", want, err)
					}
				}
				if err := os.WriteFile(filepath.Join(dir, "go"), nil, 0o600); err != nil { // where the worker's process lives on
					t.Fatal(err)
				}
			})
		}
	}, apart)
}

func TestATaskThatEntersTheWorldHasAPoolOfOneWorker(t *testing.T) {
	each(t, func(t *testing.T, b backend) {
		ex := b.start(t, max(b.workers, 2))
		if y := result(t, submit(t, ex, enterWorld, 7)); y != 49 {
			t.Error(y)
		}
	}, encodes)
}
