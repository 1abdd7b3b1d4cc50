package monitor

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// socket is a Unix socket whose files go with it.
type socket struct {
	net.Listener
	path string
	made os.FileInfo
}

// Close implements [net.Listener]. Files that are another's by now stay.
func (s *socket) Close() error {
	err := s.Listener.Close()
	if is, statErr := os.Lstat(s.path); statErr == nil && os.SameFile(is, s.made) {
		err = errors.Join(err, os.Remove(s.path), os.Remove(s.path+hostSuffix))
	}
	return err
}

// hostSuffix is behind the name of a socket in that of the file beside it, which has the name of the host that listens: a program on another host cannot
// tell whether anybody does.
const hostSuffix = ".host"

// mostPath is how many bytes the path of a Unix socket may have.
var mostPath = len(syscall.RawSockaddrUnix{}.Path) - 1

// listenUnix makes a socket that only this user can connect to. It is made in a folder of its own, so that nobody can before that is so.
func listenUnix(path string) (_ net.Listener, err error) {
	if path == "" {
		return nil, fmt.Errorf("%s needs a path", unixForm)
	}
	folder := filepath.Dir(path)
	const first = "/.rp0123456789/s" // its name while it is made
	if n := max(len(path), len(folder)+len(first)); n > mostPath {
		return nil, fmt.Errorf("the path %s is too long by %d bytes for a Unix socket, whose folder may have %d here and which may have %d with it: "+
			"choose a folder with a shorter path, or go there and write a relative one", path, n-mostPath, mostPath-len(first), mostPath)
	}
	host, err := os.Hostname()
	if err != nil {
		return nil, err
	}
	if err := vacant(path, host); err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp(folder, ".rp")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	at, told := filepath.Join(dir, "s"), filepath.Join(dir, "h")
	l, err := net.Listen("unix", at)
	if err != nil {
		return nil, err
	}
	l.(*net.UnixListener).SetUnlinkOnClose(false)
	s := &socket{Listener: l, path: path}
	if s.made, err = prepared(at); err == nil {
		err = os.WriteFile(told, []byte(host+"\n"), 0o600)
	}
	if err == nil {
		err = os.Rename(told, path+hostSuffix)
	}
	if err == nil {
		err = os.Rename(at, path)
	}
	if err != nil {
		l.Close()
		return nil, err
	}
	return s, nil
}

// prepared has nobody else connect to a socket.
func prepared(path string) (os.FileInfo, error) {
	if err := os.Chmod(path, 0o600); err != nil {
		return nil, err
	}
	return os.Lstat(path)
}

// vacant says why a path cannot be had: something is there, and no socket that a program of this host has left.
func vacant(path, host string) error {
	is, err := os.Lstat(path)
	if err != nil {
		return nil // what is wrong shows when it is made
	}
	if is.Mode()&os.ModeSocket == 0 {
		return fmt.Errorf("%s exists and is not a socket", path)
	}
	switch c, err := net.DialTimeout("unix", path, time.Second); {
	case err == nil:
		c.Close()
		return fmt.Errorf("%s is in use by another program", path)
	case errors.Is(err, syscall.EAGAIN), errors.Is(err, os.ErrDeadlineExceeded): // it listens, and accepts nothing now
		return fmt.Errorf("%s is in use by another program, which does not answer", path)
	}
	said, err := os.ReadFile(path + hostSuffix)
	if err != nil {
		return fmt.Errorf("%s is a socket of something else, or of a program on another host: remove it if that has ended", path)
	}
	if other := strings.TrimSpace(string(said)); other != host {
		return fmt.Errorf("%s is the socket of a program on %q, where it may run: remove it if that has ended", path, other)
	}
	return nil
}
