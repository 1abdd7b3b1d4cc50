package futures

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"

	"github.com/rankpool/rankpool/internal/dispatch"
	"github.com/rankpool/rankpool/internal/job"
)

// outputChoice is what becomes of what workers print; the zero value changes nothing.
type outputChoice struct {
	Prefixed bool
	Dir      string
}

// WithOutputPrefix begins each line that a worker prints, to standard output or standard error, with the worker: "[worker 3] ". If its
// process has several workers ([WithSlots]), it names them all: "[worker 0-3] ". Lines stay whole, also those of programs that tasks start.
// A last line without an end gets one when the worker ends. Without the option, or [WithOutputDir], workers write to this program's output
// themselves, and parts of lines can mix.
//
// Local processes print through this program. What a worker printed before it was killed is not lost, and all output is written when Close
// returns. A slow reader of this program's output delays the tasks that print, as it does without the option. When the reader is gone, this
// program ends by SIGPIPE. If it catches that signal, the output of workers is dropped.
//
// Ranks print to their own output, from the set-up of the executor to its end. A rank that is killed, or calls os.Exit in a task, can lose
// its last output, but not the message of a panic. An mpiexec that takes much output at once may cut it within a line, as Open MPI's does
// beyond 4 KiB. Goroutines share this program's output: for them the option has no effect.
func WithOutputPrefix() Option {
	return option(func(c *config) error {
		c.output.Prefixed = true
		return c.output.check()
	})
}

// WithOutputDir appends all that a worker prints, to standard output or standard error, to a file of its own: worker-3.out in dir, which is
// created if necessary. A worker that takes the place of another continues its file. The output of a rank goes there from the set-up of the
// executor to its end; its folder is on its own host. Goroutines share this program's output: for them the option has no effect.
func WithOutputDir(dir string) Option {
	return option(func(c *config) error {
		if dir == "" {
			return errors.New("WithOutputDir: the directory is empty")
		}
		abs, err := filepath.Abs(dir)
		if err != nil {
			return fmt.Errorf("WithOutputDir(%q): %w", dir, err)
		}
		c.output.Dir = abs
		return c.output.check()
	})
}

func (o outputChoice) check() error {
	if o.Prefixed && o.Dir != "" {
		return errors.New("WithOutputPrefix and WithOutputDir cannot be combined: a file has the lines of one worker only")
	}
	return nil
}

// prefix returns what begins the lines of a process with so many workers; nil: nothing.
func (o outputChoice) prefix(slots int) func(process int) string {
	if !o.Prefixed {
		return nil
	}
	return func(process int) string { return fmt.Sprintf("[worker %s] ", slotNames(process, slots)) }
}

// file returns where what a process with so many workers prints goes; nil: to no file.
func (o outputChoice) file(slots int) func(process int) string {
	if o.Dir == "" {
		return nil
	}
	return func(process int) string {
		return filepath.Join(o.Dir, fmt.Sprintf("worker-%s.out", slotNames(process, slots)))
	}
}

// redirect does in a rank what was asked for.
func (o outputChoice) redirect(ctx context.Context) error {
	p, ok := dispatch.PlaceOf(ctx)
	if o == (outputChoice{}) || !ok {
		return nil
	}
	var prefix, file string
	if f := o.prefix(p.Slots); f != nil {
		prefix = f(p.Index / p.Slots)
	}
	if f := o.file(p.Slots); f != nil {
		file = f(p.Index / p.Slots)
	}
	if err := job.Redirect(ctx, fmt.Sprint(o), prefix, file); err != nil {
		return fmt.Errorf("the output of worker %d: %w", p.Index, err)
	}
	return nil
}
