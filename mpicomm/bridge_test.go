//go:build mpi && cgo && linux && (amd64 || arm64)

package mpicomm_test

import (
	"errors"
	"testing"

	empi "github.com/emer/empi/mpi"

	"github.com/rankpool/rankpool/internal/mpi"
	"github.com/rankpool/rankpool/internal/mpi/mpitest"
)

func TestTheBridgeToEmpiKeepsTheCommunicator(t *testing.T) {
	if !mpitest.Under(t, 3) {
		return
	}
	w := must(mpi.World())(t)
	theirs := must(empi.NewComm([]int{0, 2}))(t)
	if w.Rank() != 1 {
		c := must(mpi.FromEmpi(theirs))(t)
		if c.Size() != 2 || c.Rank() != w.Rank()/2 {
			t.Errorf("taken in: %v", c)
		}
		if err := c.Barrier(); err != nil {
			t.Error(err)
		}
	} else if _, err := mpi.FromEmpi(nil); !errors.Is(err, mpi.ErrFreed) {
		t.Errorf("nil gave %v", err)
	}
	ours := must(w.Split(0, -w.Rank()))(t)
	out := must(mpi.Empi[empi.Comm](ours))(t)
	if again := must(mpi.Empi[empi.Comm](ours))(t); again != out {
		t.Error("handed out twice: each has a group that nobody frees")
	}
	if out.Rank() != 2-w.Rank() || out.Size() != 3 {
		t.Errorf("handed out: rank %d of %d", out.Rank(), out.Size())
	}
	sum := []int{0}
	if err := out.AllReduceInt(empi.OpSum, sum, []int{w.Rank() + 1}); err != nil || sum[0] != 6 {
		t.Errorf("sum is %v (%v)", sum, err)
	}
	if err := ours.Free(); err != nil {
		t.Error(err)
	}
}
