package settings

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
)

// Umask returns what permissions new files of this process do not get, as /proc writes it; "" if it is not told. The system call
// tells it only to those who change it.
func Umask() string {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return ""
	}
	for line := range strings.Lines(string(status)) {
		if mask, is := strings.CutPrefix(line, "Umask:"); is {
			return strings.TrimSpace(mask)
		}
	}
	return ""
}

// setUmask sets it to what Umask has returned, and undoes that.
func setUmask(mask string) (undo func() error, err error) {
	m, err := strconv.ParseUint(mask, 8, 12)
	if err != nil {
		return nil, fmt.Errorf("umask %q: %w", mask, err)
	}
	old := syscall.Umask(int(m))
	return func() error { syscall.Umask(old); return nil }, nil
}
