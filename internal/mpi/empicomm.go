//go:build !mpi || cgo

package mpi

import empi "github.com/emer/empi/mpi"

// EmpiComm is the communicator of github.com/emer/empi/mpi.
type EmpiComm = empi.Comm
