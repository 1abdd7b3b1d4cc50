package launch

import "golang.org/x/sys/unix"

// unreadBytes is how much lies in a pipe that its reader has not taken.
func unreadBytes(fd int) int {
	n, err := unix.IoctlGetInt(fd, unix.TIOCINQ)
	if err != nil {
		return 0 // no pipe
	}
	return n
}
