//go:build unix && !linux

package owndir

import "golang.org/x/sys/unix"

// searchable opens a folder to go through it. Not every system can do that without permission to read it.
const searchable = unix.O_RDONLY

// privateGroup is not looked for here: this system's folders are not open to a group by default.
func (w *walk) privateGroup(uint32) bool { return false }
