package mpi

import "errors"

// CheckApart returns why the job that this process is a rank of cannot connect with programs that were started apart, as far as its
// launcher's variables show; nil when nothing speaks against it, and in a program without a launcher. The calls of MPI would not
// say it: some of them crash a launcher, or never return. It looks the variables up through lookup, usually os.LookupEnv, and
// may be called at any time.
func CheckApart(lookup func(string) (string, bool)) error {
	e := environ(lookup)
	if FindLauncher(lookup).Srun() {
		return errors.New("mpi: this job was started by srun, whose PMIx cannot connect programs that were started apart: start it from the job " +
			"script with `mpiexec --ompi-server file:URIFILE`, on the host that the script runs on (since Open MPI 5: `mpiexec --dvm uri:file:URIFILE`)")
	}
	// Open MPI 4 tells no other job where the daemons are that mpiexec has started on other hosts. Later ones have not these variables.
	nodes, known := e.number("OMPI_MCA_orte_num_nodes")
	if known && nodes > 1 || e.text("OMPI_MCA_orte_local_daemon_uri") != e.text("OMPI_MCA_orte_hnp_uri") {
		return errors.New("mpi: this job has ranks on another host than its mpiexec's, and Open MPI 4 cannot connect such a job with programs " +
			"that were started apart: start mpiexec on the host that is to have all of its ranks (`mpiexec --host $(hostname):N`), or start " +
			"master and workers together (`mpiexec -n N`), on as many hosts as you like")
	}
	return nil
}
