package lines

import "golang.org/x/sys/unix"

// unread returns how much of what was written to a pipe or a terminal has not been read; 0 for other files.
func unread(fd int) int {
	if n, err := unix.IoctlGetInt(fd, unix.TIOCOUTQ); err == nil { // a terminal
		return n
	}
	n, err := unix.IoctlGetInt(fd, unix.TIOCINQ)
	if err != nil {
		return 0
	}
	var st unix.Stat_t
	if unix.Fstat(fd, &st) != nil || st.Mode&unix.S_IFMT != unix.S_IFIFO { // of a file it is what is behind its offset
		return 0
	}
	return n
}
