//go:build mpi && cgo && !unix

package futures

func leaveSignals() { ignoreSignals() }
