package proc

import (
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// attributes makes the kernel kill a child when the thread that started it ends, hence with its master, however that
// ends. The standard library sees to a master that has ended before.
func attributes() *syscall.SysProcAttr { return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} }

func anonymousFile() (*os.File, error) {
	fd, err := unix.MemfdCreate("rankpool-journal", unix.MFD_CLOEXEC)
	if err != nil {
		return nil, os.NewSyscallError("memfd_create", err)
	}
	return os.NewFile(uintptr(fd), "journal"), nil
}

// socketPair returns our end, which does not block, and the child's, which does.
func socketPair() (ours, theirs *os.File, err error) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, nil, os.NewSyscallError("socketpair", err)
	}
	return ends(fds)
}

// watchExit shuts our end for reading when the process ends: what it has sent can still be read then, and a process that
// it has forked and that holds its end open does not delay the end of file. The channel is closed when that is over. A
// kernel without process descriptors does without.
func watchExit(pid int, sock *os.File) <-chan struct{} {
	done := make(chan struct{})
	fd, err := unix.PidfdOpen(pid, unix.PIDFD_NONBLOCK)
	if err != nil {
		close(done)
		return done
	}
	file := os.NewFile(uintptr(fd), "pidfd")
	go func() {
		defer close(done)
		defer file.Close()
		raw, err := file.SyscallConn()
		if err != nil {
			return
		}
		err = raw.Read(func(fd uintptr) bool {
			fds := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
			n, err := unix.Poll(fds, 0)
			return n > 0 || err != nil && err != unix.EINTR
		})
		if err != nil {
			return
		}
		if raw, err := sock.SyscallConn(); err == nil {
			_ = raw.Control(func(fd uintptr) { _ = unix.Shutdown(int(fd), unix.SHUT_RD) })
		}
	}()
	return done
}
