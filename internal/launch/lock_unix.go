//go:build unix

package launch

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"

	"golang.org/x/sys/unix"
)

// lock is a lock of a folder. It goes with the last process that has inherited it.
type lock struct{ fd int }

// shareLock takes a lock that many may have. It stays when the process becomes another program. The error is errRemoved when
// somebody has the lock alone.
func shareLock(dir *os.Root) (*lock, error) {
	l, err := openLock(dir, os.O_CREATE)
	if err != nil {
		return nil, err
	}
	switch err := flock(l.fd, unix.LOCK_SH|unix.LOCK_NB); {
	case err == nil:
		return l, nil
	case errors.Is(err, unix.ENOSYS), errors.Is(err, unix.ENOTSUP), errors.Is(err, unix.ENOLCK):
		l.release()
		return l, nil // a file system without locks: the folder stays when the job ends
	case errors.Is(err, unix.EWOULDBLOCK):
		l.release()
		return nil, errRemoved
	default:
		l.release()
		return nil, fmt.Errorf("lock %s: %w", filepath.Join(dir.Name(), lockName), err)
	}
}

// takeLock takes a lock that nobody else has. When wait is true it blocks until that is so.
func takeLock(dir *os.Root, wait bool) (*lock, error) {
	l, err := openLock(dir, 0)
	if err != nil {
		return nil, err
	}
	how := unix.LOCK_EX
	if !wait {
		how |= unix.LOCK_NB
	}
	if err := flock(l.fd, how); err != nil {
		l.release()
		return nil, err
	}
	return l, nil
}

func openLock(dir *os.Root, flags int) (*lock, error) {
	f, err := dir.OpenFile(lockName, os.O_RDWR|flags, 0o600)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	fd, err := unix.FcntlInt(f.Fd(), unix.F_DUPFD_CLOEXEC, 3)
	if err != nil {
		return nil, &os.PathError{Op: "dup", Path: f.Name(), Err: err}
	}
	return &lock{fd}, nil
}

func flock(fd, how int) error {
	for {
		if err := unix.Flock(fd, how); !errors.Is(err, unix.EINTR) {
			return err
		}
	}
}

// current tells whether the file that is locked is still the one in the folder.
func (l *lock) current(dir *os.Root) bool {
	if l.fd < 0 {
		return true
	}
	var locked unix.Stat_t
	there, err := dir.Lstat(lockName)
	if err != nil || unix.Fstat(l.fd, &locked) != nil {
		return false
	}
	st, ok := there.Sys().(*syscall.Stat_t)
	return ok && locked.Ino == st.Ino && locked.Dev == st.Dev
}

// keep makes the lock outlive exec.
func (l *lock) keep() error {
	if l.fd < 0 {
		return nil
	}
	_, err := unix.FcntlInt(uintptr(l.fd), unix.F_SETFD, 0)
	return err
}

func (l *lock) release() {
	if l.fd >= 0 {
		_ = unix.Close(l.fd)
	}
	l.fd = -1
}
