//go:build !mpi || !cgo

package futures

import (
	"context"
	"errors"
	"log/slog"

	"github.com/rankpool/rankpool/internal/link"
)

// mpiBuilt tells whether MPI is in this program. What follows is what remains of backend_mpi.go without it.
const mpiBuilt = false

func underLauncher() bool { return false }
func loadingInRank() bool { return false }
func abortJob(int)        {}

func mainOrRank(run func(context.Context) error) int { return runMaster(run) }

func (e *executor) newRankGroup(environment, *slog.Logger) (link.Group, error) {
	return nil, errors.New("futures: MPI is not built into this program")
}
