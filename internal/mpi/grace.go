package mpi

import (
	"strconv"
	"time"
)

// Ending is how a launcher ends its ranks when somebody ends it, by Ctrl-C or SIGTERM. All of it was found by trying; see
// docs/clusters.md.
type Ending struct {
	Kills time.Duration // how long after the signal that a rank gets it is killed; 0 when it is not
	After time.Duration // how long after its own signal the launcher passes one on

	// Sure tells that nothing but the launcher decides about Kills. Else it is the default of a setting that cannot be seen
	// from here.
	Sure bool
}

// raisesKill is the variable by which ranks see `mpiexec --mca odls_base_sigkill_timeout`, in seconds. Open MPI 4 waits that
// long before its SIGTERM, and again before its SIGKILL.
const raisesKill = "OMPI_MCA_odls_base_sigkill_timeout"

// FindEnding tells how the launcher of this process ends it, from the environment alone. lookup is usually os.LookupEnv.
func FindEnding(lookup func(string) (string, bool)) Ending {
	l := FindLauncher(lookup)
	if !l.Found() {
		return Ending{}
	}
	return EndingBy(l.Family, environ(lookup).ofPRRTE(), lookup)
}

// EndingBy tells how a launcher of a family ends its ranks. prrte tells Open MPI's since version 5; OtherMPI is srun.
func EndingBy(f Family, prrte bool, lookup func(string) (string, bool)) Ending {
	switch {
	case f == OpenMPI && prrte:
		return Ending{Kills: 200 * time.Millisecond, After: 250 * time.Millisecond, Sure: true} // no parameter changes it
	case f == OpenMPI:
		wait := time.Second
		if s, err := strconv.ParseUint(environ(lookup).text(raisesKill), 10, 20); err == nil {
			wait = max(time.Duration(s)*time.Second, time.Millisecond) // 0: it kills at once
		}
		return Ending{Kills: wait, After: wait, Sure: true}
	case f == MPICH:
		return Ending{} // it passes the first signal on and waits; at the second it kills at once
	}
	return Ending{Kills: 30 * time.Second} // Slurm's KillWait. At srun itself a SIGTERM, or Ctrl-C twice, kills at once
}

// LaunchedByPRRTE tells whether Open MPI's launcher of version 5 or later has started this process.
func LaunchedByPRRTE(lookup func(string) (string, bool)) bool {
	return FindLauncher(lookup).Family == OpenMPI && environ(lookup).ofPRRTE()
}

// ofPRRTE tells Open MPI's launcher since version 5 from that of versions 1 to 4, which is ORTE.
func (e environ) ofPRRTE() bool {
	for _, name := range []string{"OMPI_MCA_orte_ess_num_procs", "OMPI_MCA_orte_launch", "OMPI_MCA_orte_hnp_uri"} {
		if _, ok := e(name); ok {
			return false
		}
	}
	return true
}
