package proc

import (
	"errors"
	"os"
	"runtime"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// attributes makes the kernel kill a child when the thread that started it ends, hence with its master, however that
// ends. The standard library sees to a master that has ended before.
func attributes() *syscall.SysProcAttr { return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} }

// anonymousFile returns a file of that size without a name, which nobody can make smaller: a process that has it mapped would end then.
func anonymousFile(size int64) (*os.File, error) {
	fd, err := unix.MemfdCreate("rankpool-journal", unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING)
	if err != nil {
		return nil, os.NewSyscallError("memfd_create", err)
	}
	file := os.NewFile(uintptr(fd), "journal")
	if err := file.Truncate(size); err != nil {
		return nil, errors.Join(err, file.Close())
	}
	if _, err := unix.FcntlInt(uintptr(fd), unix.F_ADD_SEALS, unix.F_SEAL_SHRINK|unix.F_SEAL_GROW|unix.F_SEAL_SEAL); err != nil {
		return nil, errors.Join(os.NewSyscallError("fcntl", err), file.Close())
	}
	return file, nil
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

// longestName is how many bytes of a process's name the kernel keeps.
const longestName = 15

// setComm gives this process a short name, which ps and top show, and which would be "exe". The end is kept whole. It is a wish.
func setComm(name, end string) {
	_ = os.WriteFile("/proc/self/comm", []byte(name[:min(len(name), max(0, longestName-len(end)))]+end), 0)
}

// settleIn offers a worker to the kernel before its master when memory runs out. That is a wish.
func settleIn() {
	bound.user, bound.group, bound.master = os.Geteuid(), os.Getegid(), os.Getppid()
	const adjustment = "/proc/self/oom_score_adj"
	if old, err := os.ReadFile(adjustment); err == nil {
		if n, err := strconv.Atoi(strings.TrimSpace(string(old))); err == nil {
			_ = os.WriteFile(adjustment, []byte(strconv.Itoa(min(n+1000, 1000))), 0)
		}
	}
}

// bound is what binds a worker's end to its master's.
var bound struct{ user, group, master int }

// rebind has the kernel end this worker with its master again if the process has changed its user or group since Attach,
// which undoes that. It is called when the set-up is over.
func rebind() {
	if bound.master == 0 || os.Geteuid() == bound.user && os.Getegid() == bound.group {
		return
	}
	done := make(chan struct{})
	go func() {
		runtime.LockOSThread() // for good: the wish is forgotten with the thread that had it
		_ = unix.Prctl(unix.PR_SET_PDEATHSIG, uintptr(unix.SIGKILL), 0, 0, 0)
		close(done)
		select {}
	}()
	<-done
	if os.Getppid() != bound.master { // it has ended meanwhile
		_ = unix.Kill(os.Getpid(), unix.SIGKILL)
	}
}
