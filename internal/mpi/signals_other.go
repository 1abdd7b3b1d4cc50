//go:build !unix

package mpi

func wantSignals() {}
