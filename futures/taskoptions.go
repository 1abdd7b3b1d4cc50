package futures

import (
	"context"
	"fmt"
	"time"

	"github.com/rankpool/rankpool/internal/dispatch"
	"github.com/rankpool/rankpool/internal/resultlog"
)

// TaskOption is an option of one call: of [Submit], [SubmitAfter], pool.Apply and pool.ApplyAsync.
type TaskOption interface {
	task(*taskConfig) error
}

// EachOption is an option of [SubmitEach].
type EachOption interface {
	forEach(*taskConfig) error
}

// SingleOption is an option of [Submit] and [SubmitEach].
type SingleOption interface {
	TaskOption
	EachOption
}

// FuncOption sets how tasks are run: for a function at [Register], for one call or one map, or for all tasks of an executor. That of the
// call comes before that of the function, and that of the function before that of the executor.
type FuncOption interface {
	Option
	RegisterOption
	TaskOption
	AnyMapOption
}

// AnyOption is a [FuncOption] that [SubmitEach] takes as well.
type AnyOption interface {
	FuncOption
	EachOption
}

// taskConfig is what TaskOptions set.
type taskConfig struct {
	timeout  time.Duration
	retries  int
	again    *dispatch.Again // what else than a lost worker has a task run again; nil: nothing
	snapshot bool
	grace    time.Duration   // after the end of the task's context; 0: as long as it likes
	ctx      context.Context // of one call; nil: none
	journal  *resultlog.Log  // of one call or map; nil: none
	gang     int             // on how many workers a gang runs; 0: on all
	oneHost  bool            // and all of them on one host

	priority int // of the tasks: higher ones go first

	hasTimeout, hasRetries, hasSnapshot, hasGrace, hasPriority bool
}

func applyTo[O TaskOption](c *taskConfig, opts []O) error {
	for _, o := range opts {
		if any(o) == nil {
			continue
		}
		if err := o.task(c); err != nil {
			return err
		}
	}
	return nil
}

// over fills what c leaves open from a more general level.
func (c taskConfig) over(general taskConfig) taskConfig {
	if !c.hasTimeout && general.hasTimeout {
		c.timeout, c.hasTimeout = general.timeout, true
	}
	if !c.hasRetries && general.hasRetries {
		c.retries, c.again, c.hasRetries = general.retries, general.again, true
	}
	if !c.hasSnapshot && general.hasSnapshot {
		c.snapshot, c.hasSnapshot = general.snapshot, true
	}
	if !c.hasGrace && general.hasGrace {
		c.grace, c.hasGrace = general.grace, true
	}
	if !c.hasPriority && general.hasPriority {
		c.priority, c.hasPriority = general.priority, true
	}
	return c
}

// funcOption is a FuncOption.
type funcOption func(*taskConfig) error

func (o funcOption) task(c *taskConfig) error       { return o(c) }
func (o funcOption) apply(c *config) error          { return o(&c.task) }
func (o funcOption) register(c *registration) error { return o(&c.task) }
func (o funcOption) forMap(c *mapConfig) error      { return o(&c.task) }
func (o funcOption) forList()                       {}

// anyOption is an AnyOption.
type anyOption struct{ funcOption }

func (o anyOption) forEach(c *taskConfig) error { return o.funcOption(c) }

// newAnyOption returns an option with the effect of set.
func newAnyOption(set func(*taskConfig) error) AnyOption { return anyOption{set} }

// WithTaskTimeout limits how long one task may run. A task is one call, one element of a map, or with [WithChunkSize] a whole chunk; pool.Map
// and pool.Starmap make chunks by themselves unless they are told the size 1. At the end of that time the task's context ends.
// A local process whose task goes on for another second is killed and replaced, and the task fails. Where workers are goroutines or ranks
// the future fails then, but the task goes on until its function returns, and its worker is busy until then. Either way the error matches
// context.DeadlineExceeded. A task that returns a result and no error within that second has succeeded. Zero means no limit.
func WithTaskTimeout(d time.Duration) AnyOption {
	return newAnyOption(func(c *taskConfig) error {
		if d < 0 {
			return fmt.Errorf("WithTaskTimeout(%v): the time must not be negative", d)
		}
		c.timeout, c.hasTimeout = d, true
		return nil
	})
}

// WithInterruptGrace limits how long a task may go on after its context was ended: by [Future.Interrupt], the context of [WithContext] or
// of a map, or the end of the executor. If a task goes on for longer and its worker is a local process, that is killed and replaced, and
// the task fails with a [*BrokenError] that matches [context.Canceled]. Where workers are goroutines or ranks the future fails then, but
// the task goes on until its function returns. Without the option a task may ignore the end of its context. After a time-out another grace
// applies: see [WithTaskTimeout]. Tasks with the option are sent one by one, however short they are.
func WithInterruptGrace(d time.Duration) AnyOption {
	return newAnyOption(func(c *taskConfig) error {
		if d < 0 {
			return fmt.Errorf("WithInterruptGrace(%v): the time must not be negative", d)
		}
		c.grace, c.hasGrace = max(d, 1), true
		return nil
	})
}

// WithSnapshot copies large slices when the call is submitted, so that the caller may change them at once. Without it they are sent from
// where they are, and must not be written to before the future is done.
//
// A buffer that is filled again too early is noticed: samples of the argument are sent with it and compared before the task runs, each time
// it is sent. If they differ, the task fails with [ErrArgumentChanged]. A change of less than 128 KiB in one place may lie between the
// samples: then the task computes with it, and there is no error. A program that is built with -race reads the slices once on goroutines of
// their own, so that the race detector reports every write. A [ThreadPoolExecutor] shares its arguments and compares nothing.
func WithSnapshot() AnyOption {
	return newAnyOption(func(c *taskConfig) error {
		c.snapshot, c.hasSnapshot = true, true
		return nil
	})
}
