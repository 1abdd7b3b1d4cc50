package mpi_test

import (
	"strings"
	"testing"

	"github.com/rankpool/rankpool/internal/mpi"
)

func TestAJobThatCannotConnectWithOthersIsToldWhy(t *testing.T) {
	const here, there = "1.0;tcp://192.0.2.2:7", "1.1;tcp://192.0.2.3:8"
	for name, c := range map[string]struct {
		env  string
		want string
	}{
		"no launcher":            {"", ""},
		"a batch script":         {"SLURM_JOB_ID=7 SLURM_NTASKS=4 SLURM_STEP_ID=4294967291", ""},
		"srun":                   {"SLURM_STEP_ID=0 SLURM_STEP_NUM_TASKS=2 SLURM_PROCID=1 SLURM_MPI_TYPE=pmix", "from the job script with `mpiexec --ompi-server"},
		"one host":               {"OMPI_COMM_WORLD_SIZE=2 OMPI_MCA_orte_num_nodes=1 OMPI_MCA_orte_hnp_uri=" + here + " OMPI_MCA_orte_local_daemon_uri=" + here, ""},
		"one host, within Slurm": {"SLURM_STEP_ID=0 OMPI_COMM_WORLD_SIZE=2 OMPI_MCA_orte_num_nodes=1 OMPI_MCA_orte_hnp_uri=" + here + " OMPI_MCA_orte_local_daemon_uri=" + here, ""},
		"two hosts":              {"OMPI_COMM_WORLD_SIZE=2 OMPI_MCA_orte_num_nodes=2 OMPI_MCA_orte_hnp_uri=" + here + " OMPI_MCA_orte_local_daemon_uri=" + here, "--host $(hostname):N"},
		"one that is elsewhere":  {"OMPI_COMM_WORLD_SIZE=2 OMPI_MCA_orte_num_nodes=1 OMPI_MCA_orte_hnp_uri=" + here + " OMPI_MCA_orte_local_daemon_uri=" + there, "--host $(hostname):N"},
		"a later Open MPI":       {"OMPI_COMM_WORLD_SIZE=2", ""},
	} {
		env := map[string]string{}
		for _, pair := range strings.Fields(c.env) {
			variable, value, _ := strings.Cut(pair, "=")
			env[variable] = value
		}
		err := mpi.CheckApart(func(name string) (string, bool) {
			value, set := env[name]
			return value, set
		})
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
}
