package owndir

import (
	"crypto/rand"
	"errors"
	"fmt"
	"os"
)

// Scratch makes a folder for what is needed while something is built: in a folder for temporary files unless in says where. remove
// removes it with all that is in it.
func Scratch(in, prefix string) (dir *os.Root, remove func(), err error) {
	option := "--dir"
	if in == "" {
		in, option = os.TempDir(), "TMPDIR"
	}
	failed := func(err error) error {
		return fmt.Errorf("cannot use the folder %s for temporary files: %w; choose another with %s", in, err, option)
	}
	if _, err := os.Stat(in); err != nil { // it is not made
		return nil, nil, failed(err)
	}
	parent, err := Parent(in)
	if err != nil {
		return nil, nil, failed(err)
	}
	name := prefix + rand.Text()
	if err = parent.Mkdir(name, 0o700); err == nil {
		dir, err = Open(parent, name)
	}
	if err != nil {
		return nil, nil, errors.Join(failed(err), parent.Close())
	}
	return dir, func() {
		_ = dir.Close()
		_ = parent.RemoveAll(name)
		_ = parent.Close()
	}, nil
}
