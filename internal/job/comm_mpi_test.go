//go:build mpi && linux && (amd64 || arm64)

package job_test

import (
	"errors"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/rankpool/rankpool/internal/job"
)

// entries counts the identities of communicators that are none of MPI's.
var entries atomic.Uint32

// The library may give the handle of the unfit one to the new one once that was freed.
func TestANewCommunicatorIsEnteredAfterAnotherWasFoundUnfit(t *testing.T) {
	n := uintptr(entries.Add(2)) // the unfit are remembered for as long as the process lives
	first, again, fresh := job.NewEntered(n), job.NewEntered(n), job.NewEntered(n+1)
	if err := first.Enter(); err != nil {
		t.Fatal(err)
	}
	if err := again.Enter(); err == nil || !strings.Contains(err.Error(), "serve already") {
		t.Errorf("entered a second time: %v", err)
	}
	why := errors.New("rank 2 has not come")
	job.Left(first, why)
	if err := again.Enter(); !errors.Is(err, why) {
		t.Errorf("an unfit one was entered: %v", err)
	}
	for range 2 {
		if err := fresh.Enter(); err != nil {
			t.Fatal(err)
		}
		job.Left(fresh, nil)
	}
}
