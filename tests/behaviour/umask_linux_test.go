package behaviour_test

import (
	"syscall"
	"testing"
)

// setUmask sets what permissions new files do not get, until the test ends.
func setUmask(t *testing.T, mask int) {
	old := syscall.Umask(mask)
	t.Cleanup(func() { syscall.Umask(old) })
}
