//go:build unix

package logs

import (
	"io"
	"os"
	"syscall"
)

// Survivor writes to a file, and does not end the process when nobody reads it any more: a write of Go's own to standard error does that,
// and what a program computes must not depend on a warning.
func Survivor(f *os.File) io.Writer {
	return writer(func(b []byte) (n int, err error) {
		c, err := f.SyscallConn()
		if err != nil {
			return 0, err
		}
		var failed error
		err = c.Write(func(fd uintptr) (done bool) {
			for n < len(b) {
				k, err := syscall.Write(int(fd), b[n:])
				switch {
				case err == syscall.EINTR:
				case err == syscall.EAGAIN:
					return false
				case err != nil:
					failed = err
					return true
				default:
					n += k
				}
			}
			return true
		})
		if err == nil {
			err = failed
		}
		return n, err
	})
}

// writer is a function that is an io.Writer.
type writer func(b []byte) (int, error)

// Write implements io.Writer.
func (w writer) Write(b []byte) (int, error) { return w(b) }
