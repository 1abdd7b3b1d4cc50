package futures

import "fmt"

// mostPriority is the highest priority, and the lowest with a minus.
const mostPriority = 100

// WithPriority sets which tasks of an executor come first: those with the higher n, between -100 and 100; 0 without the option.
//
// Tasks of one priority share the workers by time: each map gets an equal share, and all single calls together get one. The calls stay in
// their order, and so do the elements of a map. A running task is not interrupted. Tasks that were sent to a worker already, at most about
// a millisecond of work beyond the running one, go first.
//
// No priority starves. Tasks whose priority is n lower get at least one part in 16 n + 1 of the workers' time. So priority -100 gets one
// part in 3,201 beside tasks of priority 100. A function that has not run yet counts as long.
//
// A task that was given back, that runs again, or that another task waits for goes before all others. A [SubmitEach] takes no priority: it
// comes behind everything that was submitted before it with priority 0 or higher.
func WithPriority(n int) FuncOption {
	return funcOption(func(c *taskConfig) error {
		if n < -mostPriority || n > mostPriority {
			return fmt.Errorf("WithPriority(%d): the priority must be between %d and %d", n, -mostPriority, mostPriority)
		}
		c.priority, c.hasPriority = n, true
		return nil
	})
}
