//go:build mpi && linux && (amd64 || arm64)

package mpi_test

import (
	"syscall"
	"testing"
	"unsafe"

	"github.com/rankpool/rankpool/internal/mpi/mpitest"
)

// A handler that does not ask for the signal stack runs on that of a goroutine, which has no room for it, and destroys what lies below:
// MPICH's for SIGUSR1, UCX's for SIGHUP.
func TestAfterInitEverySignalIsHandledOnTheSignalStack(t *testing.T) {
	if !mpitest.Under(t, 2) {
		return
	}
	const onStack, ignore = 0x08000000, 1
	for s := 1; s < 65; s++ {
		var a struct{ handler, flags, restorer, mask uintptr }
		if _, _, e := syscall.RawSyscall6(syscall.SYS_RT_SIGACTION, uintptr(s), 0, uintptr(unsafe.Pointer(&a)), 8, 0, 0); e != 0 {
			t.Errorf("signal %d: %v", s, e)
		}
		if a.handler > ignore && a.flags&onStack == 0 {
			t.Errorf("the handler of signal %d (%v) is not on the signal stack", s, syscall.Signal(s))
		}
	}
}
