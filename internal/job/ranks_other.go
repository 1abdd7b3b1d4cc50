//go:build !mpi

package job

import (
	"context"
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
	if c != nil {
		return nil, errors.New("MPI is not built into this program: build it with `go build -tags mpi`")
	}
	return alone{}, nil
}

// alone is the world of this process alone.
type alone struct{}

func (alone) Rank() int                                 { return 0 }
func (alone) Size() int                                 { return 1 }
func (alone) Enter() (func(), error)                    { return func() {}, nil }
func (alone) Group(Request) (Group, error)              { return nil, mpi.ErrNotBuilt }
func (alone) LetGo(context.Context) error               { return nil }
func (alone) Serve(context.Context, Program, int) error { return nil }
