//go:build mpi && linux && (amd64 || arm64)

package mpilink_test

import (
	"os"
	"testing"

	"github.com/rankpool/rankpool/internal/link"
	"github.com/rankpool/rankpool/internal/link/linktest"
	"github.com/rankpool/rankpool/internal/link/mpilink"
	"github.com/rankpool/rankpool/internal/mpi/mpitest"
)

func TestRanksOfTheWorldPassTheSuite(t *testing.T) {
	if !mpitest.UnderLong(t, 3) {
		return
	}
	linktest.Run(t, func(*testing.T) linktest.Harness {
		return linktest.Harness{New: func(slots int) link.Group { return hub.Group(mpilink.Config{Slots: slots}) }, Small: true}
	})
}

func TestSlotsOfARankPassTheSuite(t *testing.T) {
	if !mpitest.UnderLong(t, 2) {
		return
	}
	linktest.Run(t, func(*testing.T) linktest.Harness {
		return linktest.Harness{New: func(slots int) link.Group { return hub.Group(mpilink.Config{PerRank: slots}) }, Small: true}
	})
}

func TestSpawnedProcessesPassTheSuite(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	if launcher, err := mpitest.Linked(); err != nil || launcher != "openmpi" {
		t.Skipf("%q (%v): only Open MPI spawns here", launcher, err)
	}
	if !mpitest.UnderLong(t, 1) {
		return
	}
	linktest.Run(t, func(*testing.T) linktest.Harness {
		return linktest.Harness{Small: true, New: func(slots int) link.Group {
			return mpilink.NewSpawned(mpilink.Spawn{
				Config: mpilink.Config{Slots: slots}, Command: self, Workers: slots,
				Info: map[string]string{"host": "localhost:8"},
			})
		}}
	})
}
