package mpi

import (
	"fmt"
	"strconv"
)

// Launcher is what started this process, told from its environment alone, so before MPI is initialised.
type Launcher struct {
	Name     string // "Open MPI's mpiexec", "MPICH's mpiexec", "srun"; empty when there is none
	Family   Family // whose programs it starts; OtherMPI for srun, which starts both kinds
	Variable string // the variable that told
	Size     int    // how many processes it promised; 0 when there is none
	Rank     int    // this process among them; -1 when unknown
}

// Found tells whether there is a launcher.
func (l Launcher) Found() bool { return l.Size > 0 }

// lastRealStep is the largest number of a Slurm step that srun made; the larger ones mean batch, extern, interactive.
const lastRealStep = 4294967200

// FindLauncher looks at the environment through lookup, usually os.LookupEnv. What an inner launcher sets cannot hide
// what an outer one left, so use CheckLauncher for a judgement.
func FindLauncher(lookup func(string) (string, bool)) Launcher {
	number := func(name string) (int, bool) {
		s, _ := lookup(name)
		n, err := strconv.Atoi(s)
		return n, err == nil && n >= 0
	}
	find := func(l Launcher, rank string, sizes ...string) (Launcher, bool) {
		for _, name := range sizes {
			if n, ok := number(name); ok && n > 0 {
				l.Variable, l.Size, l.Rank = name, n, -1
				if r, ok := number(rank); ok {
					l.Rank = r
				}
				return l, true
			}
		}
		return Launcher{Rank: -1}, false
	}
	if l, ok := find(Launcher{Name: "Open MPI's mpiexec", Family: OpenMPI}, "OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE"); ok {
		return l
	}
	inStep := false
	if step, ok := number("SLURM_STEP_ID"); ok && step < lastRealStep {
		inStep = true
	}
	if l, ok := find(Launcher{Name: "MPICH's mpiexec", Family: MPICH}, "PMI_RANK", "PMI_SIZE"); ok {
		if _, fd := lookup("PMI_FD"); inStep && !fd {
			l.Name = "srun --mpi=pmi2"
		}
		return l
	}
	if inStep {
		l, _ := find(Launcher{Name: "srun"}, "SLURM_PROCID", "SLURM_STEP_NUM_TASKS", "SLURM_NTASKS")
		return l
	}
	return Launcher{Rank: -1}
}

// LauncherError is the refusal of a world that is not what the launcher promised: in practice a program built for one
// MPI and started by another's mpiexec, which would run as so many silent worlds of one.
type LauncherError struct {
	Launcher Launcher
	Library  Family // what the program was built for
	World    int    // the size of the world it got
}

// Error says what was found and how to start the program.
func (e *LauncherError) Error() string {
	l := e.Launcher
	s := fmt.Sprintf("mpi: %s started %d processes (%s) but this one, built for %s, is in a world of %d: ",
		l.Name, l.Size, l.Variable, e.Library, e.World)
	switch {
	case l.Family == OpenMPI && e.Library == MPICH:
		return s + "start it with MPICH's mpiexec (mpiexec.mpich on Debian), or build it for Open MPI (go build -tags mpi)"
	case l.Family == MPICH && e.Library == OpenMPI:
		return s + "start it with Open MPI's mpiexec (mpiexec.openmpi on Debian), or build it for MPICH (make mpich)"
	case l.Name == "srun" && e.Library == MPICH:
		return s + "start it with `srun --mpi=pmi2`"
	case l.Name == "srun":
		return s + "start it with `srun --mpi=pmix`"
	}
	return s + "start it with the mpiexec that belongs to the library it was built with"
}

// CheckLauncher compares the world's size with what the launcher promised and returns a *LauncherError where they
// differ. The variable of the library's own family decides when it agrees: others may be left from an outer launcher.
func CheckLauncher(lookup func(string) (string, bool), library Family, world int) error {
	l := FindLauncher(lookup)
	if !l.Found() || l.Size == world {
		return nil
	}
	if library == MPICH {
		if s, ok := lookup("PMI_SIZE"); ok && s == strconv.Itoa(world) {
			return nil
		}
	}
	return &LauncherError{Launcher: l, Library: library, World: world}
}
