//go:build unix

package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// lock is a lock of a folder. It goes with the last process that has inherited it.
type lock struct{ fd int }

// holdLock says that this process needs a folder. The lock stays when the process becomes another program.
func holdLock(folder string) (*lock, error) {
	for end := time.Now().Add(10 * time.Second); ; time.Sleep(pollFirst) {
		if err := os.MkdirAll(folder, 0o700); err != nil {
			return nil, err
		}
		l, err := openLock(folder, unix.O_CREAT)
		if gone(err) && time.Now().Before(end) {
			continue
		}
		if err != nil {
			return nil, err
		}
		switch err := flock(l.fd, unix.LOCK_SH|unix.LOCK_NB); {
		case err == nil && l.current(folder):
			return l, nil
		case errors.Is(err, unix.ENOSYS), errors.Is(err, unix.ENOTSUP), errors.Is(err, unix.ENOLCK):
			l.release()
			return &lock{fd: -1}, nil // a file system without locks: the folder stays when the job ends
		case err != nil && !errors.Is(err, unix.EWOULDBLOCK):
			l.release()
			return nil, fmt.Errorf("lock %s: %w", filepath.Join(folder, lockName), err)
		}
		// Somebody is about to remove the folder.
		l.release()
		if time.Now().After(end) {
			return nil, fmt.Errorf("%s is being removed by another process", folder)
		}
	}
}

// holdAlone takes a folder that nobody needs. When wait is true it blocks until that is so.
func holdAlone(folder string, wait bool) (*lock, error) {
	l, err := openLock(folder, 0)
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
	if !l.current(folder) { // another has removed the folder, and a third may have made it anew
		l.release()
		return nil, &os.PathError{Op: "lock", Path: folder, Err: os.ErrNotExist}
	}
	return l, nil
}

func openLock(folder string, flags int) (*lock, error) {
	name := filepath.Join(folder, lockName)
	fd, err := unix.Open(name, unix.O_RDWR|unix.O_CLOEXEC|unix.O_NOFOLLOW|flags, 0o600)
	if err != nil {
		return nil, &os.PathError{Op: "open", Path: name, Err: err}
	}
	return &lock{fd: fd}, nil
}

func flock(fd, how int) error {
	for {
		if err := unix.Flock(fd, how); !errors.Is(err, unix.EINTR) {
			return err
		}
	}
}

// current tells whether the file that is locked is still the one in the folder.
func (l *lock) current(folder string) bool {
	var locked, there unix.Stat_t
	return unix.Fstat(l.fd, &locked) == nil && unix.Stat(filepath.Join(folder, lockName), &there) == nil &&
		locked.Ino == there.Ino && locked.Dev == there.Dev
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

// ownFolder refuses a folder that somebody else has made: its owner could change the program.
func ownFolder(folder string) error {
	info, err := os.Lstat(folder)
	if err != nil {
		return err
	}
	st, ok := info.Sys().(*syscall.Stat_t)
	if !info.IsDir() || ok && int(st.Uid) != os.Geteuid() || info.Mode().Perm()&0o022 != 0 {
		return fmt.Errorf("%s is not a folder that only you can write to", folder)
	}
	return nil
}
