package life

import (
	"cmp"
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
	open.Lock()
	open.tests = true
	open.Unlock()
	failed := TestsFailed(0)
	if errors.As(p.Run(context.Background()), &failed) {
		abandonAll()
	} else {
		closeAll(Pool.Finish)
	}
	open.Lock()
	defer open.Unlock()
	status := int(failed)
	for _, badEnd := range open.badEnds {
		if err := badEnd(); err != nil {
			fmt.Fprintln(os.Stderr, "rankpool:", err)
			status = cmp.Or(status, ExitFailure)
		}
	}
	return status
}
