//go:build unix

package gobuild

import (
	"os"
	"syscall"
)

// ownersOfThis returns the owners of the file of this command.
func ownersOfThis() []uint32 {
	self, err := os.Executable()
	if err != nil {
		return nil
	}
	info, err := os.Stat(self)
	if err != nil {
		return nil
	}
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		return []uint32{st.Uid}
	}
	return nil
}
