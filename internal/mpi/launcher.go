package mpi

import (
	"fmt"
	"strconv"
	"strings"
)

// Launcher is what started this process, told from its environment alone, so before MPI is initialised.
type Launcher struct {
	Name     string // "Open MPI's mpiexec", "MPICH's mpiexec", "srun", "srun --mpi=pmi2", "Flux", "PALS"; empty when there is none
	Family   Family // whose programs it starts; OtherMPI for srun and the managers, as they start more than one kind or do not tell, and for one that is not known
	Variable string // the variable that told
	Size     int    // how many processes it promised; 0 when there is none, or it does not tell
	Rank     int    // this process among them; -1 when unknown
}

// Found tells whether there is a launcher.
func (l Launcher) Found() bool { return l.Size > 0 || l.Strange() }

// Strange tells whether there is a launcher that is none of those that are known: it has told this process apart from others, and not how
// many there are, nor whose library they need.
func (l Launcher) Strange() bool { return l.Size == 0 && l.Variable != "" }

// Srun tells whether the launcher is Slurm's srun, by whatever name, which starts programs of every family.
func (l Launcher) Srun() bool { return l.OfEvery() && strings.HasPrefix(l.Name, "srun") }

// OfEvery tells whether the launcher starts programs of every family.
func (l Launcher) OfEvery() bool { return l.Size > 0 && l.Family == OtherMPI }

// String names the launcher and what it has started.
func (l Launcher) String() string {
	if l.Strange() {
		return fmt.Sprintf("%s (%s)", l.Name, l.Variable)
	}
	return fmt.Sprintf("%s, %d processes", l.Name, l.Size)
}

// signs are the variables by which launchers that are not known tell processes apart: of PMIx, PMI, MVAPICH, PALS, ALPS, JSM. The last
// two tell no number.
var signs = []string{
	"PMIX_RANK", "PMI_RANK", "PMI_ID", "MV2_COMM_WORLD_RANK", "PALS_RANKID", "ALPS_APP_PE", "JSM_NAMESPACE_RANK", "PMIX_NAMESPACE", "PMI_FD",
}

// slurmSpace begins the namespaces of Slurm's PMIx.
const slurmSpace = "slurm."

// strange is a launcher that is not known, if there is one. Slurm may leave its PMIx to the shell of an allocation, which is no rank.
func (e environ) strange() Launcher {
	if strings.HasPrefix(e.text("PMIX_NAMESPACE"), slurmSpace) {
		return Launcher{Rank: -1}
	}
	for _, name := range signs {
		if e.text(name) == "" {
			continue
		}
		l := Launcher{Name: "a launcher that is not known", Variable: name, Rank: -1}
		if r, ok := e.number(name); ok && name != "PMIX_NAMESPACE" && name != "PMI_FD" {
			l.Rank = r
		}
		return l
	}
	return Launcher{Rank: -1}
}

// lastRealStep is the largest number of a Slurm step that srun made; the larger ones mean batch, extern, interactive.
const lastRealStep = 4294967200

// environ is an environment to look variables up in.
type environ func(string) (string, bool)

// text returns a variable, empty when it is not set.
func (e environ) text(name string) string {
	s, _ := e(name)
	return s
}

// number returns a variable that holds a number from 0 on.
func (e environ) number(name string) (int, bool) {
	n, err := strconv.Atoi(e.text(name))
	return n, err == nil && n >= 0
}

// in returns l with the size that one of the variables promises, and whether one does.
func (e environ) in(l Launcher, rank string, sizes ...string) (Launcher, bool) {
	for _, name := range sizes {
		if n, ok := e.number(name); ok && n > 0 {
			l.Variable, l.Size, l.Rank = name, n, -1
			if r, ok := e.number(rank); ok {
				l.Rank = r
			}
			return l, true
		}
	}
	return Launcher{Rank: -1}, false
}

// inStep tells whether this process belongs to a step that srun made. MPICH's mpiexec makes one too, of its proxies, which
// start the ranks.
func (e environ) inStep() bool {
	step, ok := e.number("SLURM_STEP_ID")
	return ok && int64(step) < lastRealStep
}

// pmiOfSlurm tells whether the PMI variables are from srun: an mpiexec inside a step sets PMI_SIZE and PMI_FD as well, but
// the name that Slurm gives the job is its own.
func (e environ) pmiOfSlurm() bool {
	return e.inStep() && e.pmiStep() == e.text("SLURM_JOB_ID")+"."+e.text("SLURM_STEP_ID")
}

// pmiStep is the step of srun in this job, as JOB.STEP, that has set the PMI variables, or nothing. With --mpi=pmi2 srun calls PMI's job so,
// and on Cray EX the application of PALS, whose variables it sets as well.
func (e environ) pmiStep() string {
	job := e.text("SLURM_JOB_ID")
	if step := e.text("PMI_JOBID"); ofJob(step, job) {
		return step
	}
	if step := e.text("PALS_APID"); ofJob(step, job) && e.manager() == "PALS" {
		return step
	}
	return ""
}

// ofJob tells whether step is JOB.STEP of that job of Slurm.
func ofJob(step, job string) bool {
	of, _, ok := strings.Cut(step, ".")
	return ok && of == job
}

// offersPMIx tells whether this step of srun has PMIx: its namespace ends with the step's number. Slurm leaves the one of an allocation to
// the shell of that, from where a later step inherits it, whatever it offers itself.
func (e environ) offersPMIx() bool {
	return !e.pmiOfSlurm() && e.inStep() && strings.HasSuffix(e.text("PMIX_NAMESPACE"), "."+e.text("SLURM_STEP_ID"))
}

// srun is the command with the choice of interface that was made, where that can be told.
func (e environ) srun() string {
	if kind := e.text("SLURM_MPI_TYPE"); kind != "" {
		return "srun --mpi=" + kind
	}
	return "srun"
}

// leftover tells whether the PMI variables are those of another step of srun, from whose shell this one was started with another
// interface. An mpiexec of MPICH in such a shell inherits the name of that job, and sets these variables itself.
func (e environ) leftover() bool {
	return e.inStep() && e.pmiStep() != "" && !e.pmiOfSlurm() && !e.hydra()
}

// hydra tells whether MPICH's own mpiexec, or one of its kin, has set the PMI variables.
func (e environ) hydra() bool { return e.text("MPI_LOCALNRANKS") != "" }

// FindLauncher looks at the environment through lookup, usually os.LookupEnv. What an inner launcher sets cannot hide
// what an outer one left, so use CheckLauncher for a judgement.
func FindLauncher(lookup func(string) (string, bool)) Launcher {
	e := environ(lookup)
	if l, ok := e.in(Launcher{Name: "Open MPI's mpiexec", Family: OpenMPI}, "OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE"); ok {
		return l
	}
	pmi := Launcher{Name: "MPICH's mpiexec", Family: MPICH}
	if e.pmiOfSlurm() {
		pmi = Launcher{Name: e.srun()}
	} else if name := e.manager(); name != "" {
		pmi = Launcher{Name: name}
	}
	if l, ok := e.in(pmi, "PMI_RANK", "PMI_SIZE"); ok && !e.leftover() {
		return l
	}
	if l, ok := e.counted(); ok && !e.offersPMIx() {
		return l
	}
	if !e.inStep() {
		return e.strange()
	}
	l, _ := e.in(Launcher{Name: e.srun()}, "SLURM_PROCID", "SLURM_STEP_NUM_TASKS", "SLURM_NTASKS")
	return l
}

// SpokenTo returns the family whose programs understand what a launcher of every family offers: Open MPI's do PMIx, MPICH's PMI. It is
// OtherMPI under any other launcher, and without one.
func SpokenTo(lookup func(string) (string, bool)) Family {
	e, l := environ(lookup), FindLauncher(lookup)
	other := e.text("PMIX_NAMESPACE")
	switch {
	case !l.OfEvery():
		return OtherMPI
	case l.Srun() && e.offersPMIx(), !l.Srun() && other != "" && !strings.HasPrefix(other, slurmSpace):
		return OpenMPI
	}
	return MPICH
}

// Spawned tells whether the environment says that this process was spawned by another one of MPI: Open MPI gives it the port at which
// that one listens, MPICH says so in a variable of its own.
func Spawned(lookup func(string) (string, bool)) bool {
	e := environ(lookup)
	n, _ := e.number("PMI_SPAWNED")
	return n > 0 || e.text("OMPI_PARENT_PORT") != ""
}

// managed tells whether this process has a process manager that an MPICH can talk to.
func managed(lookup func(string) (string, bool)) bool {
	for _, name := range []string{"PMI_FD", "PMI_PORT", "PMI_SIZE"} {
		if _, ok := lookup(name); ok {
			return true
		}
	}
	return false
}

// LauncherError is the refusal of a world that is not what the launcher promised: in practice a program with the library of one
// MPI that another's mpiexec has started, which would run as so many silent worlds of one.
type LauncherError struct {
	Launcher Launcher
	Library  Family // what the program uses
	Linked   bool   // it was in the process already
	World    int    // the size of the world it got
}

// Error says what was found and how to start the program.
func (e *LauncherError) Error() string {
	l, how := e.Launcher, e.how()
	if l.Strange() {
		return fmt.Sprintf("mpi: %s started this process (%s), but it, which %s %s, is in a world of %d: name the libmpi of the "+
			"launcher's MPI by RANKPOOL_MPI, and unset %s and its like where this process is the only one",
			l.Name, l.Variable, how, e.Library, e.World, l.Variable)
	}
	return fmt.Sprintf("mpi: %s started %d processes (%s) but this one, which %s %s, is in a world of %d: start it with %s",
		l.Name, l.Size, l.Variable, how, e.Library, e.World, e.advice())
}

// how says by what way the library came into the process.
func (e *LauncherError) how() string {
	if e.Linked {
		return "is linked with"
	}
	return "has loaded"
}

func (e *LauncherError) advice() string {
	l := e.Launcher
	or := func(own string) string {
		if e.Linked {
			return ", or link it with the launcher's own library (rankpool build --mpi " + own + "), and unset LD_PRELOAD if that names an MPI"
		}
		return ", or have it load the launcher's own library: unset RANKPOOL_MPI"
	}
	switch {
	case l.Family == OpenMPI && e.Library == MPICH:
		return "MPICH's mpiexec (mpiexec.mpich on Debian)" + or("openmpi")
	case l.Family == MPICH && e.Library == OpenMPI:
		return "Open MPI's mpiexec (mpiexec.openmpi on Debian)" + or("mpich")
	case l.Srun() && !e.Linked && l.Name != "srun --mpi=pmi2" && !strings.HasPrefix(l.Name, "srun --mpi=pmix"):
		return "`srun --mpi=pmix` for Open MPI, `srun --mpi=pmi2` for MPICH"
	case l.Srun() && e.Library == MPICH && l.Name != "srun --mpi=pmi2":
		return "`srun --mpi=pmi2`"
	case l.Srun() && e.Library == OpenMPI && !strings.HasPrefix(l.Name, "srun --mpi=pmix"):
		return "`srun --mpi=pmix`"
	case l.Srun():
		return "the mpiexec that belongs to that library, inside the job script, or another --mpi of " +
			"those that `srun --mpi=list` shows: this library cannot use the present one"
	case l.OfEvery():
		return "the mpiexec that belongs to that library, or name a library that " + l.Name + " starts by RANKPOOL_MPI"
	}
	return "the mpiexec that belongs to that library"
}

// CheckLauncher compares the world's size with what the launcher promised and returns a *LauncherError where they
// differ. The variable of the library's own family decides when it agrees: others may be left from an outer launcher.
func CheckLauncher(lookup func(string) (string, bool), library Family, world int) error {
	l := FindLauncher(lookup)
	if !l.Found() || l.Size == world || l.Strange() && world > 1 && l.Rank < world { // a world of one is that of each process with a wrong library
		return nil
	}
	if library == MPICH {
		if s, ok := lookup("PMI_SIZE"); ok && s == strconv.Itoa(world) {
			return nil
		}
	}
	return &LauncherError{Launcher: l, Library: library, Linked: linked, World: world}
}

// LauncherAdvice returns what to tell a user before MPI_Init, or nothing. In a step of Slurm an Open MPI that finds no PMIx
// may end the process inside MPI_Init, where no error can be returned any more, and so does MPICH 5 under Open MPI's mpiexec. Builds with
// the other interface do not, so this cannot be a refusal: an MPICH tells in its text how it was built.
func LauncherAdvice(lookup func(string) (string, bool), library Family, text string) string {
	e, l := environ(lookup), FindLauncher(lookup)
	refusal := LauncherError{Launcher: l, Library: library, Linked: linked}
	const failing = "if MPI_Init fails now, start it with"
	switch {
	case library == OpenMPI && l.Family != OpenMPI && e.inStep() && !e.offersPMIx():
		return fmt.Sprintf("%s offers no PMIx, which this program's Open MPI most likely needs: %s %s", l.Name, failing, refusal.advice())
	case library == MPICH && l.Family == OpenMPI && !managed(lookup) && strings.Contains(text, "MPICH configure") && !strings.Contains(text, "pmix"):
		return fmt.Sprintf("%s started this process, which %s MPICH: %s %s", l.Name, refusal.how(), failing, refusal.advice())
	}
	return ""
}
