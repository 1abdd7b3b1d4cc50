package futures

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/rankpool/rankpool/internal/dispatch"
	"github.com/rankpool/rankpool/internal/saturate"
)

// WithRetries allows a task to be run again, at most n further times: when its worker dies under it, and in the cases that the options
// name. Only give it to tasks that may run twice without harm; without it no task runs again. The error is that of the last run.
//
// A task is not run again once it was interrupted, after its map has ended, during a shutdown that cancels, or if it ignored its time-out
// where it could not be killed. A call of [SubmitEach] is never run again, whatever its function or executor has: it does not take the
// option.
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

// RetryOption is an option of [WithRetries].
type RetryOption interface{ retry(*dispatch.Again) error }

type retryOption func(*dispatch.Again) error

func (o retryOption) retry(a *dispatch.Again) error { return o(a) }

// RetryIf repeats a task when pick returns true for its error, such as one that says that a server is busy. pick gets the error that the
// future would have: [errors.Is] and [errors.As] look through it. It is called in the master, on the goroutine of the executor that decodes
// errors, one call at a time, while other errors wait. If pick panics, that is logged and the task has failed. With several of these
// options it is enough that one returns true.
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

// RetryTimeouts repeats a task that fails because its time was over: by [WithTaskTimeout], even if its process was killed for that, or by a
// limit of its own. The error of such a task matches context.DeadlineExceeded.
func RetryTimeouts() RetryOption {
	return retryOption(func(a *dispatch.Again) error {
		a.Timeouts = true
		return nil
	})
}

// WithRetryBackoff makes a task pause before it is queued again: first for first, then each time for twice as long, up to most. Each pause
// is shortened by a random part, up to a half, so that tasks that failed together do not come back together. A pausing task is pending: it
// takes no worker, and Cancel, the contexts of [WithContext] and of a map, and a shutdown that cancels end the pause. Close waits for it.
// Without the option there is no pause.
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
