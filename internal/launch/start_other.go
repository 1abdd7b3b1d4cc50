//go:build !unix

package launch

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"

	"github.com/rankpool/rankpool/internal/command"
	"github.com/rankpool/rankpool/internal/mpi"
)

// become runs the program and ends with its status: this system cannot turn a process into another program.
func (p *program) become() error {
	cmd := exec.Command(p.name())
	cmd.Args, cmd.Env = p.argv, childEnv()
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	err := cmd.Run()
	if p.tidies {
		_ = p.folder.leaveTidy()
	}
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) {
		return &command.SilentError{Status: max(exit.ExitCode(), command.Failure)}
	}
	if err != nil {
		return fmt.Errorf("cannot execute %s: %w", p.name(), err)
	}
	return nil
}

func (f *folder) leaveTidy() error { return f.remove() }

// Tidy does nothing here.
func Tidy(string) error { return nil }

func findAbortWire(mpi.Launcher) io.Writer { return nil }

func (p *program) supervise(io.Writer) error { return p.become() }
