//go:build mpi && linux && (amd64 || arm64)

package job

import "github.com/rankpool/rankpool/internal/link/mpilink"

// LinkOptions are the choices of both ends of the link.
func LinkOptions() (mpilink.Options, error) { return linkOptions() }

// Notes prints what ranks have to tell the user.
var Notes = &notes
