package job

import (
	"context"

	"github.com/rankpool/rankpool/internal/mpi"
)

// Alone is the communicator of this process alone.
var Alone Comm = alone{}

// single tells whether a communicator, of whatever kind, has this process alone.
func single(c any) bool {
	sized, ok := c.(interface{ Size() int })
	return ok && sized.Size() == 1
}

// alone is the world of this process alone.
type alone struct{}

func (alone) Rank() int                                 { return 0 }
func (alone) Size() int                                 { return 1 }
func (alone) World() bool                               { return true }
func (alone) Enter() error                              { return nil }
func (alone) Group(Request) (Group, error)              { return nil, mpi.ErrNotBuilt }
func (alone) LetGo(context.Context) error               { return nil }
func (alone) Serve(context.Context, Program, int) error { return nil }
