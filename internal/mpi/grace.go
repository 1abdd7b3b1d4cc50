package mpi

import (
	"strconv"
	"strings"
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

	// AtOnce tells that the launcher kills the ranks without a signal before: one that a rank gets comes from somebody else, who
	// does not kill.
	AtOnce bool
}

// raisesKill is the variable by which ranks see `mpiexec --mca odls_base_sigkill_timeout`, in seconds. Open MPI 4 waits that
// long before its SIGTERM, and again before its SIGKILL.
const raisesKill = "OMPI_MCA_odls_base_sigkill_timeout"

// FindEnding tells how the launcher of this process ends it, from the environment alone. Of one that is not
// known it tells nothing. lookup is usually os.LookupEnv.
func FindEnding(lookup func(string) (string, bool)) Ending {
	l := FindLauncher(lookup)
	if !l.Found() || l.Strange() || l.OfEvery() && !l.Srun() {
		return Ending{}
	}
	return EndingBy(l.Family, environ(lookup).openMPI(), lookup)
}

// EndingBy tells how a launcher of a family ends its ranks. major is the version of Open MPI's; OtherMPI is srun.
func EndingBy(f Family, major int, lookup func(string) (string, bool)) Ending {
	switch {
	case f == OpenMPI && major >= 6:
		return Ending{Sure: true, AtOnce: true}
	case f == OpenMPI && major == 5:
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
	return FindLauncher(lookup).Family == OpenMPI && environ(lookup).openMPI() >= firstPRRTE
}

// firstPRRTE is the first version of Open MPI whose launcher is PRRTE's; before it was ORTE's.
const firstPRRTE = 5

// openMPI is the major version of Open MPI whose launcher has started this process: ORTE's 4 and below count as 4, and PRRTE's that do not
// say theirs as the first.
func (e environ) openMPI() int {
	for _, name := range []string{"OMPI_MCA_orte_ess_num_procs", "OMPI_MCA_orte_launch", "OMPI_MCA_orte_hnp_uri"} {
		if _, ok := e(name); ok {
			return firstPRRTE - 1
		}
	}
	major, _, _ := strings.Cut(e.text("OMPI_VERSION"), ".")
	if n, err := strconv.Atoi(major); err == nil {
		return max(n, firstPRRTE)
	}
	return firstPRRTE
}
