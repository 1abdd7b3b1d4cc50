package mpilink

import (
	"os"

	"golang.org/x/sys/unix"
)

// awaitEnd waits until the process has ended, which it says, or until stop is closed.
func (p process) awaitEnd(stop <-chan struct{}) bool {
	fd, err := unix.PidfdOpen(p.pid, unix.PIDFD_NONBLOCK)
	if err != nil {
		return p.lookForEnd(stop) // an old kernel, or nobody is there
	}
	f := os.NewFile(uintptr(fd), "process")
	defer f.Close()
	if !p.runs() {
		return true // the number is another one's by now
	}
	wire, err := f.SyscallConn()
	if err != nil {
		return p.lookForEnd(stop)
	}
	over := make(chan bool, 1)
	go func() {
		err := wire.Read(func(fd uintptr) bool {
			n, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, 0)
			return n > 0 && err == nil
		})
		over <- err == nil
	}()
	select {
	case seen := <-over:
		return seen || p.lookForEnd(stop)
	case <-stop:
		_ = f.Close()
		<-over
		return false
	}
}
