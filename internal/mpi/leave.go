package mpi

import "strconv"

// Recoverable is what Open MPI's mpiexec wants in its environment since version 5, to leave the others alone when a spawned process is lost.
const Recoverable = recoverable + "=1"

const recoverable = "PRTE_MCA_state_base_recoverable"

// LeaveAdvice says how to start a job so that its launcher leaves the other ranks alone when one is lost. It is empty where the launcher was
// told, as far as can be seen, where it is not known, and where nobody hears of the end: MPICH's mpiexec kills without a signal. lookup is the
// environment of this rank, and launchers that of its launcher, where it runs on this host. Since version 5 Open MPI's mpiexec hides its own
// variables from its ranks, unless -x names them, and that it was told --enable-recovery. On another host than mpiexec's the first cannot be
// seen, and the second nowhere.
func LeaveAdvice(lookup, launchers func(string) (string, bool)) string {
	e, l := environ(lookup), FindLauncher(lookup)
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
		if e.on("OMPI_MCA_orte_enable_recovery") {
			return ""
		}
		return "`mpiexec --enable-recovery`"
	case e.on(mitigation) && (l.Size > 1 || e.on(recoverable) || environ(launchers).on(recoverable)):
		return ""
	case l.Size == 1: // its workers are spawned
		return "`" + Recoverable + " mpiexec --with-ft ulfm`"
	}
	return "`mpiexec --with-ft ulfm`"
}

// on tells whether a variable is set to what means yes.
func (e environ) on(name string) bool {
	is, err := strconv.ParseBool(e.text(name))
	return err == nil && is
}
