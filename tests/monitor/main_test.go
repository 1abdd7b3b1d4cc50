//go:build unix

// Package monitor_test looks on while programs run: at the status of their executors, and at what shows it.
package monitor_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rankpool/rankpool/futures"
	"github.com/rankpool/rankpool/internal/testkit"
)

func TestMain(m *testing.M) {
	for name, value := range map[string]string{"RANKPOOL_LOG": "off", "GORACE": "atexit_sleep_ms=20"} {
		if err := os.Setenv(name, value); err != nil {
			panic(err)
		}
	}
	if os.Getenv(roleVariable) != "" {
		if err := os.Setenv("RANKPOOL_LOG", "warn"); err != nil {
			panic(err)
		}
		futures.Main(role)
	}
	futures.TestMain(testkit.Checked(m))
}

// gate is a folder in which tasks say that they have begun, and wait until they are let go.
type gate string

// block begins task number i, and waits until that is let go.
func (g gate) block(i int) error {
	if err := os.WriteFile(filepath.Join(string(g), fmt.Sprint("begun-", i)), nil, 0o600); err != nil {
		return err
	}
	for {
		if _, err := os.Stat(string(g)); err != nil { // the test is over
			return nil
		}
		for _, name := range []string{fmt.Sprint("go-", i), "go"} {
			if _, err := os.Stat(filepath.Join(string(g), name)); err == nil {
				return nil
			}
		}
		time.Sleep(time.Millisecond)
	}
}

// open lets one task go, or with "" all.
func (g gate) open(t *testing.T, which string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(string(g), "go"+which), nil, 0o600); err != nil {
		t.Fatal(err)
	}
}

// begun waits until a task has begun.
func (g gate) begun(t *testing.T, i int) {
	t.Helper()
	testkit.Until(t, fmt.Sprintf("task %d begins", i), func() bool {
		_, err := os.Stat(filepath.Join(string(g), fmt.Sprint("begun-", i)))
		return err == nil
	})
}

// all returns the numbers of those that have begun.
func (g gate) all(t *testing.T) (numbers []int) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(string(g), "begun-*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		n, err := strconv.Atoi(strings.TrimPrefix(filepath.Base(f), "begun-"))
		if err != nil {
			t.Fatal(err)
		}
		numbers = append(numbers, n)
	}
	slices.Sort(numbers)
	return numbers
}

// alone has units sent one by one, however short others of their function were.
var alone = futures.WithTaskTimeout(time.Hour)

// order is what a task does.
type order struct {
	Gate   string
	Number int
	Fail   bool // instead of waiting
	Pass   bool // likewise: succeed
	Die    bool // after waiting
}

var obey = futures.Register("obey", func(o order) (int, error) {
	switch {
	case o.Fail:
		return 0, errors.New("told to fail")
	case o.Pass:
		return o.Number, nil
	}
	err := gate(o.Gate).block(o.Number)
	if o.Die {
		_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
		select {}
	}
	return o.Number, err
})

// newGate makes a gate. Its folder goes with the end of the test, which lets all tasks go: make it after the executors, so that it goes before they
// are closed.
func newGate(t *testing.T) gate { return gate(t.TempDir()) }

// start returns an executor that the end of the test closes.
func start(t *testing.T, backend string, workers int) futures.Executor {
	t.Helper()
	var ex futures.Executor
	var err error
	if backend == "threads" {
		ex, err = futures.NewThreadPoolExecutor(futures.WithMaxWorkers(workers))
	} else {
		ex, err = futures.NewProcessPoolExecutor(futures.WithMaxWorkers(workers))
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := ex.Close(); err != nil {
			t.Error(err)
		}
	})
	return ex
}

// each runs a test on goroutines and on processes.
func each(t *testing.T, test func(t *testing.T, backend string)) {
	for _, b := range []string{"threads", "processes"} {
		t.Run(b, func(t *testing.T) { test(t, b) })
	}
}

// read reads the results of a map on a goroutine, and returns the number of failures when it has ended.
func read(ctx context.Context, ex futures.Executor, orders []order, opts ...futures.MapOption) <-chan int {
	results := futures.Map(ctx, ex, obey, orders, opts...)
	failures := make(chan int, 1)
	go func() {
		n := 0
		for _, err := range results {
			if err != nil {
				n++
			}
		}
		failures <- n
	}()
	return failures
}
