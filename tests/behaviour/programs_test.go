package behaviour_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rankpool/rankpool/futures"
)

// Variables that have the test binary be a program of its own, and say what it is to use.
const (
	programVariable   = "BEHAVIOUR_PROGRAM"
	backendVariable   = "BEHAVIOUR_KIND"
	directoryVariable = "BEHAVIOUR_DIR"
)

// programs are what is given to futures.Main.
var programs = map[string]func(context.Context) error{
	"forgets": func(context.Context) error {
		_, err := leaveTasks(futures.WithMaxWorkers(2))
		return err
	},
	"lets go": func(context.Context) error {
		ex, err := leaveTasks(futures.WithMaxWorkers(2))
		if err != nil {
			return err
		}
		return ex.Shutdown(context.Background(), futures.NoWait())
	},
	"fails and closes": func(context.Context) (err error) {
		ex, err := leaveTasks(futures.WithMaxWorkers(2))
		if err != nil {
			return err
		}
		defer ex.Close()
		return errors.New("the body failed")
	},
	"drains": drains,
	"never starts": func(context.Context) error {
		_, err := programBackend().make()
		return err
	},
}

func programBackend() backend {
	for _, b := range backends {
		if b.name == os.Getenv(backendVariable) {
			return b
		}
	}
	panic("no such backend")
}

// leaveTasks queues tasks that leave a file each and returns without waiting.
func leaveTasks(opts ...futures.Option) (futures.Executor, error) {
	ex, err := programBackend().make(opts...)
	if err != nil {
		return nil, err
	}
	for i := range 20 {
		p := place{Begun: filepath.Join(os.Getenv(directoryVariable), fmt.Sprint(i))}
		if _, err := futures.Submit(ex, announce, p); err != nil {
			return nil, err
		}
	}
	return ex, nil
}

// A program that returns from Main's function has its executors closed for it, whatever it forgot.
func TestAForgottenExecutorFinishesItsQueueBeforeTheProgramEnds(t *testing.T) {
	this := itself(t)
	for name, want := range map[string]struct {
		status, tasks int
		output        string
	}{
		"forgets":          {tasks: 20},
		"lets go":          {tasks: 20},
		"never starts":     {},
		"fails and closes": {tasks: 20, status: 1, output: "the body failed\n"},
	} {
		t.Run(name, func(t *testing.T) {
			each(t, func(t *testing.T, b backend) {
				dir := t.TempDir()
				c := exec.CommandContext(within(t), this)
				c.Env = append(os.Environ(), programVariable+"="+name, backendVariable+"="+b.name, directoryVariable+"="+dir)
				var out strings.Builder
				c.Stdout, c.Stderr = &out, &out
				err := c.Run()
				if c.ProcessState == nil || c.ProcessState.ExitCode() != want.status {
					t.Errorf("%v", err)
				}
				if out.String() != want.output {
					t.Errorf("it wrote %q, want %q", &out, want.output)
				}
				if got := files(t, dir); got != want.tasks {
					t.Errorf("%d tasks ran, want %d", got, want.tasks)
				}
			})
		})
	}
}
