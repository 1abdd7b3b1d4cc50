package mpi

import "strconv"

// Recoverable is what Open MPI's mpiexec wants in its environment since version 5, to leave the others alone when a spawned process is lost.
const Recoverable = recoverable + "=1"

const recoverable = "PRTE_MCA_state_base_recoverable"

// LeaveAdvice says how to start a job so that its launcher leaves the other ranks alone when one is lost. It is empty where the launcher was
// told, as far as the environment shows, where it is not known, and where nobody hears of the end: MPICH's mpiexec kills without a signal. Since
// version 5 Open MPI's mpiexec hides from its ranks that it was told --enable-recovery, and its own variables, unless -x names them.
func LeaveAdvice(lookup func(string) (string, bool)) string {
	e, l := environ(lookup), FindLauncher(lookup)
	on := func(name string) bool {
		is, err := strconv.ParseBool(e.text(name))
		return err == nil && is
	}
	switch {
	case !l.Found() || l.Strange() || l.Family == MPICH:
		return ""
	case l.OfEvery() && !l.Srun():
		return ""
	case l.Srun():
		if e.text("SLURM_KILL_BAD_EXIT") == "0" {
			return ""
		}
		return "`srun --kill-on-bad-exit=0`"
	case !LaunchedByPRRTE(lookup):
		if on("OMPI_MCA_orte_enable_recovery") {
			return ""
		}
		return "`mpiexec --enable-recovery`"
	case on(mitigation) && (l.Size > 1 || on(recoverable)):
		return ""
	case l.Size == 1: // its workers are spawned
		return "`" + Recoverable + " mpiexec --with-ft ulfm`"
	}
	return "`mpiexec --with-ft ulfm`"
}
