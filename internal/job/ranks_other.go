//go:build !mpi

package job

import (
	"errors"

	"github.com/rankpool/rankpool/internal/link/mpilink"
	"github.com/rankpool/rankpool/internal/mpi"
)

// This is the job of this process.
var This Job = none{}

// none is what remains of a job without MPI in the program.
type none struct{}

func (none) Built() bool     { return false }
func (none) Launched() bool  { return false }
func (none) WillServe() bool { return false }
func (none) Loading() bool   { return false }
func (none) Leads() bool     { return false }
func (none) Serves() bool    { return false }
func (none) Abort(int)       {}

func (none) Run(p Program) int { return p.Master() }

func (none) ServeMasters(Program, Server) error { return mpi.Connects() }

func (none) Ranks(Request) (Group, bool, bool, error) {
	return nil, false, false, errors.New("futures: MPI is not built into this program")
}

func (none) Connect(Request, mpilink.Place) (Group, error) { return nil, mpi.ErrNotBuilt }

func (none) Comm(c any) (Comm, error) {
	if c != nil && !single(c) {
		return nil, errors.New("MPI is not built into this program: build it with `go build -tags mpi`")
	}
	return Alone, nil
}
