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

// WithOutputPrefix has each line that a worker prints, to standard output or standard error, begin with the worker: "[worker 3] ", or with the
// workers of its process where these are several ([WithSlots]): "[worker 0-3] ".
// Lines stay whole, those of programs that tasks start too, and what has no end of line gets one when the worker ends. Without the
// option, or [WithOutputDir], workers write to this program's output themselves, and parts of lines can mix.
//
// Local processes print through this program: what a worker printed before it was killed is there, and all of it is when Close returns.
// A slow reader of this program's output holds up the tasks that print, as it does without the option. When the reader is gone,
// this program ends by SIGPIPE, or if it asks for that signal, what workers print is dropped. Ranks print to their own output, from the
// set-up of the executor to its end. One that is killed, or calls os.Exit in a task, can lose what it printed last, but not the message of
// a panic; and a mpiexec that takes up much at once may cut it within a line, as Open MPI's does beyond 4 KiB. Goroutines share this program's output: for them the option changes nothing.
func WithOutputPrefix() Option {
	return option(func(c *config) error {
		c.output.Prefixed = true
		return c.output.check()
	})
}

// WithOutputDir has all that a worker prints, to standard output or standard error, appended to a file of its own: worker-3.out in that
// folder, which is made if it is not there. A worker that takes the place of another goes on in its file. A rank does so from the
// set-up of the executor to its end; its folder is one of its own host. Goroutines share this program's output: for them the
// option changes nothing.
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
