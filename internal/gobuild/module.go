package gobuild

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strings"

	"github.com/rankpool/rankpool/internal/owndir"
)

// Module is the library's module path.
const Module = "github.com/rankpool/rankpool"

// library is where a program that belongs to no module finds rankpool.
type library struct {
	Dir     string // its source, for a replace; empty: version
	Version string // for a require
	goMod   []byte // of that source
	goSum   []byte
}

// FindLibrary returns the library to build against: the folder given, the source that this command was built from when it is
// still there, or the version that it was built from. It blocks while the go command looks that up.
func FindLibrary(ctx context.Context, given string) (library, error) {
	if given != "" {
		l, err := readLibrary(given)
		if err != nil {
			return library{}, fmt.Errorf("--module %s: %w", given, err)
		}
		return l, nil
	}
	info, _ := debug.ReadBuildInfo()
	installed := info != nil && info.Main.Path == Module && info.Main.Sum != ""
	if !installed {
		if _, file, _, ok := runtime.Caller(0); ok && filepath.IsAbs(file) { // no -trimpath
			dir := filepath.Join(filepath.Dir(file), "..", "..")
			if l, err := readLibrary(dir); err == nil {
				return l, distrust(dir)
			}
		}
	}
	if info == nil || info.Main.Path != Module || info.Main.Version == "" || info.Main.Version == "(devel)" {
		return library{}, errors.New("cannot tell where the source of rankpool is: name its folder with --module or " +
			"RANKPOOL_RUN_MODULE, or put the program into a module of its own (go mod init, go get " + Module + ")")
	}
	return fetchLibrary(ctx, info.Main.Version)
}

// distrust refuses the source that this command was built from when somebody else may have changed it since. Whoever owns this command
// may do so anyway.
func distrust(dir string) error {
	err := owndir.Check(dir, ownersOfThis()...)
	if err != nil {
		err = fmt.Errorf("the source of rankpool that this command was built from may be another's by now: %w; name a folder with it "+
			"with --module or RANKPOOL_RUN_MODULE", err)
	}
	return err
}

// readLibrary looks at a folder with the library's source.
func readLibrary(dir string) (library, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return library{}, err
	}
	mod, err := os.ReadFile(filepath.Join(dir, "go.mod"))
	if err != nil {
		return library{}, fmt.Errorf("this is no folder with the source of rankpool: %w", err)
	}
	if !bytes.HasPrefix(mod, []byte("module "+Module+"\n")) {
		return library{}, fmt.Errorf("this is no folder with the source of rankpool: its go.mod is not that of %s", Module)
	}
	sum, err := os.ReadFile(filepath.Join(dir, "go.sum"))
	return library{Dir: dir, goMod: mod, goSum: sum}, err
}

// fetchLibrary has the go command download a version, which is in its cache when this command was installed here.
func fetchLibrary(ctx context.Context, version string) (library, error) {
	version, _, _ = strings.Cut(version, "+")
	cmd := exec.CommandContext(ctx, "go", "mod", "download", "-json", Module+"@"+version)
	cmd.Dir = string(filepath.Separator) // where nobody else can have put a module
	cmd.Env = append(environment(), "GOWORK=off", "GOFLAGS=")
	out, err := cmd.Output()
	var got struct{ Dir, Version, Sum, GoModSum, Error string }
	if jsonErr := json.Unmarshal(out, &got); jsonErr == nil && got.Error != "" {
		err = errors.New(got.Error)
	}
	if err != nil {
		return library{}, fmt.Errorf("cannot get %s %s: %w; name a folder with its source with --module or RANKPOOL_RUN_MODULE", Module, version, err)
	}
	l, err := readLibrary(got.Dir)
	l.Dir, l.Version = "", got.Version
	l.goSum = append(l.goSum, fmt.Sprintf("%[1]s %[2]s %[3]s\n%[1]s %[2]s/go.mod %[4]s\n", Module, got.Version, got.Sum, got.GoModSum)...)
	return l, err
}

// Files returns a go.mod and a go.sum for a program that uses the library and what the library uses.
func (l library) Files() (goMod, goSum []byte) {
	version := l.Version
	if version == "" {
		version = "v0.0.0-00010101000000-000000000000"
	}
	// The library's own clauses, without its name: the version of Go, and what it requires.
	_, rest, _ := bytes.Cut(l.goMod, []byte("\n"))
	var b bytes.Buffer
	fmt.Fprintf(&b, "module program\n%s\nrequire %s %s\n", rest, Module, version)
	if l.Dir != "" {
		fmt.Fprintf(&b, "\nreplace %s => %q\n", Module, l.Dir)
	}
	return b.Bytes(), l.goSum
}
