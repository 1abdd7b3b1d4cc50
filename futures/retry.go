package futures

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/rankpool/rankpool/internal/dispatch"
	"github.com/rankpool/rankpool/internal/saturate"
)

// WithRetries says that a task may be run again, up to n times in all: when its worker dies under it, and whatever else the options
// name. Only tasks that may be run twice without harm should be marked so: without the mark none ever is. The error is that of the last
// run.
//
// A task is not run again once it was interrupted, nor after its map has ended, nor during the shutdown that cancels, nor one that ignored
// its time-out where it could not be killed. A call of [SubmitEach] never is, whatever its function or executor has: it does not take
// the option.
func WithRetries(n int, opts ...RetryOption) FuncOption {
	return funcOption(func(c *taskConfig) error {
		if n < 0 || n > 1000 {
			return fmt.Errorf("WithRetries(%d): the number must be between 0 and 1000", n)
		}
		var again dispatch.Again
		for _, o := range opts {
			if o == nil {
				continue
			}
			if err := o.retry(&again); err != nil {
				return fmt.Errorf("WithRetries: %w", err)
			}
		}
		c.retries, c.again, c.hasRetries = n, nil, true
		if len(opts) > 0 {
			c.again = &again
		}
		return nil
	})
}

// RetryOption is a choice for [WithRetries].
type RetryOption interface{ retry(*dispatch.Again) error }

type retryOption func(*dispatch.Again) error

func (o retryOption) retry(a *dispatch.Again) error { return o(a) }

// RetryIf has a task run again that fails with an error which pick returns true for, such as one that says that a server is
// busy. The error is the one that the future would have: [errors.Is] and [errors.As] look through it. pick is called in the master, on the
// goroutine of the executor that decodes errors, one call at a time; while it takes its time, other errors wait. When it panics, which is
// logged, the task has failed. Given several times, one that returns true is enough.
func RetryIf(pick func(err error) bool) RetryOption {
	return retryOption(func(a *dispatch.Again) error {
		if pick == nil {
			return errors.New("RetryIf: the function is nil")
		}
		before := a.If
		a.If = func(err error) bool {
			if before != nil && before(err) {
				return true
			}
			yes := false
			survive(func() { yes = pick(err) })
			return yes
		}
		return nil
	})
}

// RetryTimeouts has a task run again that fails because its time was over: by [WithTaskTimeout], also if its process was killed for
// that, or by a limit of its own. Its error matches context.DeadlineExceeded.
func RetryTimeouts() RetryOption {
	return retryOption(func(a *dispatch.Again) error {
		a.Timeouts = true
		return nil
	})
}

// WithRetryBackoff has a task pause before it is queued again: first for first, and each time for twice as long, up to most. A random part
// of each pause, up to a half, is left out, so that tasks which failed together do not come back together. A task that pauses is
// pending: it takes no worker, and Cancel, the contexts of [WithContext] and of a map, and a shutdown that cancels end the pause.
// Close waits for it. Without the option there is no pause.
func WithRetryBackoff(first, most time.Duration) RetryOption {
	return retryOption(func(a *dispatch.Again) error {
		if first < 0 || most < first {
			return fmt.Errorf("WithRetryBackoff(%v, %v): the first pause must not be negative, and the longest must not be shorter", first, most)
		}
		a.Pause = func(tries int) time.Duration { return jittered(backoff(first, most, tries)) }
		return nil
	})
}

// mostDoublings is after how many a duration of a nanosecond is the longest there is.
const mostDoublings = 63

// backoff is the pause before a task is run again for that many times, from 1 on.
func backoff(first, most time.Duration, tries int) time.Duration {
	d := first
	for range min(tries-1, mostDoublings) {
		d = saturate.Mul(d, 2)
	}
	return min(d, most)
}

// jittered leaves out a random part of d, up to a half.
func jittered(d time.Duration) time.Duration {
	if d < 2 {
		return d
	}
	return d - rand.N(d/2+1)
}
