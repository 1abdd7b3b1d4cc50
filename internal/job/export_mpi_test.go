//go:build mpi && linux && (amd64 || arm64)

package job

import "github.com/rankpool/rankpool/internal/link/mpilink"

// LinkOptions are the choices of both ends of the link.
func LinkOptions() (mpilink.Options, error) { return linkOptions() }

// Notes prints what ranks have to tell the user.
var Notes = &notes

// NewEntered is a communicator of two ranks, which may be entered, by its identity.
func NewEntered(identity uintptr) Comm { return &commRanks{identity: identity, size: 2} }

// Left ends the time in which the ranks of a communicator served.
func Left(c Comm, unfit error) { c.(*commRanks).left(unfit) }

// MusterIn is Muster with other times.
var MusterIn = muster
