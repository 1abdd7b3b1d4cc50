package mpi

import "testing"

func TestFailureMitigationIsOnWhereItHelpsAndBreaksNothing(t *testing.T) {
	const five, six = "Open MPI v5.0.7, package: Debian OpenMPI", "Open MPI v6.0.0rc2, package: Debian OpenMPI"
	for name, c := range map[string]struct {
		library string
		env     map[string]string
		want    bool
	}{
		"version 5":                     {five, map[string]string{"PMIX_NAMESPACE": "prterun-h-7@1", "PRTE_LAUNCHED": "1", "OMPI_COMM_WORLD_SIZE": "4"}, true},
		"version 5, which spawns":       {five, map[string]string{"PMIX_NAMESPACE": "prterun-h-7@1", "PRTE_LAUNCHED": "1", "OMPI_COMM_WORLD_SIZE": "1"}, true},
		"version 5, without a launcher": {five, nil, true},
		"srun":                          {five, map[string]string{"PMIX_NAMESPACE": "n"}, false},
		"srun in a shell of mpiexec":    {five, map[string]string{"PMIX_NAMESPACE": "slurm.pmix.7.0", "PRTE_LAUNCHED": "1"}, false},
		"PALS in a shell of mpiexec":    {five, map[string]string{"PMIX_NAMESPACE": "0f1d", "PRTE_LAUNCHED": "1"}, false},
		"switched off":                  {five, map[string]string{"PRTE_LAUNCHED": "1", mitigation: "0"}, false},
		"version 6":                     {six, map[string]string{"PMIX_NAMESPACE": "prterun-h-7@1", "PRTE_LAUNCHED": "1", "OMPI_COMM_WORLD_SIZE": "4"}, true},
		"version 6, which may spawn":    {six, map[string]string{"PMIX_NAMESPACE": "prterun-h-7@1", "PRTE_LAUNCHED": "1", "OMPI_COMM_WORLD_SIZE": "1"}, false},
		"version 6, without a launcher": {six, nil, false},
		"version 6, told to":            {six, map[string]string{"OMPI_COMM_WORLD_SIZE": "1", mitigation: "true"}, true},
		"another library":               {"MPICH Version: 4.2.1", nil, false},
	} {
		if got := mitigates(c.library, func(n string) (string, bool) { v, set := c.env[n]; return v, set }); got != c.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}
