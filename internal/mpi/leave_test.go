package mpi_test

import (
	"testing"

	"github.com/rankpool/rankpool/internal/mpi"
	"github.com/rankpool/rankpool/internal/testkit"
)

func TestALauncherThatEndsTheJobForALostRankIsToldWhatToDo(t *testing.T) {
	world := func(env ...string) []string { return append([]string{"OMPI_COMM_WORLD_SIZE=4"}, env...) }
	const orte = "OMPI_MCA_orte_hnp_uri=602734592.0;tcp://192.0.2.2:40919"
	for name, c := range map[string]struct {
		env  []string
		want string
	}{
		"no launcher":          {nil, ""},
		"mpich":                {[]string{"PMI_SIZE=3", "PMI_RANK=0"}, ""},
		"open mpi 4":           {world(orte), "`mpiexec --enable-recovery`"},
		"open mpi 4, told":     {world(orte, "OMPI_MCA_orte_enable_recovery=1"), ""},
		"open mpi 5":           {world(), "`mpiexec --with-ft ulfm`"},
		"open mpi 5, told":     {world("OMPI_MCA_mpi_ft_enable=1"), ""},
		"open mpi 5, told not": {world("OMPI_MCA_mpi_ft_enable=0"), "`mpiexec --with-ft ulfm`"},
		"open mpi 5, one rank": {[]string{"OMPI_COMM_WORLD_SIZE=1", "OMPI_MCA_mpi_ft_enable=1"}, "`PRTE_MCA_state_base_recoverable=1 mpiexec --with-ft ulfm`"},
		"open mpi 5, one rank, told": {
			[]string{"OMPI_COMM_WORLD_SIZE=1", "OMPI_MCA_mpi_ft_enable=1", "PRTE_MCA_state_base_recoverable=1"}, "",
		},
		"open mpi 5, one rank, half": {
			[]string{"OMPI_COMM_WORLD_SIZE=1", "PRTE_MCA_state_base_recoverable=1"}, "`PRTE_MCA_state_base_recoverable=1 mpiexec --with-ft ulfm`",
		},
		"flux":          {fluxStep, ""},
		"one not known": {[]string{"PMIX_RANK=0"}, ""},
		"srun":          {pmi2Step, "`srun --kill-on-bad-exit=0`"},
		"srun, told":    {append([]string{"SLURM_KILL_BAD_EXIT=0"}, pmi2Step...), ""},
	} {
		t.Run(name, func(t *testing.T) {
			if got := mpi.LeaveAdvice(testkit.Lookup(c.env...), testkit.Lookup()); got != c.want {
				t.Errorf("%q, want %q", got, c.want)
			}
		})
	}
}

// Open MPI's mpiexec does not hand this variable on to its ranks since version 5.
func TestWhatOnlyTheLauncherWasToldIsNotAdvisedAgain(t *testing.T) {
	for _, c := range []struct {
		rank, launcher []string
		want           string
	}{
		{[]string{"OMPI_COMM_WORLD_SIZE=1", "OMPI_MCA_mpi_ft_enable=1"}, []string{mpi.Recoverable}, ""},
		{[]string{"OMPI_COMM_WORLD_SIZE=1", "OMPI_MCA_mpi_ft_enable=1"}, []string{"PRTE_MCA_state_base_recoverable=0"}, "`PRTE_MCA_state_base_recoverable=1 mpiexec --with-ft ulfm`"},
		{[]string{"OMPI_COMM_WORLD_SIZE=1"}, []string{mpi.Recoverable}, "`PRTE_MCA_state_base_recoverable=1 mpiexec --with-ft ulfm`"},
		{nil, []string{mpi.Recoverable, "OMPI_COMM_WORLD_SIZE=1"}, ""},
	} {
		if got := mpi.LeaveAdvice(testkit.Lookup(c.rank...), testkit.Lookup(c.launcher...)); got != c.want {
			t.Errorf("%q under %q: %q, want %q", c.rank, c.launcher, got, c.want)
		}
	}
}
