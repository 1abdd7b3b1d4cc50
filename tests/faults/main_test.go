//go:build unix

// Package faults_test breaks programs in every way there is: bad input, tasks that misbehave, workers and masters that
// are killed. Each time it must end soon, with an error that says what, where and what to do, with no process left behind
// and with the result of every other task.
package faults_test

import (
	"os"
	"slices"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/rankpool/rankpool/futures"
	"github.com/rankpool/rankpool/internal/testkit"
)

// roleVariable has the test binary be a program of its own: the master that a test kills.
const roleVariable = "FAULTS_ROLE"

// markVariable is in the environment of everything that this run of the tests starts, directly or not.
const markVariable = "FAULTS_RUN"

func TestMain(m *testing.M) {
	if run, ok := roles[os.Getenv(roleVariable)]; ok {
		grace := 3 * time.Second
		if slices.Contains(finishing, os.Getenv(roleVariable)) {
			grace = patience
		}
		futures.Main(run, futures.DrainOn(syscall.SIGUSR1), futures.WithDrainGrace(grace))
	}
	if os.Getenv(roleVariable) == "test" {
		futures.TestMain(careless{})
	}
	if os.Getenv(markVariable) == "" { // in the master
		must(os.Setenv(markVariable, strconv.Itoa(os.Getpid())))
		must(os.Setenv("GORACE", "atexit_sleep_ms=20")) // the race detector idles for a second at every exit
	}
	futures.TestMain(testkit.Checked(m))
}

func must(err error) {
	if err != nil {
		panic(err)
	}
}
