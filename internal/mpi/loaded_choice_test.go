//go:build mpi && linux && (amd64 || arm64)

package mpi

import (
	"testing"

	"github.com/rankpool/rankpool/internal/mpi/abi"
	"github.com/rankpool/rankpool/internal/mpi/find"
	"github.com/rankpool/rankpool/internal/testkit"
)

func TestTheChoiceOfTheLibraryFollowsTheLauncher(t *testing.T) {
	step := []string{"SLURM_JOB_ID=7", "SLURM_STEP_ID=0", "SLURM_STEP_NUM_TASKS=3"}
	const allocation = "PMIX_NAMESPACE=slurm.pmix.7.4294967290"
	for name, c := range map[string]struct {
		env  []string
		want find.Launcher
	}{
		"none":                                 {nil, find.Launcher{}},
		"Open MPI's mpiexec":                   {[]string{"OMPI_COMM_WORLD_SIZE=3"}, find.Launcher{Name: "Open MPI's mpiexec", Fits: abi.OpenMPI}},
		"MPICH's mpiexec":                      {[]string{"PMI_SIZE=3"}, find.Launcher{Name: "MPICH's mpiexec", Fits: abi.MPICH}},
		"one not known":                        {[]string{"PMIX_RANK=0"}, find.Launcher{Name: "a launcher that is not known", Strange: "PMIX_RANK"}},
		"srun":                                 {step, find.Launcher{Name: "srun", Speaks: abi.MPICH}},
		"srun with PMIx":                       {append([]string{"PMIX_NAMESPACE=slurm.pmix.7.0"}, step...), find.Launcher{Name: "srun", Speaks: abi.OpenMPI}},
		"srun from the shell of an allocation": {append([]string{allocation}, step...), find.Launcher{Name: "srun", Speaks: abi.MPICH}},
		"srun --mpi=pmi2 from there": {
			append([]string{allocation, "SLURM_MPI_TYPE=pmi2", "PMI_SIZE=3", "PMI_JOBID=7.0"}, step...), find.Launcher{Name: "srun --mpi=pmi2", Speaks: abi.MPICH},
		},
	} {
		t.Run(name, func(t *testing.T) {
			if got := launcherToFind(testkit.Lookup(c.env...)); got != c.want {
				t.Errorf("%+v, want %+v", got, c.want)
			}
		})
	}
}
