//go:build unix

package proc

import (
	"errors"
	"io"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// quick is the most bytes that are read or written without telling Go's scheduler. A system call that it is told of wakes the
// runtime's monitor when the process has slept, and that competes for a core with the worker that is about to wake.
const quick = 64 << 10

// socketReader reads a socket that does not block. It makes io.EOF of all the ways in which it says that the other side is gone.
type socketReader struct {
	file    *os.File
	raw     syscall.RawConn
	attempt func(fd uintptr) bool // try, bound once so that a read does not allocate

	into []byte
	n    int
	err  error
}

func newSocketReader(file *os.File) *socketReader {
	r := &socketReader{file: file}
	if raw, err := file.SyscallConn(); err == nil { // else it is closed, as Read will say
		r.raw = raw
	}
	r.attempt = r.try
	return r
}

func (r *socketReader) Read(b []byte) (n int, err error) {
	if r.raw == nil || len(b) > quick {
		n, err = r.file.Read(b)
	} else {
		r.into = b
		err = r.raw.Read(r.attempt)
		if r.into = nil; err == nil {
			n, err = r.n, r.err
		}
	}
	if errors.Is(err, unix.ECONNRESET) || errors.Is(err, os.ErrClosed) {
		err = io.EOF
	}
	return n, err
}

// try reads once; false says that nothing is there yet.
func (r *socketReader) try(fd uintptr) bool {
	for {
		r.n, r.err = readNow(fd, r.into)
		switch r.err {
		case unix.EINTR:
			continue
		case unix.EAGAIN:
			return false
		case nil:
			if r.n == 0 && len(r.into) > 0 {
				r.err = io.EOF
			}
			return true
		}
		r.n, r.err = 0, os.NewSyscallError("read", r.err)
		return true
	}
}
