//go:build !(mpi && linux && (amd64 || arm64))

package job

import (
	"errors"
	"fmt"
	"os"

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

// Run implements Job.
func (none) Run(p Program) int {
	if text := byThemselves(os.LookupEnv); text != "" {
		fmt.Fprintln(os.Stderr, "rankpool: warning:", text)
	}
	return p.Master()
}

// byThemselves is what rank 0 of a launcher says in a program without MPI, of which each process runs all. Whoever sets the backend means
// that.
func byThemselves(lookup func(string) (string, bool)) string {
	l := mpi.FindLauncher(lookup)
	if _, set := lookup("RANKPOOL_BACKEND"); set || l.Size < 2 && !l.Strange() || l.Rank > 0 || l.Rank < 0 && !l.Strange() {
		return ""
	}
	what := fmt.Sprintf("%d processes", l.Size)
	if l.Strange() {
		what = "this process and perhaps others"
	}
	return fmt.Sprintf("%s has started %s (%s), and this program is built without MPI: each of them runs the whole program by "+
		"itself. Build it with `go build -tags mpi`, for Linux on amd64 or arm64; if that is what you want, set RANKPOOL_BACKEND=processes", l.Name, what, l.Variable)
}

func (none) Spawnless() (why, instead string) { return "", "" }

func (none) ServeMasters(Program, Server) error { return mpi.Connects() }

func (none) Ranks(Request) (Group, bool, bool, error) {
	return nil, false, false, errors.New("futures: MPI is not built into this program")
}

func (none) Connect(Request, mpilink.Place) (Group, error) { return nil, mpi.ErrNotBuilt }

func (none) Comm(c any) (Comm, error) {
	if c != nil && !single(c) {
		return nil, errors.New("MPI is not built into this program: build it with `go build -tags mpi`, for Linux on amd64 or arm64")
	}
	return Alone, nil
}
