package launch

import (
	"strings"
	"testing"

	"github.com/rankpool/rankpool/internal/mpi"
	"github.com/rankpool/rankpool/internal/testkit"
)

func TestTheRanksOfAJobAgreeOnItsNameAndOtherJobsHaveAnother(t *testing.T) {
	open := mpi.Launcher{Name: "Open MPI's mpiexec", Family: mpi.OpenMPI, Size: 4}
	srun := mpi.Launcher{Name: "srun --mpi=pmix", Size: 4}
	flux := mpi.Launcher{Name: "MPICH's mpiexec", Family: mpi.MPICH, Size: 4}
	key := func(l mpi.Launcher, given string, env ...string) string {
		k, err := jobKey(l, testkit.Lookup(env...), given)
		if err != nil {
			t.Errorf("%s %q: %v", l.Name, env, err)
		}
		return k
	}
	if a, b := key(open, "", "PMIX_NAMESPACE=1", "PMIX_RANK=0"), key(open, "", "PMIX_NAMESPACE=1", "PMIX_RANK=3"); a != b {
		t.Errorf("two ranks of one job: %s, %s", a, b)
	}
	all := []string{
		key(open, "", "PMIX_NAMESPACE=1"), key(open, "", "PMIX_NAMESPACE=2"), key(open, "x", "PMIX_NAMESPACE=2"),
		key(open, "", "PMIX_NAMESPACE=1", "OMPI_MCA_orte_precondition_transports=ab-cd"),
		key(srun, "", "SLURM_JOB_ID=7", "SLURM_STEP_ID=0"), key(srun, "", "SLURM_JOB_ID=7", "SLURM_STEP_ID=1"),
		key(flux, "", "FLUX_JOB_ID=f1"), key(flux, "", "FLUX_JOB_ID=f1", "SLURM_JOB_ID=7"),
	}
	seen := map[string]int{}
	for i, k := range all {
		if other, twice := seen[k]; twice {
			t.Errorf("jobs %d and %d have one name", other, i)
		}
		seen[k] = i
	}
	if _, err := jobKey(flux, testkit.Lookup(), ""); err == nil || !strings.Contains(err.Error(), "--job") {
		t.Errorf("a job without a name: %v", err)
	}
}
