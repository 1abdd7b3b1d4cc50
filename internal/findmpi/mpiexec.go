package findmpi

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"time"

	"github.com/rankpool/rankpool/internal/marked"
	"github.com/rankpool/rankpool/internal/mpi"
)

// Launcher is an mpiexec.
type Launcher struct {
	Path    string
	Family  mpi.Family
	Version string
}

// FindLauncher returns the mpiexec on the path, or the one given.
func FindLauncher(ctx context.Context, given string) (Launcher, error) {
	name := given
	if name == "" {
		name = "mpiexec"
	}
	path, err := exec.LookPath(name)
	if err != nil {
		return Launcher{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	out, err := marked.Run(ctx, AsRoot(nil), path, []string{"--version"}, nil)
	if err != nil && out == "" {
		return Launcher{Path: path}, fmt.Errorf("%s --version: %w", path, err)
	}
	l := Launcher{Path: path}
	l.Version, _, _ = strings.Cut(strings.TrimSpace(out), "\n")
	switch {
	case strings.Contains(out, "OpenRTE"), strings.Contains(out, "Open MPI"), strings.Contains(out, "PRRTE"), strings.Contains(out, "prte"):
		l.Family = mpi.OpenMPI
	case strings.Contains(out, "HYDRA"), strings.Contains(out, "Intel(R) MPI"), strings.Contains(out, "MPICH"):
		l.Family = mpi.MPICH
		if _, v, ok := strings.Cut(out, "Version:"); ok {
			v, _, _ = strings.Cut(v, "\n")
			l.Version = "Hydra " + strings.TrimSpace(v)
		}
	}
	return l, nil
}

// LauncherNames are what an mpiexec of a family is also called.
func LauncherNames(f mpi.Family) []string {
	switch f {
	case mpi.OpenMPI:
		return []string{"mpiexec.openmpi", "orterun", "prterun"}
	case mpi.MPICH:
		return []string{"mpiexec.mpich", "mpiexec.hydra"}
	}
	return nil
}

// AsRoot adds what Open MPI's mpiexec wants from a user that is root.
func AsRoot(env []string) []string {
	if os.Geteuid() == 0 {
		env = append(env, "OMPI_ALLOW_RUN_AS_ROOT=1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1",
			"PRTE_ALLOW_RUN_AS_ROOT=1", "PRTE_ALLOW_RUN_AS_ROOT_CONFIRM=1") // since Open MPI 5, for a program that spawns without mpiexec
	}
	return env
}
