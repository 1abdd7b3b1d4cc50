//go:build unix

package proc_test

import (
	"fmt"
	"os"
	"syscall"
	"testing"

	"github.com/rankpool/rankpool/internal/link/linktest"
	"github.com/rankpool/rankpool/internal/link/proc"
	"github.com/rankpool/rankpool/internal/testkit"
)

// roleVariable names what a process that a test starts does instead of testing.
const roleVariable = "RANKPOOL_PROC_TEST_ROLE"

// earlyVariable has a worker get the signals that come to whole groups before main begins.
const earlyVariable = "RANKPOOL_PROC_TEST_EARLY"

var _ = func() bool {
	if os.Getenv(earlyVariable) != "" && proc.IsWorker() {
		for _, s := range groupSignals {
			_ = syscall.Kill(os.Getpid(), s)
		}
	}
	return true
}()

// masters are the roles in which a process is a master.
var masters = map[string]func(){"master": runDoomedMaster, "families": runFamilies, "dropped": runDropped}

func TestMain(m *testing.M) {
	role := os.Getenv(roleVariable)
	if run := masters[role]; run != nil && !proc.IsWorker() {
		run()
		os.Exit(0)
	}
	ep, ok, err := proc.Attach()
	switch {
	case err != nil:
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	case ok:
		if act := acts[role]; act != nil {
			act(ep)
		} else {
			linktest.Worker(ep)
		}
		os.Exit(0)
	}
	testkit.Main(m)
}
