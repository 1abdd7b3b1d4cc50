package mpi_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/rankpool/rankpool/internal/mpi"
)

func lookup(env ...string) func(string) (string, bool) {
	return func(name string) (string, bool) {
		for _, e := range env {
			if k, v, _ := strings.Cut(e, "="); k == name {
				return v, true
			}
		}
		return "", false
	}
}

func TestTheLauncherIsToldFromTheEnvironment(t *testing.T) {
	for name, c := range map[string]struct {
		env  []string
		want mpi.Launcher
	}{
		"none":         {nil, mpi.Launcher{Rank: -1}},
		"open mpi":     {[]string{"OMPI_COMM_WORLD_SIZE=4", "OMPI_COMM_WORLD_RANK=2"}, mpi.Launcher{"Open MPI's mpiexec", mpi.OpenMPI, "OMPI_COMM_WORLD_SIZE", 4, 2}},
		"mpich":        {[]string{"PMI_SIZE=3", "PMI_RANK=0", "PMI_FD=7"}, mpi.Launcher{"MPICH's mpiexec", mpi.MPICH, "PMI_SIZE", 3, 0}},
		"both":         {[]string{"PMI_SIZE=3", "OMPI_COMM_WORLD_SIZE=4"}, mpi.Launcher{"Open MPI's mpiexec", mpi.OpenMPI, "OMPI_COMM_WORLD_SIZE", 4, -1}},
		"srun":         {[]string{"SLURM_STEP_ID=0", "SLURM_NTASKS=5", "SLURM_PROCID=1"}, mpi.Launcher{"srun", mpi.OtherMPI, "SLURM_NTASKS", 5, 1}},
		"smaller step": {[]string{"SLURM_STEP_ID=0", "SLURM_NTASKS=5", "SLURM_STEP_NUM_TASKS=2"}, mpi.Launcher{"srun", mpi.OtherMPI, "SLURM_STEP_NUM_TASKS", 2, -1}},
		"batch script": {[]string{"SLURM_NTASKS=5"}, mpi.Launcher{Rank: -1}},
		"batch step":   {[]string{"SLURM_STEP_ID=4294967291", "SLURM_NTASKS=5"}, mpi.Launcher{Rank: -1}},
		"nonsense":     {[]string{"PMI_SIZE=many"}, mpi.Launcher{Rank: -1}},
	} {
		t.Run(name, func(t *testing.T) {
			if d := cmp.Diff(c.want, mpi.FindLauncher(lookup(c.env...))); d != "" {
				t.Error(d)
			}
		})
	}
}

func TestAWorldThatIsNotWhatTheLauncherPromisedIsRefusedWithTheRemedy(t *testing.T) {
	for name, c := range map[string]struct {
		env     []string
		library mpi.Family
		world   int
		want    string // part of the error; empty: accepted
	}{
		"agrees":                          {[]string{"OMPI_COMM_WORLD_SIZE=4"}, mpi.OpenMPI, 4, ""},
		"no launcher":                     {nil, mpi.OpenMPI, 1, ""},
		"mpich under open mpi":            {[]string{"OMPI_COMM_WORLD_SIZE=4"}, mpi.MPICH, 1, "mpiexec.mpich"},
		"open mpi under mpich":            {[]string{"PMI_SIZE=4", "PMI_FD=3"}, mpi.OpenMPI, 1, "mpiexec.openmpi"},
		"mpich under srun pmix":           {[]string{"SLURM_STEP_ID=0", "SLURM_NTASKS=2"}, mpi.MPICH, 1, "srun --mpi=pmi2"},
		"open mpi under srun pmi":         {[]string{"SLURM_STEP_ID=0", "SLURM_NTASKS=2"}, mpi.OpenMPI, 1, "srun --mpi=pmix"},
		"mpich inside an open mpi launch": {[]string{"OMPI_COMM_WORLD_SIZE=4", "PMI_SIZE=2"}, mpi.MPICH, 2, ""},
	} {
		t.Run(name, func(t *testing.T) {
			err := mpi.CheckLauncher(lookup(c.env...), c.library, c.world)
			if c.want == "" {
				if err != nil {
					t.Fatal(err)
				}
				return
			}
			var refused *mpi.LauncherError
			if !errors.As(err, &refused) || !strings.Contains(err.Error(), c.want) {
				t.Fatalf("got %v, want a LauncherError with %q", err, c.want)
			}
		})
	}
}

func TestOneCoreOfManyIsAWarningThatNamesTheOption(t *testing.T) {
	bound := mpi.Binding{Allowed: 1, Online: 8, Procs: 1}
	if w := bound.Warning(mpi.OpenMPI); !strings.Contains(w, "--bind-to none") || !strings.Contains(w, "1 of 8") {
		t.Errorf("warning is %q", w)
	}
	byUser := bound
	byUser.ByUser = true
	for _, b := range []mpi.Binding{byUser, {Allowed: 1, Online: 1, Procs: 1}, {Allowed: 8, Online: 8, Procs: 1}, {Procs: 8, Allowed: 8, Online: 8}} {
		if w := b.Warning(mpi.OpenMPI); w != "" {
			t.Errorf("%+v: %s", b, w)
		}
	}
}
