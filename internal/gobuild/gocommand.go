// Package gobuild calls the go command, and finds the source of this library for programs that are in no module.
package gobuild

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"
)

// Suffix is what the names of programs end in.
func Suffix() string {
	if runtime.GOOS == "windows" {
		return ".exe"
	}
	return ""
}

// Grace is how long the go command may take to end.
const Grace = 5 * time.Second

// Command is the go command in a folder. It is ended gently, so that it ends what it has started.
func Command(ctx context.Context, dir string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Dir = dir
	cmd.Env = environment()
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = Grace
	return cmd
}

// CheckHome says so when the go command has no home to keep its caches in, which its own words do not name as the cause.
func CheckHome() error {
	if os.Getenv("HOME") != "" || runtime.GOOS == "windows" || cachesAreNamed() {
		return nil
	}
	me, err := user.Current()
	switch {
	case err != nil || me.HomeDir == "":
		return errors.New("HOME is not set, and the user database has no home for this user: the go command keeps its caches there: " +
			"set HOME, or GOCACHE and GOPATH")
	case !isFolder(me.HomeDir):
		return fmt.Errorf("HOME is not set, and the home that the user database has for this user, %s, is no folder: the go command keeps its "+
			"caches there: set HOME, or GOCACHE and GOPATH", me.HomeDir)
	}
	return nil
}

// cachesAreNamed tells whether the go command needs no home.
func cachesAreNamed() bool {
	set := func(name string) bool { return os.Getenv(name) != "" }
	return (set("GOCACHE") || set("XDG_CACHE_HOME")) && (set("GOPATH") || set("GOMODCACHE"))
}

func isFolder(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.IsDir()
}

// environment is what the go command is started with. It needs a home, which services and batch jobs may lack; the program that it
// builds gets none by this.
func environment() []string {
	env := os.Environ()
	if os.Getenv("HOME") == "" && runtime.GOOS != "windows" {
		if me, err := user.Current(); err == nil && me.HomeDir != "" {
			env = append(env, "HOME="+me.HomeDir)
		}
	}
	return env
}

// LinksMPI tells whether a program is linked with an MPI library: it imports the binding that package mpicomm is about. No other needs one
// to be built. flags are those of the build, and env is added to its environment.
func LinksMPI(ctx context.Context, dir string, env, flags []string, packages ...string) bool {
	list := Command(ctx, dir, slices.Concat([]string{"list", "-deps", "-f", "{{.ImportPath}}"}, flags, []string{"--"}, packages)...)
	list.Env = slices.Concat(list.Env, env, []string{"CGO_ENABLED=1"})
	out, _ := list.Output() // the build tells what is wrong
	return slices.Contains(strings.Fields(string(out)), "github.com/emer/empi/mpi")
}

// Adopt takes the one program that go install has left in a folder.
func Adopt(folder, out string) error {
	found, err := os.ReadDir(folder)
	if err != nil || len(found) != 1 {
		return fmt.Errorf("the package is no program: go install left %d files (%w)", len(found), err)
	}
	return os.Rename(filepath.Join(folder, found[0].Name()), out)
}

// Tags are the build tags: mpi, those that were asked for, and those that GOFLAGS has, which -tags would hide.
func Tags(withMPI bool, asked string) string {
	var tags []string
	if withMPI {
		tags = append(tags, "mpi")
	}
	if asked != "" {
		tags = append(tags, asked)
	}
	for _, f := range strings.Fields(os.Getenv("GOFLAGS")) {
		if v, ok := strings.CutPrefix(strings.TrimLeft(f, "-"), "tags="); ok && len(tags) > 0 {
			tags = append(tags, v)
		}
	}
	return strings.Join(tags, ",")
}
