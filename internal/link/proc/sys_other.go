//go:build unix && !linux

package proc

import (
	"errors"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// attributes: here a worker learns of its master's end only from the socket.
func attributes() *syscall.SysProcAttr { return nil }

func anonymousFile(size int64) (*os.File, error) {
	file, err := os.CreateTemp("", "rankpool-journal-")
	if err != nil {
		return nil, err
	}
	if err := errors.Join(os.Remove(file.Name()), file.Truncate(size)); err != nil {
		return nil, errors.Join(err, file.Close())
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

// setComm has nothing to do: the short name is the program's.
func setComm(_, _ string) {}

// settleIn has nothing to do.
func settleIn() {}

// rebind has nothing to do: a worker learns of its master's end from the socket.
func rebind() {}
