//go:build unix

// Package faults_test breaks programs in every way there is: bad input, tasks that misbehave, workers and masters that
// are killed. Each time it must end soon, with an error that says what, where and what to do, with no process left behind
// and with the result of every other task.
package faults_test

import (
	"fmt"
	"os"
	"strconv"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/rankpool/rankpool/futures"
)

// roleVariable has the test binary be a program of its own: the master that a test kills.
const roleVariable = "FAULTS_ROLE"

// markVariable is in the environment of everything that this run of the tests starts, directly or not.
const markVariable = "FAULTS_RUN"

func TestMain(m *testing.M) {
	if run, ok := roles[os.Getenv(roleVariable)]; ok {
		futures.Main(run, futures.DrainOn(syscall.SIGUSR1), futures.DrainGrace(3*time.Second))
	}
	if os.Getenv(markVariable) == "" { // in the master
		must(os.Setenv(markVariable, strconv.Itoa(os.Getpid())))
		must(os.Setenv("GORACE", "atexit_sleep_ms=20")) // the race detector idles for a second at every exit
	}
	futures.TestMain(checked{m})
}

func must(err error) {
	if err != nil {
		panic(err)
	}
}

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
