package life

import (
	"context"
	"errors"
	"fmt"
	"os"
)

// TestsFailed is the error of a function that runs tests: the tests have said what is wrong.
type TestsFailed int

// Error is empty.
func (TestsFailed) Error() string { return "" }

// runTests is runMaster for a test: on this goroutine, without others.
func (p Program) runTests() int {
	failed := TestsFailed(0)
	if errors.As(p.Run(context.Background()), &failed) {
		abandonAll()
	} else {
		closeAll(Pool.Finish)
	}
	open.Lock()
	defer open.Unlock()
	for _, err := range open.badEnds {
		fmt.Fprintln(os.Stderr, "rankpool:", err)
	}
	if failed == 0 && len(open.badEnds) > 0 {
		return ExitFailure
	}
	return int(failed)
}
