//go:build mpi && linux && (amd64 || arm64)

package mpi_test

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"unsafe"

	"github.com/rankpool/rankpool/internal/mpi/mpitest"
	"github.com/rankpool/rankpool/internal/testkit"
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

// glibc ends a thread by one of these and changes the user of all threads by the other: pthread_cancel and setuid wait without an end for
// one that blocks them.
func TestAfterInitNoThreadBlocksTheSignalsOfGlibc(t *testing.T) {
	if !mpitest.Under(t, 2) {
		return
	}
	const ofGlibc = 1<<(32-1) | 1<<(33-1)
	// A thread blocks everything for the moment in which it begins.
	testkit.Until(t, "threads that take the signals 32 and 33", func() bool {
		for _, path := range must(filepath.Glob("/proc/self/task/*/status"))(t) {
			status, err := os.ReadFile(path)
			if err != nil {
				continue // it has ended
			}
			_, rest, _ := strings.Cut(string(status), "\nSigBlk:")
			line, _, _ := strings.Cut(rest, "\n")
			if blocked := must(strconv.ParseUint(strings.TrimSpace(line), 16, 64))(t); blocked&ofGlibc != 0 {
				return false
			}
		}
		return true
	})
}
