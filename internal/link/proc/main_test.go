//go:build unix

package proc_test

import (
	"fmt"
	"os"
	"testing"

	"github.com/rankpool/rankpool/internal/link/linktest"
	"github.com/rankpool/rankpool/internal/link/proc"
	"github.com/rankpool/rankpool/internal/testkit"
)

// roleVariable names what a process that a test starts does instead of testing.
const roleVariable = "RANKPOOL_PROC_TEST_ROLE"

func TestMain(m *testing.M) {
	role := os.Getenv(roleVariable)
	if role == "master" && !proc.IsWorker() {
		runDoomedMaster()
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
