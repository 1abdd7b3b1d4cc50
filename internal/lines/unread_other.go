//go:build unix && !linux

package lines

// unread is not known.
func unread(int) int { return 0 }
