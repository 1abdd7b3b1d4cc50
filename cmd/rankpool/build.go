package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/rankpool/rankpool/internal/command"
	"github.com/rankpool/rankpool/internal/findmpi"
	"github.com/rankpool/rankpool/internal/gobuild"
	"github.com/rankpool/rankpool/internal/owndir"
)

// buildCommand is `rankpool build`.
type buildCommand struct {
	Output string         `short:"o" placeholder:"FILE" help:"The program, or a folder for several."`
	MPI    findmpi.Choice `name:"mpi" enum:"auto,openmpi,mpich,mpicc" default:"auto" help:"The MPI to link with, where the program imports mpicomm: openmpi, mpich, or mpicc, that of the mpicc on the path; auto is mpicc, else what pkg-config knows."`
	Tags   string         `placeholder:"LIST" help:"Further build tags, separated by commas."`
	Env    bool           `help:"Print the variables to build with, for eval, and build nothing."`

	Packages []string `arg:"" optional:"" help:"What to build, as for go build; default: the package in the working directory."`
}

// Help is what --help says beyond the options.
func (buildCommand) Help() string {
	return `It is go build -tags mpi, and more for a program that imports mpicomm, which is linked with one MPI library: it finds the flags of that, and gives each library a define of its own, without which Go's build cache would hand out a program that is linked with another. MPICC names another compiler wrapper, GOFLAGS further flags. Every other program loads the library of its launcher and needs none of this.

Examples:

    rankpool build -o primes ./primes
    rankpool build --mpi mpich -o bin/ ./cmd/...
    eval "$(rankpool build --env)" && go test -tags mpi ./...

Status: that of go build; 1 when there is no MPI for a program that is linked with one, or for --env.`
}

// Run builds, or prints what to build with.
func (c *buildCommand) Run(s command.Surroundings) (err error) {
	ctx, stop := command.UntilSignal()
	defer stop(&err)
	if c.Env && len(c.Packages) > 0 {
		return command.Usagef("--env builds nothing: leave %s out", strings.Join(c.Packages, " "))
	}
	if c.Env {
		found, err := findmpi.FindSettings(ctx, c.MPI.Family(), c.MPI)
		if err != nil {
			return err
		}
		return printEnvironment(s, found)
	}
	if _, err := exec.LookPath("go"); err != nil {
		return fmt.Errorf("there is no go command on the path: install Go (%w)", err)
	}
	dir, remove, err := owndir.Scratch("", "rankpool-build-")
	if err != nil {
		return err
	}
	defer remove()
	args := []string{"build", "-tags", gobuild.Tags(true, c.Tags)}
	var env []string
	if gobuild.LinksMPI(ctx, "", nil, args[1:], c.Packages...) {
		found, err := findmpi.FindSettings(ctx, c.MPI.Family(), c.MPI)
		if err != nil {
			return err
		}
		if env, err = found.Environment(dir.Name()); err != nil {
			return err
		}
		fmt.Fprintf(s.Err, "rankpool: linking with %s (%s)\n", found.Family, found.Source)
	}
	if c.Output != "" {
		args = append(args, "-o", c.Output)
	}
	cmd := gobuild.Command(ctx, "", append(append(args, "--"), c.Packages...)...)
	cmd.Env = append(cmd.Env, env...)
	cmd.Stdout, cmd.Stderr = s.Out, s.Err
	if err := cmd.Run(); err != nil {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if home := gobuild.CheckHome(); home != nil {
			return home
		}
		return &command.SilentError{Status: max(cmd.ProcessState.ExitCode(), command.Failure)}
	}
	return nil
}

// printEnvironment writes the settings where they stay, and prints them for a shell.
func printEnvironment(s command.Surroundings, found *findmpi.Settings) error {
	cache, err := os.UserCacheDir()
	if err != nil {
		return fmt.Errorf("no place to keep the settings: %w", err)
	}
	folder := filepath.Join(cache, "rankpool", "mpi-"+found.Identity())
	dir, err := owndir.Parent(folder) // go executes what is in it
	if err != nil {
		return fmt.Errorf("no place to keep the settings: %w; choose another cache with XDG_CACHE_HOME", err)
	}
	defer dir.Close()
	env, err := found.Environment(folder)
	if err != nil {
		return err
	}
	for _, v := range env {
		name, value, _ := strings.Cut(v, "=")
		fmt.Fprintf(s.Out, "export %s=%s\n", name, findmpi.ShellQuote(value))
	}
	return nil
}
