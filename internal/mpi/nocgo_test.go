//go:build !cgo

package mpi_test

// cgo tells whether this program is built with it.
const cgo = false
