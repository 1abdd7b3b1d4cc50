package pool_test

import (
	"fmt"
	"os"
	"testing"

	"go.uber.org/goleak"

	"github.com/rankpool/rankpool/futures"
)

// checked runs the tests and then looks for goroutines that outlived them. It runs in the master only.
type checked struct{ m *testing.M }

func (c checked) Run() int {
	ignore := goleak.IgnoreCurrent() // Main's own
	status := c.m.Run()
	if status != 0 {
		return status
	}
	if err := goleak.Find(ignore); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

func TestMain(m *testing.M) {
	os.Setenv("GORACE", "atexit_sleep_ms=0") // workers with the race detector would linger for a second each
	futures.TestMain(checked{m})
}
