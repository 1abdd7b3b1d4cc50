// Package owndir opens folders that programs are built in and run from, so that no other user can put a program of theirs there
// or have files of this user's removed.
//
// Whoever may write to a folder, or to one above it, can put another in its place at any moment. So a path is looked at from the
// root downwards, each folder on it is opened in the one before, and what was opened is what was looked at. The result is an
// os.Root: everything after that goes through its descriptor and never through the path again.
//
// On systems other than Unix the folders are opened and not looked at; there the folders of a user are the user's by default.
package owndir

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
)

// UnsafeError says that other users may change what is in a folder.
type UnsafeError struct {
	Path string // of the folder, or of one above it
	Why  string // "belongs to uid 7, ..."
}

// Error names the folder and the reason.
func (e *UnsafeError) Error() string { return e.Path + " " + e.Why }

// Open opens the folder of this name in parent, which Parent has returned. The folder must be one that only this user can write
// to. A link is refused, wherever it leads.
func Open(parent *os.Root, name string) (*os.Root, error) {
	before, err := parent.Lstat(name)
	if err != nil {
		return nil, err
	}
	refused := &UnsafeError{parent.Name() + string(os.PathSeparator) + name, "is not a folder that only you can write to"}
	if !before.IsDir() {
		return nil, refused
	}
	dir, err := parent.OpenRoot(name)
	if err != nil {
		return nil, err
	}
	after, err := dir.Stat(".")
	if err == nil && (!os.SameFile(before, after) || !own(after)) {
		err = refused
	}
	if err != nil {
		return nil, errors.Join(err, dir.Close())
	}
	return dir, nil
}

// Make makes a folder of this name in parent unless there is one, and opens it as Open does.
func Make(parent *os.Root, name string) (*os.Root, error) {
	if err := parent.Mkdir(name, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, err
	}
	return Open(parent, name)
}

// notFolder is the error of a path that leads to a file.
func notFolder(path string) error { return fmt.Errorf("%s is not a folder", path) }
