//go:build unix

package trace

import (
	"errors"
	"fmt"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

var (
	errInUse   = errors.New("it is in use")
	errNoLocks = errors.New("its file system has no locks")
)

// flock is replaced by tests.
var flock = unix.Flock

// openAlone opens a file for writing that no other process has opened so.
func openAlone(path string) (*os.File, error) {
	f, created, err := open(path)
	if err != nil {
		return nil, err
	}
	err = lock(f)
	if err == nil {
		return f, nil
	}
	f.Close()
	if created {
		os.Remove(path)
	}
	return nil, fmt.Errorf("%s: %w", path, err)
}

// openOwn opens a file whose name belongs to this process. Where the file system has locks they hold there too.
func openOwn(path string) (*os.File, error) {
	f, _, err := open(path)
	if err != nil {
		return nil, err
	}
	if err := lock(f); errors.Is(err, errInUse) {
		f.Close()
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return f, nil
}

// open opens a file for writing, and tells whether it was not there.
func open(path string) (f *os.File, created bool, err error) {
	const how = os.O_RDWR | os.O_CREATE | syscall.O_NONBLOCK
	f, err = os.OpenFile(path, how|os.O_EXCL, 0o666) //nolint:gosec // the user names the file
	if err == nil {
		return f, true, nil
	}
	f, err = os.OpenFile(path, how, 0o666) //nolint:gosec // likewise
	return f, false, err
}

func lock(f *os.File) error {
	for {
		switch err := flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); {
		case err == nil:
			return nil
		case errors.Is(err, unix.EINTR):
		case errors.Is(err, unix.EWOULDBLOCK):
			return errInUse
		default:
			return fmt.Errorf("%w: %w", errNoLocks, err)
		}
	}
}
