//go:build unix

package pool_test

import (
	"os"
	"testing"

	"github.com/rankpool/rankpool/internal/mpi"
	"github.com/rankpool/rankpool/internal/mpi/mpitest"
	"github.com/rankpool/rankpool/internal/testkit"
)

// The whole suite again, with ranks as workers.
func TestSuiteUnderMPI(t *testing.T) {
	switch {
	case os.Getenv(underMPI) != "":
		t.Skip("this is the run under MPI")
	case !mpi.Built:
		t.Skip("built without -tags mpi")
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	launcher, err := mpitest.Linked()
	if err != nil {
		t.Fatal(err)
	}
	for way, ranks := range map[string]int{"world": workers + 1, "spawned": 1} {
		t.Run(way, func(t *testing.T) {
			if ranks == 1 && launcher != "openmpi" {
				t.Skip("this MPI cannot spawn; its world mode is tested")
			}
			r, err := mpitest.RunSpawning(t, mpitest.Job{
				Ranks: ranks, Program: self, Limit: testkit.Suite,
				Env: []string{underMPI + "=" + way, "GORACE=atexit_sleep_ms=0"},
			})
			if err != nil {
				t.Fatal(err)
			}
			if r.Code != 0 || r.Expired {
				t.Fatalf("status %d, expired %v:\n%s", r.Code, r.Expired, r.Report())
			}
		})
	}
}
