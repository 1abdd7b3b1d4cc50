package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"time"

	"github.com/rankpool/rankpool/internal/mpi"
)

// launcher is an mpiexec.
type launcher struct {
	path    string
	family  mpi.Family
	version string
}

// findLauncher returns the mpiexec on the path, or the one given.
func findLauncher(ctx context.Context, given string) (launcher, error) {
	name := given
	if name == "" {
		name = "mpiexec"
	}
	path, err := exec.LookPath(name)
	if err != nil {
		return launcher{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	out, err := runMarked(ctx, asRoot(nil), path, []string{"--version"}, nil)
	if err != nil && out == "" {
		return launcher{path: path}, fmt.Errorf("%s --version: %w", path, err)
	}
	l := launcher{path: path}
	l.version, _, _ = strings.Cut(strings.TrimSpace(out), "\n")
	switch {
	case strings.Contains(out, "OpenRTE"), strings.Contains(out, "Open MPI"), strings.Contains(out, "PRRTE"), strings.Contains(out, "prte"):
		l.family = mpi.OpenMPI
	case strings.Contains(out, "HYDRA"), strings.Contains(out, "Intel(R) MPI"), strings.Contains(out, "MPICH"):
		l.family = mpi.MPICH
		if _, v, ok := strings.Cut(out, "Version:"); ok {
			v, _, _ = strings.Cut(v, "\n")
			l.version = "Hydra " + strings.TrimSpace(v)
		}
	}
	return l, nil
}

// names are what an mpiexec of a family is also called.
func names(f mpi.Family) []string {
	switch f {
	case mpi.OpenMPI:
		return []string{"mpiexec.openmpi", "orterun", "prterun"}
	case mpi.MPICH:
		return []string{"mpiexec.mpich", "mpiexec.hydra"}
	}
	return nil
}

// asRoot adds what Open MPI's mpiexec wants from a user that is root.
func asRoot(env []string) []string {
	if os.Geteuid() == 0 {
		env = append(env, "OMPI_ALLOW_RUN_AS_ROOT=1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1",
			"PRTE_ALLOW_RUN_AS_ROOT=1", "PRTE_ALLOW_RUN_AS_ROOT_CONFIRM=1") // since Open MPI 5, for a program that spawns without mpiexec
	}
	return env
}
