package behaviour_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/rankpool/rankpool/futures"
)

// This file is about what a task has in common with its process: standard input and output, its end, its environment.

var readInput = futures.Register("readInput", func(struct{}) (int, error) {
	b, err := io.ReadAll(os.Stdin)
	fmt.Println("a line of a task")
	return len(b), err
})

var leaveProcess = futures.Register("leaveProcess", func(status int) (int, error) {
	os.Exit(status)
	return 0, nil
})

func init() {
	programs["reads its input in a task"] = func(ctx context.Context) error {
		return withOne(func(ex futures.Executor) error {
			f, err := futures.Submit(ex, readInput, struct{}{})
			if err != nil {
				return err
			}
			n, err := f.Result(ctx)
			fmt.Println(n, "bytes")
			return err
		})
	}
	programs["ends its process in a task"] = func(ctx context.Context) error {
		return withOne(func(ex futures.Executor) error {
			f, err := futures.Submit(ex, leaveProcess, 7)
			if err != nil {
				return err
			}
			_, err = f.Result(ctx)
			broken := new(futures.BrokenError)
			fmt.Println("lost:", errors.As(err, &broken) && strings.Contains(err.Error(), "exit status 7"))
			if f, err = futures.Submit(ex, square, 3); err != nil {
				return err
			}
			n, err := f.Result(ctx)
			fmt.Println("then:", n)
			return err
		})
	}
}

// withOne runs body with an executor of one worker, of the kind that the program is asked for.
func withOne(body func(futures.Executor) error) error {
	ex, err := programBackend().make(futures.WithMaxWorkers(1))
	if err != nil {
		return err
	}
	return errors.Join(body(ex), ex.Close())
}

// runProgram runs a program with an input and returns what it prints.
func runProgram(t *testing.T, b backend, name, input string, status int) string {
	t.Helper()
	c := exec.CommandContext(within(t), itself(t))
	c.Env = append(os.Environ(), programVariable+"="+name, backendVariable+"="+b.name)
	c.Stdin = strings.NewReader(input)
	var stdout, stderr bytes.Buffer
	c.Stdout, c.Stderr = &stdout, &stderr
	if err := c.Run(); c.ProcessState == nil || c.ProcessState.ExitCode() != status {
		t.Errorf("it ended with %v, want status %d: %s", err, status, &stderr)
	}
	return stdout.String()
}

func TestATaskOnAGoroutineReadsTheProgramsInputAndOneInAProcessFindsTheEnd(t *testing.T) {
	each(t, func(t *testing.T, b backend) {
		want := "a line of a task\n5 bytes\n"
		if b.apart {
			want = "a line of a task\n0 bytes\n"
		}
		if d := cmp.Diff(want, runProgram(t, b, "reads its input in a task", "three", 0)); d != "" {
			t.Errorf("(-want +printed):\n%s", d)
		}
	})
}

func TestATaskOnAGoroutineThatExitsEndsTheProgramAndOneInAProcessItself(t *testing.T) {
	each(t, func(t *testing.T, b backend) {
		want, status := "", 7
		if b.apart {
			want, status = "lost: true\nthen: 9\n", 0
		}
		if d := cmp.Diff(want, runProgram(t, b, "ends its process in a task", "", status)); d != "" {
			t.Errorf("(-want +printed):\n%s", d)
		}
	})
}

func TestWhatTheProgramSetsAfterTheStartIsSeenByGoroutinesOnly(t *testing.T) {
	each(t, func(t *testing.T, b backend) {
		want := setUp(t, "10", "winter")
		ex := b.start(t, 1)
		if d := cmp.Diff(want, result(t, submit(t, ex, surroundings, struct{}{}))); d != "" {
			t.Errorf("before (-want +got):\n%s", d)
		}
		after := setUp(t, "20", "summer")
		if !b.apart {
			want = after
		}
		if d := cmp.Diff(want, result(t, submit(t, ex, surroundings, struct{}{}))); d != "" {
			t.Errorf("after (-want +got):\n%s", d)
		}
	})
}

func TestWhatOnlyAProcessCanHaveIsRefusedForGoroutines(t *testing.T) {
	for name, option := range map[string]futures.Option{
		"WithDir": futures.WithDir(t.TempDir()), "WithEnv": futures.WithEnv(map[string]string{"A": "b"}),
		"WithExecutable": futures.WithExecutable("program"), "WithArgs": futures.WithArgs("argument"),
	} {
		each(t, func(t *testing.T, b backend) {
			ex, err := b.make(option)
			if err == nil {
				err = ex.Bootup(within(t))
				mayBeBroken(t, ex)
			}
			if err == nil || !contains(err, name) || !contains(err, "use processes") {
				t.Errorf("%s: %v", name, err)
			}
		}, inside)
	}
}
