//go:build !mpi || !cgo

package futures

import (
	"errors"
	"fmt"
	"os"

	"github.com/rankpool/rankpool/internal/life"
	"github.com/rankpool/rankpool/internal/link"
	"github.com/rankpool/rankpool/internal/link/mpilink"
	"github.com/rankpool/rankpool/internal/mpi"
)

func hasWorld() bool        { return false }
func inWorkerOrWorld() bool { return everywhere || InWorker() }

func (e *executor) newServiceGroup(mpilink.Place) (link.Group, error) { return nil, mpi.ErrNotBuilt }

// serveMasters refuses.
func serveMasters(_ server, problem error) int {
	fmt.Fprintln(os.Stderr, "rankpool: serve:", errors.Join(problem, mpi.Connects()))
	return life.ExitFailure
}
