//go:build unix

package faults_test

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rankpool/rankpool/futures"
)

// liveness is short for a test and long for a worker that only waits for its turn on a busy machine.
const liveness = 3 * time.Second

func TestAStoppedWorkerIsLostWithItsTask(t *testing.T) {
	var log lockedText
	ex := processes.open(t, futures.WithMaxWorkers(2), futures.WithLiveness(liveness), futures.WithLogger(slog.New(slog.NewTextHandler(&log, nil))))
	dir := t.TempDir()
	one, other := submit(t, ex, hold, dir), submit(t, ex, hold, dir)
	victim := atWork(t, dir, 2)[0]
	signalTo(t, victim, syscall.SIGSTOP)
	until(t, "the loss", func() bool { return one.Done() || other.Done() })
	whole(t, ex, 2, victim)
	letGo(t, dir)
	failed := 0
	for _, f := range []*futures.Future[int]{one, other} {
		if _, err := f.Result(limited(t)); err != nil {
			failed++
			if !errors.Is(err, futures.ErrBroken) {
				t.Error("not ErrBroken")
			}
			says(t, err, "hold was lost", "process "+strconv.Itoa(victim), "silent for "+liveness.String(), "WithLiveness")
		}
	}
	if failed != 1 {
		t.Errorf("%d tasks failed, want 1", failed)
	}
	until(t, "the report", func() bool { return strings.Contains(log.String(), "worker was replaced") })
	says(t, log.String(), `msg="rankpool: worker is silent" worker=`, " pid="+strconv.Itoa(victim), "given_up_after=3s")
	works(t, ex)
}

// A worker that was stopped before it began loses nothing: its task goes to another.
func TestAStoppedIdleWorkerCostsNoTask(t *testing.T) {
	ex := processes.open(t, futures.WithMaxWorkers(2), futures.WithLiveness(liveness))
	victim := booted(t, ex)[0]
	signalTo(t, victim, syscall.SIGSTOP)
	works(t, ex)
	whole(t, ex, 2, victim)
	if s := ex.Stats(); s.Failed > 0 || s.Lost != 1 {
		t.Errorf("counters: %+v", s)
	}
}

func TestATaskThatComputesForLongIsNotTakenForSilent(t *testing.T) {
	ex := processes.open(t, futures.WithMaxWorkers(1), futures.WithLiveness(liveness))
	ctx, cancel := context.WithTimeout(context.Background(), 3*liveness)
	defer cancel()
	// It never looks around; its worker answers for it all the same.
	if _, err := submit(t, ex, act, "spin", futures.WithTaskTimeout(patience)).Result(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("the task ended: %v", err)
	}
	if s := ex.Stats(); s.Lost > 0 {
		t.Errorf("the worker was taken for lost: %+v", s)
	}
	signalTo(t, pids(ex)[0], syscall.SIGKILL)
	works(t, ex)
}

func TestAWorkerThatIsStoppedWhenThePoolClosesIsKilled(t *testing.T) {
	ex := processes.open(t, futures.WithMaxWorkers(2), futures.WithStopTimeout(200*time.Millisecond))
	signalTo(t, booted(t, ex)[1], syscall.SIGSTOP)
	closeWithin(t, ex)
}

func TestAnInitializerThatFailsBreaksThePoolAndSaysWhy(t *testing.T) {
	for _, tt := range []struct {
		what  string
		apart bool
		want  []string
	}{
		{"error", false, []string{"no luck"}},
		{"panic", false, []string{"panic: at the disco"}},
		{"panic(nil)", false, []string{"panic called with nil argument"}},
		{"Goexit", false, []string{"runtime.Goexit"}},
		{"exit 3", true, []string{"exit status 3"}},
		{"exit 0", true, []string{"status 0", "os.Exit"}},
		{"kill", true, []string{"signal: killed"}},
		{"never", true, []string{"not ready after 20s", "initializer", "WithStartTimeout"}},
		{"spin", true, []string{"not ready after 20s", "initializer", "WithStartTimeout"}},
		{"stop", true, []string{"not ready after 20s", "initializer", "WithStartTimeout"}},
	} {
		t.Run(tt.what, func(t *testing.T) {
			onEveryBackend(t, func(t *testing.T, b backend) {
				if tt.apart && !b.apart {
					return // it would end, or stay in, this process
				}
				options := []futures.Option{futures.WithMaxWorkers(2), futures.WithInitializer(setUp, tt.what)}
				if tt.what == "never" || tt.what == "spin" || tt.what == "stop" {
					options = append(options, futures.WithStartTimeout(20*time.Second)) // a child under the race detector on a busy machine reaches its initializer in that
				}
				ex := b.open(t, options...)
				err := refusal(t, ex)
				broken := new(futures.BrokenError)
				if !errors.Is(err, futures.ErrBroken) || !errors.As(err, &broken) || broken.Worker < 0 {
					t.Errorf("%+v, want a BrokenError with a worker", err)
				}
				says(t, err, append(tt.want, "the pool is broken: ", " worker ")...)
				_, err = futures.Submit(ex, inc, 2)
				if !errors.Is(err, futures.ErrBroken) {
					t.Errorf("a later Submit: %v", err)
				}
				says(t, err, tt.want...)
				for _, err := range futures.Map(limited(t), ex, inc, []int{1}) {
					says(t, err, tt.want...)
				}
				if n, err := ex.NumWorkers(limited(t)); n != 0 || !errors.Is(err, futures.ErrBroken) {
					t.Errorf("NumWorkers = %d, %v", n, err)
				}
			})
		})
	}
}

// refusal submits tasks to a pool that breaks, and returns the error that they all have, at the call or later.
func refusal(t *testing.T, ex futures.Executor) error {
	t.Helper()
	var first error
	for range 3 {
		f, err := futures.Submit(ex, inc, 1)
		if err == nil {
			err = failure(t, f)
		}
		if first == nil {
			first = err
		}
		if !errors.Is(err, futures.ErrBroken) || err.Error() != first.Error() {
			t.Fatalf("%v, want ErrBroken, as before: %v", err, first)
		}
	}
	return first
}

// An initializer that succeeds at first and fails in a worker that takes the place of a lost one.
func TestAnInitializerThatFailsInAReplacementBreaksThePool(t *testing.T) {
	path := filepath.Join(t.TempDir(), "present")
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	ex := processes.open(t, futures.WithMaxWorkers(1), futures.WithInitializer(present, path))
	works(t, ex)
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if err := failure(t, submit(t, ex, act, "kill")); !errors.Is(err, futures.ErrBroken) {
		t.Error(err)
	}
	until(t, "the refusal", func() bool {
		f, err := futures.Submit(ex, inc, 1)
		if err == nil {
			err = failure(t, f)
		}
		return errors.Is(err, os.ErrNotExist) && errors.Is(err, futures.ErrBroken)
	})
}

var present = futures.Register("present", func(path string) (int, error) {
	_, err := os.Stat(path)
	return 0, err
})

func TestSettingsThatAWorkerCannotHaveBreakThePool(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "gone")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	ex := processes.open(t, futures.WithMaxWorkers(2), futures.WithDir(dir))
	if err := os.Remove(dir); err != nil {
		t.Fatal(err)
	}
	err := refusal(t, ex)
	if !errors.Is(err, os.ErrNotExist) {
		t.Error("not what is missing")
	}
	says(t, err, "WithDir", dir, "no such file")
}

func TestAProgramThatIsNoWorkerBreaksThePool(t *testing.T) {
	missing := filepath.Join(t.TempDir(), "missing")
	for program, want := range map[string][]string{
		missing:      {missing, "no such file", "a program that this user may execute"},
		"/dev/null":  {"/dev/null", "permission denied", "a program that this user may execute"},
		"/bin/true":  {"before it served", "futures.Main"},
		"/bin/false": {"exit status 1"},
		"/bin/cat":   {"before it served", "futures.Main"}, // its input is empty
	} {
		t.Run(program, func(t *testing.T) {
			if _, err := os.Stat(program); program != missing && err != nil {
				t.Skip(err)
			}
			ex := processes.open(t, futures.WithMaxWorkers(2), futures.WithExecutable(program), futures.WithArgs())
			says(t, refusal(t, ex), want...)
		})
	}
}
