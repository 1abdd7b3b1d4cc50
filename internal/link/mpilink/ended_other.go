//go:build !linux

package mpilink

// awaitEnd waits until the process has ended, which it says, or until stop is closed.
func (p process) awaitEnd(stop <-chan struct{}) bool { return p.lookForEnd(stop) }
