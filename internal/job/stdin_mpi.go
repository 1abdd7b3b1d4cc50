//go:build mpi && linux && (amd64 || arm64)

package job

import (
	"os"

	"golang.org/x/sys/unix"
)

// EmptyStdin has this process find the end of its standard input, for good. What launchers give to the ranks that are not the
// first is a pipe that never ends (MPICH's mpiexec), or the master's input once more (srun, which waits for every rank to read it).
func EmptyStdin() {
	null, err := os.Open(os.DevNull)
	if err != nil {
		return
	}
	defer null.Close()
	_ = unix.Dup2(int(null.Fd()), 0) // there is nobody to tell
}

// BorrowStdin is EmptyStdin until restore is called.
func BorrowStdin() (restore func()) {
	before, err := unix.FcntlInt(0, unix.F_DUPFD_CLOEXEC, 3)
	if err != nil { // it has none
		return func() {}
	}
	EmptyStdin()
	return func() {
		_ = unix.Dup2(before, 0)
		_ = unix.Close(before)
	}
}
