package main

import (
	"context"
	"fmt"
	"os/exec"
	"path/filepath"
	"runtime"

	"github.com/rankpool/rankpool/internal/command"
	"github.com/rankpool/rankpool/internal/findmpi"
	"github.com/rankpool/rankpool/internal/mpi"
)

// versionCommand is `rankpool version`.
type versionCommand struct{}

// Help is what --help says beyond the options.
func (versionCommand) Help() string {
	return `It prints the version of rankpool and whether it was built with MPI, the version of Go that built it, the platform, and the mpiexecs on the path: what a report of a fault needs. rankpool doctor says more.

Status: 0.`
}

// Run prints. It blocks for the few seconds that an mpiexec may take to tell its version.
func (versionCommand) Run(s command.Surroundings) error {
	if !command.Speaks(s.Launcher) {
		return nil
	}
	fmt.Fprintf(s.Out, "rankpool %s\n%s %s/%s\n", command.Version(), runtime.Version(), runtime.GOOS, runtime.GOARCH)
	names := append([]string{"mpiexec"}, findmpi.LauncherNames(mpi.OpenMPI)[0], findmpi.LauncherNames(mpi.MPICH)[0])
	seen := map[string]bool{}
	for _, name := range names {
		path, err := exec.LookPath(name)
		if err != nil {
			continue
		}
		file := path
		if real, err := filepath.EvalSymlinks(path); err == nil {
			file = real
		}
		if seen[file] {
			continue
		}
		seen[file] = true
		if l, err := findmpi.FindLauncher(context.Background(), path); err != nil {
			fmt.Fprintf(s.Out, "%s: %v\n", path, err)
		} else {
			fmt.Fprintf(s.Out, "%s: %v, %s\n", path, l.Family, l.Version)
		}
	}
	if len(seen) == 0 {
		fmt.Fprintln(s.Out, "no mpiexec on the path")
	}
	return nil
}
