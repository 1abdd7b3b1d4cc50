package launch

import (
	"debug/elf"
	"debug/macho"
	"debug/pe"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/rankpool/rankpool/internal/command"
)

// form is what a TARGET is.
type form int

// The forms.
const (
	goFile form = iota
	directory
	archive
	importPath
	statements
	standardInput
	binary
)

// target is a program to be started, as the command line names it.
type target struct {
	form form
	name string   // the program's os.Args[0], which marks the form
	path string   // absolute; of a file, a directory or a binary
	text string   // the import path, or the statements
	args []string // the program's own arguments
}

// target returns what is to be run. It touches the file system only to tell the forms apart.
func (o *Options) target() (target, error) {
	switch {
	case o.Package != nil && (*o.Package == "" || strings.HasPrefix(*o.Package, "-")):
		return target{}, command.Usagef("-m needs the import path of a package, and %q is none", *o.Package)
	case o.Package != nil:
		return target{form: importPath, name: *o.Package, text: *o.Package, args: o.Words}, nil
	case o.Statements != nil && strings.TrimSpace(*o.Statements) == "":
		return target{}, command.Usagef("-c needs statements")
	case o.Statements != nil:
		return target{form: statements, name: "-c", text: *o.Statements, args: o.Words}, nil
	case len(o.Words) == 0:
		return target{}, command.Usagef("no program: give a Go file, a directory, a zip file, a built program, -m PACKAGE, -c STATEMENTS or -")
	case o.Words[0] == "":
		return target{}, command.Usagef("no program: its name is empty")
	case o.Words[0] == "-":
		return target{form: standardInput, name: "-", args: o.Words[1:]}, nil
	}
	t := target{name: o.Words[0], args: o.Words[1:]}
	var err error
	if t.path, err = filepath.Abs(t.name); err != nil {
		return target{}, err
	}
	info, err := os.Stat(t.path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return target{}, &missingError{name: t.name}
	case err != nil:
		return target{}, fmt.Errorf("cannot run %s: %w", t.name, err)
	case info.IsDir():
		t.form = directory
	case strings.HasSuffix(t.name, ".go"):
		t.form = goFile
	case strings.EqualFold(filepath.Ext(t.name), ".zip") && info.Mode().IsRegular():
		t.form = archive
	case isProgram(t.path, info):
		t.form = binary
	case isExecutableFormat(t.path):
		return target{}, fmt.Errorf("cannot run %s: it is a program, but may not be executed: chmod +x %s", t.name, t.name)
	default:
		return target{}, command.Usagef("cannot run %s: it is neither a Go file, nor a directory, nor a zip file, nor a program", t.name)
	}
	return t, nil
}

// missingError is a path that does not exist on this host. It may exist on others.
type missingError struct{ name string }

func (e *missingError) Error() string {
	host, err := os.Hostname()
	if err != nil {
		host = "this host"
	}
	return fmt.Sprintf("cannot run %s: there is no such file or directory on %s", e.name, host)
}

// isProgram tells whether the system would execute a file.
func isProgram(path string, info fs.FileInfo) bool {
	if runtime.GOOS == "windows" {
		return isExecutableFormat(path)
	}
	return info.Mode().IsRegular() && info.Mode().Perm()&0o111 != 0
}

// isExecutableFormat tells whether a file is a linked program, whatever its permissions are.
func isExecutableFormat(path string) bool {
	if f, err := elf.Open(path); err == nil {
		return f.Close() == nil
	}
	if f, err := macho.Open(path); err == nil {
		return f.Close() == nil
	}
	if f, err := pe.Open(path); err == nil {
		return f.Close() == nil
	}
	return false
}

// built tells whether the program exists already.
func (t target) built() bool { return t.form == binary }

// String names the target for a message.
func (t target) String() string {
	switch t.form {
	case importPath:
		return "package " + t.text
	case statements:
		return "the statements"
	case standardInput:
		return "the program on standard input"
	}
	return t.name
}
