// Package testkit is what the tests of several packages need: the leak check, and programs built as the test itself is.
package testkit

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"

	"go.uber.org/goleak"
)

// Checked returns tests that look for goroutines which have outlived them, those that are there when the run begins
// excepted. It is for futures.TestMain, which runs tests in the master only.
func Checked(m interface{ Run() int }) interface{ Run() int } { return checked{m} }

type checked struct{ m interface{ Run() int } }

func (c checked) Run() int {
	ignore := goleak.IgnoreCurrent()
	status := c.m.Run()
	if status != 0 {
		return status
	}
	// A spawn that was given up ends in its own time. The world's ranks are watched, and told of the master, as long as the job lasts.
	options := []goleak.Option{ignore}
	for _, name := range []string{"process.awaitEnd", "process.awaitEnd.func1", "(*Hub).beat"} {
		options = append(options, goleak.IgnoreAnyFunction("github.com/rankpool/rankpool/internal/link/mpilink."+name))
	}
	if err := Leaks(options...); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

// Programs builds programs of this repository for a test, each once.
type Programs struct {
	Dir   string // where they are put; set before the first Build
	Tags  string
	Flags []string // further ones of go build
	NoCgo bool     // without cgo, and so without the race detector

	built sync.Map // package → func() (string, error)
}

// Build returns the path of a program. It has the race detector when the test has it.
func (p *Programs) Build(t testing.TB, pkg string) string {
	t.Helper()
	once, _ := p.built.LoadOrStore(pkg, sync.OnceValues(func() (string, error) {
		path := filepath.Join(p.Dir, filepath.Base(pkg))
		args := []string{"build", "-o", path, "-tags", p.Tags}
		if Race && !p.NoCgo {
			args = append(args, "-race")
		}
		cmd := exec.Command("go", append(append(args, p.Flags...), pkg)...)
		if p.NoCgo {
			cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
		}
		out, err := cmd.CombinedOutput()
		if err != nil {
			err = fmt.Errorf("go %v: %w\n%s", args, err, out)
		}
		return path, err
	}))
	path, err := once.(func() (string, error))()
	if err != nil {
		t.Fatal(err)
	}
	return path
}
