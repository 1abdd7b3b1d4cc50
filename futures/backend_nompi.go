//go:build !mpi || !cgo

package futures

import (
	"context"
	"errors"
	"log/slog"

	"github.com/rankpool/rankpool/internal/life"
	"github.com/rankpool/rankpool/internal/link"
	"github.com/rankpool/rankpool/internal/mpi"
)

// mpiBuilt tells whether MPI is in this program. What follows is what remains of backend_mpi.go without it.
const mpiBuilt = false

func underLauncher() bool { return false }
func loadingInRank() bool { return false }
func abortJob(int)        {}

func mainOrRank(p life.Program, _ bool) int { return p.RunMaster() }

func (e *executor) newRankGroup(environment, *slog.Logger) (link.Group, error) {
	return nil, errors.New("futures: MPI is not built into this program")
}

// commRanks is a communicator: without MPI, the world of this process alone.
type commRanks struct{ rank, size int }

func commOf(c *mpi.EmpiComm) (*commRanks, error) {
	if c != nil {
		return nil, errors.New("MPI is not built into this program: build it with `go build -tags mpi`")
	}
	return &commRanks{0, 1}, nil
}

func (*commRanks) serve(context.Context, int) error { return nil }
func (*commRanks) enter() (func(), error)           { return func() {}, nil }
func (*commRanks) letGo(context.Context) error      { return nil }
