package doctor

import "github.com/rankpool/rankpool/internal/mpi"

// elsewhere tells whether the launcher is none of those that were tried: Open MPI's, MPICH's and srun.
func elsewhere(l mpi.Launcher) bool { return l.Strange() || l.OfEvery() && !l.Srun() }

// calledElsewhere names a launcher that was not tried, within a sentence.
func calledElsewhere(l mpi.Launcher) string {
	if l.Strange() {
		return "the launcher, which is not known,"
	}
	return l.Name
}

// survivorsElsewhere says what is known of a launcher that was not tried when a rank is lost. Of Flux it is what flux-shell(1) says.
func survivorsElsewhere(l mpi.Launcher) Finding {
	if l.Name == flux {
		return Finding{lostRanks, warning, "Flux ends the job 30s after a rank has ended, by its manual and unless it was told otherwise (not tried)",
			"start with `flux run -o exit-timeout=none`", nil}
	}
	return Finding{lostRanks, warning, "whether " + calledElsewhere(l) + " leaves the others alone cannot be told", "see its manual", nil}
}

// sigtermElsewhere says what is known of a launcher that was not tried when it ends a job. Of Flux it is what flux-cancel(1) says.
func sigtermElsewhere(l mpi.Launcher) Finding {
	text := "whether " + calledElsewhere(l) + " kills a while after its SIGTERM cannot be told"
	if l.Name == flux {
		text = "`flux cancel` sends SIGTERM and kills 5s later, by Flux's manual and unless it is set otherwise (not tried)"
	}
	return Finding{"SIGTERM", fine, text, "", nil}
}

const flux = "Flux"
