package futures

import (
	"context"
	"errors"
	"fmt"
)

// overTime is the error of a task that returned err. When its time was over by then, the error says so and matches
// context.DeadlineExceeded, whatever the task made of the end of its context: a program that it had started, and that was killed then,
// says "signal: killed".
func overTime(ctx context.Context, err error) error {
	if ctx.Err() != context.DeadlineExceeded || errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	return fmt.Errorf("it exceeded its time limit (WithTaskTimeout, %w): %w", context.DeadlineExceeded, err)
}
