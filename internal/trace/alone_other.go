//go:build !unix

package trace

import (
	"errors"
	"os"
)

var errInUse = errors.New("it is in use")

// openAlone opens a file for writing. Two programs must not record into the same here.
func openAlone(path string) (*os.File, error) {
	return os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o666) //nolint:gosec // the user names the file
}
