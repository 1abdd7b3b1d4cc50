package testkit

import (
	"context"
	"fmt"
	"os"
	"testing"
	"time"

	"go.uber.org/goleak"
)

// LimitVariable sets Limit, for a machine that is busier or slower than most.
const LimitVariable = "TESTS_LIMIT"

// Limit is how long a test waits before it says that it hangs. It is the only upper bound of time in the tests, and measures
// nothing: what is to be fast is measured by the benchmarks.
var Limit = limit(os.Getenv(LimitVariable))

func limit(text string) time.Duration {
	if text == "" {
		return 3 * time.Minute
	}
	d, err := time.ParseDuration(text)
	if err != nil || d <= 0 {
		panic(fmt.Sprintf("%s=%q is no duration such as 10m", LimitVariable, text))
	}
	return d
}

// Suite is the limit of a run of many tests, such as one by an mpiexec.
var Suite = 4 * Limit

// SuiteFlags is with what the suite of behaviours is compiled, here and by the Makefile: what one lane has compiled the others link.
const SuiteFlags = "-gcflags=-l -dwarf=false"

// Within returns a context that ends after Limit, or with the test.
func Within(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), Limit)
	t.Cleanup(cancel)
	return ctx
}

// Until waits for what no event tells, such as the end of a process that is not ours.
func Until(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(Limit); !ok(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not within %v: %s", Limit, what)
		}
	}
}

// Leaks returns an error if goroutines stay which an option does not excuse.
func Leaks(options ...goleak.Option) error {
	err := goleak.Find(options...) // gives up after half a second
	for end := time.Now().Add(Limit); err != nil && time.Now().Before(end); {
		err = goleak.Find(options...)
	}
	return err
}

// Main runs the tests of a package as Run does, then cleanup, and ends the process.
func Main(m interface{ Run() int }, cleanup ...func()) {
	status := Run(m)
	for _, f := range cleanup {
		f()
	}
	os.Exit(status)
}

// Run runs the tests of a package and returns the status to end with. Goroutines that have outlived the tests are a failure.
func Run(m interface{ Run() int }) int {
	status := m.Run()
	if status == 0 {
		if err := Leaks(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			status = 1
		}
	}
	return status
}
