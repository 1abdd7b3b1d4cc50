//go:build !unix

package trace

import (
	"errors"
	"os"
)

var (
	errInUse   = errors.New("it is in use")
	errNoLocks = errors.New("its file system has no locks")
)

// openAlone opens a file for writing. Two programs must not record into the same here.
func openAlone(path string) (*os.File, error) {
	return os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o666) //nolint:gosec // the user names the file
}

// openOwn opens a file whose name belongs to this process.
func openOwn(path string) (*os.File, error) { return openAlone(path) }
