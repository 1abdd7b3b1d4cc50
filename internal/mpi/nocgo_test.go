//go:build mpi && linux && (amd64 || arm64) && !cgo

package mpi_test

// cgo tells whether this program is built with it.
const cgo = false
