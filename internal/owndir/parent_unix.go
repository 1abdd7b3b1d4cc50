//go:build unix

package owndir

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// Parent opens a folder to make others in, which it makes itself, closed to others, when it is not there. The error is an
// *UnsafeError when another user could put something else in the place of what this user makes there: when the folder or one
// above it belongs to neither this user nor root, or when others may write to it and it is not sticky, as /tmp is.
func Parent(path string) (*os.Root, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	w := newWalk(true)
	if err := w.to(path); err != nil {
		return nil, err
	}
	defer w.close()
	dir, err := os.OpenRoot(path)
	if err != nil {
		return nil, err
	}
	info, err := dir.Stat(".")
	if err == nil && !w.at(info) {
		err = &UnsafeError{path, "was replaced by another while it was opened"}
	}
	if err != nil {
		return nil, errors.Join(err, dir.Close())
	}
	return dir, nil
}

// Check tells whether Parent would open a folder that is there. Further owners are trusted too.
func Check(path string, owners ...uint32) error {
	w := newWalk(false)
	w.trusted = append(w.trusted, owners...)
	defer w.close()
	return w.to(path)
}

// own tells whether a folder is this user's and closed to others.
func own(info fs.FileInfo) bool {
	st, ok := info.Sys().(*syscall.Stat_t)
	return ok && int(st.Uid) == os.Geteuid() && info.Mode().Perm()&0o022 == 0
}

// walk is the way down a path. Each folder is opened in the one before it, which has been looked at.
type walk struct {
	fd      int // of the folder that was come to; -1: none
	path    string
	create  bool
	trusted []uint32 // owners
}

func newWalk(create bool) *walk {
	return &walk{fd: -1, create: create, trusted: []uint32{uint32(os.Geteuid()), 0}}
}

func (w *walk) close() {
	if w.fd >= 0 {
		_ = unix.Close(w.fd)
	}
	w.fd = -1
}

// maxLinks is how many symbolic links a path may lead through.
const maxLinks = 40

// to goes down a path. After an error the walk is closed.
func (w *walk) to(path string) (err error) {
	defer func() {
		if err != nil {
			w.close()
		}
	}()
	path, err = filepath.Abs(path)
	if err != nil {
		return err
	}
	if err := w.root(); err != nil {
		return err
	}
	links := 0
	for rest := split(path); len(rest) > 0; {
		name := rest[0]
		rest = rest[1:]
		target, err := w.enter(name)
		if err != nil {
			return err
		}
		if target == "" {
			continue
		}
		if links++; links > maxLinks {
			return &os.PathError{Op: "open", Path: path, Err: unix.ELOOP}
		}
		if filepath.IsAbs(target) {
			if err := w.root(); err != nil {
				return err
			}
		}
		rest = append(split(target), rest...)
	}
	return nil
}

// split returns the names in a path.
func split(path string) []string {
	return slices.DeleteFunc(strings.Split(path, "/"), func(name string) bool { return name == "" || name == "." })
}

// root goes to the root of all folders. Its owner is trusted like root: it is what a user namespace shows of root.
func (w *walk) root() error {
	fd, err := unix.Open("/", searchable|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return &os.PathError{Op: "open", Path: "/", Err: err}
	}
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		_ = unix.Close(fd)
		return &os.PathError{Op: "stat", Path: "/", Err: err}
	}
	if !slices.Contains(w.trusted, st.Uid) {
		w.trusted = append(w.trusted, st.Uid)
	}
	w.close()
	w.fd, w.path = fd, "/"
	return w.look()
}

// enter goes on to a folder in the present one, or returns where a link of that name leads.
func (w *walk) enter(name string) (link string, err error) {
	path := filepath.Join(w.path, name)
	var st unix.Stat_t
	err = unix.Fstatat(w.fd, name, &st, unix.AT_SYMLINK_NOFOLLOW)
	if errors.Is(err, unix.ENOENT) && w.create {
		if err = unix.Mkdirat(w.fd, name, 0o700); err != nil && !errors.Is(err, unix.EEXIST) {
			return "", &os.PathError{Op: "mkdir", Path: path, Err: err}
		}
		err = unix.Fstatat(w.fd, name, &st, unix.AT_SYMLINK_NOFOLLOW)
	}
	if err != nil {
		return "", &os.PathError{Op: "stat", Path: path, Err: err}
	}
	if st.Mode&unix.S_IFMT == unix.S_IFLNK {
		if !slices.Contains(w.trusted, st.Uid) {
			return "", w.foreign(path, st.Uid)
		}
		b := make([]byte, unix.PathMax)
		n, err := unix.Readlinkat(w.fd, name, b)
		if err != nil || n == 0 || n == len(b) {
			return "", &os.PathError{Op: "readlink", Path: path, Err: err}
		}
		return string(b[:n]), nil
	}
	fd, err := unix.Openat(w.fd, name, searchable|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if errors.Is(err, unix.ENOTDIR) {
		return "", notFolder(path)
	}
	if err != nil {
		return "", &os.PathError{Op: "open", Path: path, Err: err}
	}
	w.close()
	w.fd, w.path = fd, path
	return "", w.look()
}

// look refuses the present folder when others may replace what is in it.
func (w *walk) look() error {
	var st unix.Stat_t
	if err := unix.Fstat(w.fd, &st); err != nil {
		return &os.PathError{Op: "stat", Path: w.path, Err: err}
	}
	mode := uint32(st.Mode) & 0o7777 //nolint:unconvert // it has 16 bits on other systems
	if !slices.Contains(w.trusted, st.Uid) {
		return w.foreign(w.path, st.Uid)
	}
	if mode&unix.S_ISVTX != 0 || mode&0o022 == 0 || mode&0o002 == 0 && w.privateGroup(st.Gid) {
		return nil
	}
	who := "everybody"
	if mode&0o002 == 0 {
		who = fmt.Sprintf("its group (gid %d)", st.Gid)
	}
	return &UnsafeError{w.path, fmt.Sprintf("may be written to by %s (mode %04o), who could put a program of theirs in the place of yours; "+
		"`chmod go-w %s` closes it", who, mode, w.path)}
}

func (w *walk) foreign(path string, uid uint32) error {
	return &UnsafeError{path, fmt.Sprintf("belongs to uid %d, neither to you (uid %d) nor to root, and its owner could put another program "+
		"in the place of yours", uid, os.Geteuid())}
}

// at tells whether a folder is the present one.
func (w *walk) at(info fs.FileInfo) bool {
	var st unix.Stat_t
	there, ok := info.Sys().(*syscall.Stat_t)
	return ok && unix.Fstat(w.fd, &st) == nil && there.Ino == st.Ino && there.Dev == st.Dev
}
