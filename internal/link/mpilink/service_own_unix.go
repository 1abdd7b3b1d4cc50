//go:build unix

package mpilink

import (
	"fmt"
	"os"
	"syscall"
)

// openOwn opens a file of this user's that is closed to others. If that is a pipe it does not wait for a writer.
func openOwn(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err == nil {
		st, ok := info.Sys().(*syscall.Stat_t)
		switch {
		case !info.Mode().IsRegular():
			err = fmt.Errorf("%s is no file", path)
		case ok && int(st.Uid) != os.Geteuid():
			err = fmt.Errorf("%s belongs to uid %d and not to you (uid %d): somebody else may have put it there; it is not used", path, st.Uid,
				os.Geteuid())
		case info.Mode().Perm()&0o077 != 0:
			err = fmt.Errorf("%s has a secret and is open to others (mode %04o): close it (chmod 600 %[1]s), and have its secret made anew if "+
				"somebody may have read it", path, info.Mode().Perm())
		}
	}
	if err != nil {
		_ = f.Close()
		return nil, err
	}
	return f, nil
}
