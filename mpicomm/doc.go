// Package mpicomm gives tasks the communicator of the workers, and those of Split and Dup, as communicators of github.com/emer/empi/mpi, for
// code that calls MPI itself.
//
// It is separate from package comm so that only programs that import it link empi. It needs workers that are ranks of an MPI job, the build
// tag mpi, and cgo; [github.com/rankpool/rankpool/comm] works with any workers.
package mpicomm
