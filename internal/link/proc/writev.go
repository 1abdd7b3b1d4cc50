//go:build darwin || linux || openbsd

package proc

import "golang.org/x/sys/unix"

// writev is one system call for many pieces.
func writev(fd int, pieces [][]byte) (int, error) { return unix.Writev(fd, pieces) }
