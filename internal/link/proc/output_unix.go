//go:build unix

package proc

import (
	"errors"
	"os"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/rankpool/rankpool/internal/link"
)

// checkOutput looks whether a worker has ended because nobody reads any more what it writes, and tells that.
func (p *process) checkOutput(loss error) {
	exit := (*link.ExitError)(nil)
	if !errors.As(loss, &exit) || exit.Cause != nil || exit.Signal != syscall.SIGPIPE.String() {
		return
	}
	cfg := &p.group.cfg
	for name, f := range map[string]*os.File{"output": cfg.Stdout, "error": cfg.Stderr} {
		if !hungUp(f) {
			continue
		}
		exit.Status += " (nobody reads its standard " + name + " any more)"
		if cfg.OutputGone != nil {
			cfg.OutputGone(f)
		}
		return
	}
}

// hungUp tells whether a file is a pipe, a socket or a terminal whose other side is gone.
func hungUp(f *os.File) (gone bool) {
	raw, err := f.SyscallConn()
	if err != nil {
		return false
	}
	_ = raw.Control(func(fd uintptr) {
		fds := []unix.PollFd{{Fd: int32(fd)}}
		n, err := unix.Poll(fds, 0)
		gone = err == nil && n > 0 && fds[0].Revents&(unix.POLLERR|unix.POLLHUP) != 0
	})
	return gone
}
