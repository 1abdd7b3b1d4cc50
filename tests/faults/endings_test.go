//go:build unix

package faults_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"testing"

	"github.com/rankpool/rankpool/futures"
)

// heldUp is any function.
func heldUp(context.Context, int) (int, error) { return 0, nil }

func TestATaskThatPanicsOrExitsItsGoroutineFailsAlone(t *testing.T) {
	onEveryBackend(t, func(t *testing.T, b backend) {
		ex := b.open(t, futures.WithMaxWorkers(2))
		for _, tt := range []struct {
			what   string
			want   []string
			check  func(err error) bool
			goexit bool
		}{
			{what: "panic", want: []string{"panic: at the disco"}},
			{what: "panic(nil)", want: []string{"panic called with nil argument"}, check: func(err error) bool {
				return errors.As(err, new(*runtime.PanicNilError))
			}},
			{what: "panic(error)", want: []string{"panic: reading: file does not exist"}, check: func(err error) bool {
				return errors.Is(err, os.ErrNotExist)
			}},
			{what: "nil map", want: []string{"assignment to entry in nil map"}},
			{what: "Goexit", want: []string{"runtime.Goexit", "return an error instead"}, goexit: true},
		} {
			t.Run(tt.what, func(t *testing.T) {
				err := failure(t, submit(t, ex, act, tt.what))
				says(t, err, tt.want...)
				p := new(futures.PanicError)
				if !errors.As(err, &p) {
					t.Fatalf("%T holds no *PanicError", err)
				}
				if p.Goexit != tt.goexit {
					t.Errorf("Goexit = %v", p.Goexit)
				}
				says(t, fmt.Sprintf("%+v", err), "perform", "tasks_test.go:")
				if tt.check != nil && !tt.check(err) {
					t.Error("errors.Is or As does not find the value of the panic")
				}
				if b.apart {
					remote := new(futures.RemoteError)
					host, _ := os.Hostname()
					if !errors.As(err, &remote) || remote.Func != "act" || remote.Host != host || remote.Pid == os.Getpid() {
						t.Errorf("it does not say where: %+v", remote)
					}
				}
			})
		}
		works(t, ex)
		if s := ex.Stats(); s.Lost > 0 || s.Restarts > 0 {
			t.Errorf("a worker was lost: %+v", s)
		}
	})
}

func TestPanicsAmongTinyTasksFailTheirOwnOnly(t *testing.T) {
	onEveryBackend(t, func(t *testing.T, b backend) {
		ex := b.open(t, futures.WithMaxWorkers(2))
		const n = 5000
		bad := map[int]string{17: "panic", 1000: "Goexit", 1001: "Goexit", 1002: "panic", 2500: "error", 4321: "panic(nil)", n - 1: "Goexit"}
		var fs []*futures.Future[int]
		for i := range n {
			fs = append(fs, submit(t, ex, actAt, futures.Pair[int, string]{First: i, Second: bad[i]}))
		}
		for i, f := range fs {
			y, err := f.Result(limited(t))
			switch _, isBad := bad[i]; {
			case isBad && err == nil:
				t.Errorf("task %d succeeded", i)
			case !isBad && (err != nil || y != i+1):
				t.Errorf("task %d = %d, %v", i, y, err)
			}
		}
		if s := ex.Stats(); s.Failed != uint64(len(bad)) || s.Done != n-uint64(len(bad)) {
			t.Errorf("counters: %+v", s)
		}
	})
}

func TestExitInATaskCostsThatTaskAndIsExplained(t *testing.T) {
	ex := processes.open(t, futures.WithMaxWorkers(2))
	lost := booted(t, ex)
	for what, want := range map[string]string{"exit 0": "does a task call os.Exit?", "exit 3": "exit status 3"} {
		err := failure(t, submit(t, ex, act, what))
		broken := new(futures.BrokenError)
		if !errors.Is(err, futures.ErrBroken) || !errors.As(err, &broken) || broken.Task != "act" {
			t.Fatalf("%v: it is no BrokenError of act", err)
		}
		host, _ := os.Hostname()
		says(t, err, "act was lost with worker", fmt.Sprint("process ", broken.Pid, " on ", host, " ended"), want)
		whole(t, ex, 2, broken.Pid)
		if broken.Pid == 0 {
			t.Errorf("%+v names no process, of %v", broken, lost)
		}
	}
	works(t, ex)
}

func TestExitAmongTinyTasksCostsNoOther(t *testing.T) {
	for _, what := range []string{"exit 0", "exit 3", "kill"} {
		t.Run(what, func(t *testing.T) {
			ex := processes.open(t, futures.WithMaxWorkers(2))
			checkOneIsLost(t, ex, what)
		})
	}
}

// checkOneIsLost runs tiny tasks, one of which ends its worker.
func checkOneIsLost(t *testing.T, ex futures.Executor, what string) {
	t.Helper()
	const n, bad = 20000, 12345
	var fs []*futures.Future[int]
	for i := range n {
		p := futures.Pair[int, string]{First: i}
		if i == bad {
			p.Second = what
		}
		fs = append(fs, submit(t, ex, actAt, p))
	}
	for i, f := range fs {
		y, err := f.Result(limited(t))
		switch {
		case i == bad && !errors.Is(err, futures.ErrBroken):
			t.Errorf("task %d = %d, %v, want ErrBroken", i, y, err)
		case i != bad && (err != nil || y != i+1):
			t.Fatalf("task %d = %d, %v", i, y, err)
		}
	}
	whole(t, ex, 2)
	if s := ex.Stats(); s.Failed != 1 || s.Done != n-1 || s.Lost != 1 || s.Restarts != 1 {
		t.Errorf("counters: %+v", s)
	}
}
