//go:build unix && !linux

package proc

import (
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// attributes: here a worker learns of its master's end only from the socket.
func attributes() *syscall.SysProcAttr { return nil }

func anonymousFile() (*os.File, error) {
	file, err := os.CreateTemp("", "rankpool-journal-")
	if err != nil {
		return nil, err
	}
	if err := os.Remove(file.Name()); err != nil {
		_ = file.Close()
		return nil, err
	}
	return file, nil
}

// socketPair returns our end, which does not block, and the child's, which does.
func socketPair() (ours, theirs *os.File, err error) {
	syscall.ForkLock.RLock() // no other child may inherit the ends before they are marked
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM, 0)
	if err == nil {
		unix.CloseOnExec(fds[0])
		unix.CloseOnExec(fds[1])
	}
	syscall.ForkLock.RUnlock()
	if err != nil {
		return nil, nil, os.NewSyscallError("socketpair", err)
	}
	return ends(fds)
}

// watchExit has nothing to watch with: the end of file alone tells of the process's end.
func watchExit(int, *os.File) <-chan struct{} {
	done := make(chan struct{})
	close(done)
	return done
}
