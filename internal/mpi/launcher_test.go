package mpi_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/rankpool/rankpool/internal/mpi"
	"github.com/rankpool/rankpool/internal/testkit"
)

// What Slurm 22.05 sets in a step of three under --mpi=pmi2, and in the step of one that an mpiexec starts its proxies with.
var (
	pmi2Step  = []string{"SLURM_JOB_ID=7", "SLURM_STEP_ID=0", "SLURM_STEP_NUM_TASKS=3", "SLURM_NTASKS=3", "SLURM_MPI_TYPE=pmi2"}
	proxyStep = []string{"SLURM_JOB_ID=7", "SLURM_STEP_ID=0", "SLURM_STEP_NUM_TASKS=1", "SLURM_NTASKS=3", "SLURM_MPI_TYPE=pmix", "PMIX_NAMESPACE=slurm.pmix.7.0"}
)

var fluxStep = []string{"FLUX_TASK_RANK=1", "FLUX_JOB_SIZE=4", "PMI_RANK=1", "PMI_SIZE=4"}

// What the shell of an allocation leaves to the steps that are started from it.
const allocationPMIx = "PMIX_NAMESPACE=slurm.pmix.7.4294967290"

// strange is what a launcher is called that is not known.
const strange = "a launcher that is not known"

func TestALauncherThatIsNotKnownIsOneAndItsProcessesAreNotTakenForAWholeWorld(t *testing.T) {
	env := func(rank string) func(string) (string, bool) {
		if rank == "" {
			return testkit.Lookup("PMI_FD=5") // it tells no numbers
		}
		return testkit.Lookup("PMIX_RANK=" + rank)
	}
	if l := mpi.FindLauncher(env("0")); !l.Found() || !l.Strange() || l.String() != strange+" (PMIX_RANK)" {
		t.Errorf("found %v, strange %v: %v", l.Found(), l.Strange(), l)
	}
	for _, c := range []struct {
		rank    string
		world   int
		refused bool
	}{{"0", 1, true}, {"", 1, true}, {"0", 3, false}, {"2", 3, false}, {"1", 1, true}, {"2", 1, true}} {
		err := mpi.CheckLauncher(env(c.rank), mpi.OpenMPI, c.world)
		if refusal := new(mpi.LauncherError); errors.As(err, &refusal) != c.refused || c.refused && !strings.Contains(err.Error(), "RANKPOOL_MPI") {
			t.Errorf("rank %s in a world of %d: %v", c.rank, c.world, err)
		}
	}
}

func TestTheLauncherIsToldFromTheEnvironment(t *testing.T) {
	for name, c := range map[string]struct {
		env  []string
		want mpi.Launcher
	}{
		"none":          {nil, mpi.Launcher{Rank: -1}},
		"open mpi":      {[]string{"OMPI_COMM_WORLD_SIZE=4", "OMPI_COMM_WORLD_RANK=2"}, mpi.Launcher{"Open MPI's mpiexec", mpi.OpenMPI, "OMPI_COMM_WORLD_SIZE", 4, 2}},
		"mpich":         {[]string{"PMI_SIZE=3", "PMI_RANK=0", "PMI_FD=7"}, mpi.Launcher{"MPICH's mpiexec", mpi.MPICH, "PMI_SIZE", 3, 0}},
		"both":          {[]string{"PMI_SIZE=3", "OMPI_COMM_WORLD_SIZE=4"}, mpi.Launcher{"Open MPI's mpiexec", mpi.OpenMPI, "OMPI_COMM_WORLD_SIZE", 4, -1}},
		"srun":          {[]string{"SLURM_STEP_ID=0", "SLURM_NTASKS=5", "SLURM_PROCID=1"}, mpi.Launcher{"srun", mpi.OtherMPI, "SLURM_NTASKS", 5, 1}},
		"srun pmix":     {[]string{"SLURM_STEP_ID=0", "SLURM_STEP_NUM_TASKS=3", "SLURM_PROCID=2", "SLURM_MPI_TYPE=pmix", "PMIX_RANK=2"}, mpi.Launcher{"srun --mpi=pmix", mpi.OtherMPI, "SLURM_STEP_NUM_TASKS", 3, 2}},
		"srun pmi2":     {append([]string{"PMI_SIZE=3", "PMI_RANK=1", "PMI_FD=11", "PMI_JOBID=7.0"}, pmi2Step...), mpi.Launcher{"srun --mpi=pmi2", mpi.OtherMPI, "PMI_SIZE", 3, 1}},
		"mpich in job":  {append([]string{"PMI_SIZE=3", "PMI_RANK=1", "PMI_FD=5"}, proxyStep...), mpi.Launcher{"MPICH's mpiexec", mpi.MPICH, "PMI_SIZE", 3, 1}},
		"open in job":   {append([]string{"OMPI_COMM_WORLD_SIZE=4", "OMPI_COMM_WORLD_RANK=0"}, proxyStep...), mpi.Launcher{"Open MPI's mpiexec", mpi.OpenMPI, "OMPI_COMM_WORLD_SIZE", 4, 0}},
		"smaller step":  {[]string{"SLURM_STEP_ID=0", "SLURM_NTASKS=5", "SLURM_STEP_NUM_TASKS=2"}, mpi.Launcher{"srun", mpi.OtherMPI, "SLURM_STEP_NUM_TASKS", 2, -1}},
		"batch script":  {[]string{"SLURM_NTASKS=5"}, mpi.Launcher{Rank: -1}},
		"batch step":    {[]string{"SLURM_STEP_ID=4294967291", "SLURM_NTASKS=5"}, mpi.Launcher{Rank: -1}},
		"PMIx of none":  {[]string{"PMIX_NAMESPACE=12345", "PMIX_RANK=3", "PMI_FD=5"}, mpi.Launcher{strange, mpi.OtherMPI, "PMIX_RANK", 0, 3}},
		"PMI of none":   {[]string{"PMI_RANK=0", "PMI_FD=5"}, mpi.Launcher{strange, mpi.OtherMPI, "PMI_RANK", 0, 0}},
		"PMI alone":     {[]string{"PMI_FD=5"}, mpi.Launcher{strange, mpi.OtherMPI, "PMI_FD", 0, -1}},
		"namespace":     {[]string{"PMIX_NAMESPACE=12345"}, mpi.Launcher{strange, mpi.OtherMPI, "PMIX_NAMESPACE", 0, -1}},
		"MVAPICH's":     {[]string{"MV2_COMM_WORLD_RANK=1"}, mpi.Launcher{strange, mpi.OtherMPI, "MV2_COMM_WORLD_RANK", 0, 1}},
		"allocation":    {[]string{"SLURM_STEP_ID=4294967290", "PMIX_NAMESPACE=slurm.pmix.7.4294967290", "PMIX_RANK=0"}, mpi.Launcher{Rank: -1}},
		"pmix of pmi2":  {append(leftoverPMI("7.1"), "SLURM_STEP_ID=2", "SLURM_STEP_NUM_TASKS=3", "SLURM_PROCID=2", "SLURM_MPI_TYPE=pmix", "PMIX_NAMESPACE=slurm.pmix.7.2"), mpi.Launcher{"srun --mpi=pmix", mpi.OtherMPI, "SLURM_STEP_NUM_TASKS", 3, 2}},
		"none of pmi2":  {append(leftoverPMI("7.1"), "SLURM_STEP_ID=2", "SLURM_STEP_NUM_TASKS=3", "SLURM_PROCID=0"), mpi.Launcher{"srun", mpi.OtherMPI, "SLURM_STEP_NUM_TASKS", 3, 0}},
		"shell of pmi2": {append(leftoverPMI("7.1"), "SLURM_STEP_ID=1", "SLURM_STEP_NUM_TASKS=1", "SLURM_PROCID=0", "SLURM_MPI_TYPE=pmi2"), mpi.Launcher{"srun --mpi=pmi2", mpi.OtherMPI, "PMI_SIZE", 1, 0}},
		"mpich in that": {append(leftoverPMI("7.1"), "SLURM_STEP_ID=2", "SLURM_STEP_NUM_TASKS=1", "MPI_LOCALNRANKS=1"), mpi.Launcher{"MPICH's mpiexec", mpi.MPICH, "PMI_SIZE", 1, 0}},
		"flux":          {[]string{"FLUX_TASK_RANK=1", "FLUX_JOB_SIZE=4", "PMI_RANK=1", "PMI_SIZE=4", "PMI_FD=9"}, mpi.Launcher{"Flux", mpi.OtherMPI, "PMI_SIZE", 4, 1}},
		"mpich in flux": {[]string{"FLUX_TASK_RANK=0", "FLUX_JOB_SIZE=1", "PMI_RANK=0", "PMI_SIZE=3", "MPI_LOCALNRANKS=3"}, mpi.Launcher{"MPICH's mpiexec", mpi.MPICH, "PMI_SIZE", 3, 0}},
		"flux by PMIx":  {[]string{"FLUX_TASK_RANK=0", "FLUX_JOB_SIZE=1", "PMIX_NAMESPACE=f1", "PMIX_RANK=0"}, mpi.Launcher{"Flux", mpi.OtherMPI, "FLUX_JOB_SIZE", 1, 0}},
		"flux in a step": {[]string{"FLUX_TASK_RANK=2", "FLUX_JOB_SIZE=8", "PMIX_NAMESPACE=f1", "PMIX_RANK=2", "SLURM_JOB_ID=7", "SLURM_STEP_ID=0", "SLURM_STEP_NUM_TASKS=2"},
			mpi.Launcher{"Flux", mpi.OtherMPI, "FLUX_JOB_SIZE", 8, 2}},
		"step in flux": {append([]string{"FLUX_TASK_RANK=0", "FLUX_JOB_SIZE=1", "PMIX_NAMESPACE=slurm.pmix.7.0", "SLURM_PROCID=2", "SLURM_JOB_ID=7"}, "SLURM_STEP_ID=0", "SLURM_STEP_NUM_TASKS=3"),
			mpi.Launcher{"srun", mpi.OtherMPI, "SLURM_STEP_NUM_TASKS", 3, 2}},
		"flux with the variables of PALS": {[]string{"FLUX_TASK_RANK=1", "FLUX_JOB_SIZE=2", "PALS_RANKID=1", "PALS_APID=123", "PALS_NODEID=0"}, mpi.Launcher{"Flux", mpi.OtherMPI, "FLUX_JOB_SIZE", 2, 1}},
		"flux without its count":          {[]string{"FLUX_TASK_RANK=0", "PMIX_RANK=0"}, mpi.Launcher{strange, mpi.OtherMPI, "PMIX_RANK", 0, 0}},
		"mpirun_rsh":                      {[]string{"MV2_COMM_WORLD_RANK=0", "MV2_COMM_WORLD_SIZE=1"}, mpi.Launcher{"MVAPICH's mpirun_rsh", mpi.OtherMPI, "MV2_COMM_WORLD_SIZE", 1, 0}},
		"jsrun":                           {[]string{"JSM_NAMESPACE_RANK=3", "JSM_NAMESPACE_SIZE=4", "PMIX_NAMESPACE=1", "PMIX_RANK=3"}, mpi.Launcher{"jsrun", mpi.OtherMPI, "JSM_NAMESPACE_SIZE", 4, 3}},
		"aprun of ALPS":                   {[]string{"ALPS_APP_PE=0"}, mpi.Launcher{strange, mpi.OtherMPI, "ALPS_APP_PE", 0, 0}},
		"pals by PMIx":                    {[]string{"PALS_RANKID=0", "PMIX_RANK=0", "PMIX_NAMESPACE=x"}, mpi.Launcher{strange, mpi.OtherMPI, "PMIX_RANK", 0, 0}},
		"srun of Cray EX":                 {crayStep("7.0"), mpi.Launcher{"srun --mpi=cray_shasta", mpi.OtherMPI, "PMI_SIZE", 3, 1}},
		"mpich in that of Cray EX":        {append(crayStep("7.0"), "MPI_LOCALNRANKS=3"), mpi.Launcher{"MPICH's mpiexec", mpi.MPICH, "PMI_SIZE", 3, 1}},
		"none of Cray EX":                 {append(crayStep("7.4"), "SLURM_PROCID=2"), mpi.Launcher{"srun --mpi=cray_shasta", mpi.OtherMPI, "SLURM_STEP_NUM_TASKS", 3, 2}},
		"pals":                            {[]string{"PALS_RANKID=2", "PMI_RANK=2", "PMI_SIZE=4"}, mpi.Launcher{"PALS", mpi.OtherMPI, "PMI_SIZE", 4, 2}},
		"nonsense":                        {[]string{"PMI_SIZE=many"}, mpi.Launcher{Rank: -1}},
	} {
		t.Run(name, func(t *testing.T) {
			if d := cmp.Diff(c.want, mpi.FindLauncher(testkit.Lookup(c.env...))); d != "" {
				t.Error(d)
			}
		})
	}
}

// crayStep is what Slurm's plugin for Cray EX sets in the second process of step 7.0; step is the one whose variables of PALS they are.
func crayStep(step string) []string {
	return []string{
		"SLURM_JOB_ID=7", "SLURM_STEP_ID=0", "SLURM_STEP_NUM_TASKS=3", "SLURM_NTASKS=3", "SLURM_MPI_TYPE=cray_shasta",
		"PALS_APID=" + step, "PALS_RANKID=1", "PALS_NODEID=0", "PMI_JOBID=7", "PMI_RANK=1", "PMI_SIZE=3", "PMI_UNIVERSE_SIZE=3",
	}
}

// leftoverPMI is what a step under --mpi=pmi2 with one process, a shell, leaves to what is started from it.
func leftoverPMI(step string) []string {
	return []string{"SLURM_JOB_ID=7", "PMI_SIZE=1", "PMI_RANK=0", "PMI_FD=11", "PMI_JOBID=" + step}
}

func TestThePMIxOfAnotherStepIsNotWhatSrunOffers(t *testing.T) {
	pmi2 := append([]string{"PMI_SIZE=3", "PMI_RANK=1", "PMI_FD=11", "PMI_JOBID=7.0"}, pmi2Step...)
	pmix := []string{"SLURM_JOB_ID=7", "SLURM_STEP_ID=12", "SLURM_STEP_NUM_TASKS=3", "SLURM_MPI_TYPE=pmix"}
	for name, c := range map[string]struct {
		env  []string
		want mpi.Family
	}{
		"no launcher":                {nil, mpi.OtherMPI},
		"the shell of an allocation": {[]string{"SLURM_STEP_ID=4294967290", allocationPMIx}, mpi.OtherMPI},
		"pmi2":                       {pmi2, mpi.MPICH},
		"pmi2 from that shell":       {append([]string{allocationPMIx}, pmi2...), mpi.MPICH},
		"pmi2 from a step":           {append([]string{"PMIX_NAMESPACE=slurm.pmix.7.1"}, pmi2...), mpi.MPICH},
		"pmi2 from another job":      {append([]string{"PMIX_NAMESPACE=slurm.pmix.6.0"}, pmi2...), mpi.MPICH},
		"none from that shell":       {append([]string{allocationPMIx}, pmi2Step...), mpi.MPICH},
		"pmix":                       {append([]string{"PMIX_NAMESPACE=slurm.pmix.7.12"}, pmix...), mpi.OpenMPI},
		"none from another step":     {append([]string{"PMIX_NAMESPACE=slurm.pmix.7.2"}, pmix...), mpi.MPICH},
		"an mpiexec in a step":       {append([]string{"PMI_SIZE=3", "PMI_FD=5"}, proxyStep...), mpi.OtherMPI},
		"flux":                       {fluxStep, mpi.MPICH},
		"flux with PMIx":             {append([]string{"PMIX_NAMESPACE=f1234"}, fluxStep...), mpi.OpenMPI},
		"flux in a Slurm job":        {append([]string{allocationPMIx}, fluxStep...), mpi.MPICH},
		"the srun of Cray EX":        {crayStep("7.0"), mpi.MPICH},
		"flux with nothing but PMIx": {[]string{"FLUX_TASK_RANK=0", "FLUX_JOB_SIZE=1", "PMIX_NAMESPACE=f1", "PMIX_RANK=0"}, mpi.OpenMPI},
		"mpirun_rsh":                 {[]string{"MV2_COMM_WORLD_RANK=0", "MV2_COMM_WORLD_SIZE=1"}, mpi.MPICH},
		"a launcher that is unknown": {[]string{"PMIX_RANK=0"}, mpi.OtherMPI},
	} {
		t.Run(name, func(t *testing.T) {
			if got := mpi.SpokenTo(testkit.Lookup(c.env...)); got != c.want {
				t.Errorf("%v, want %v", got, c.want)
			}
		})
	}
}

func TestTheEnvironmentTellsThatAProcessWasSpawned(t *testing.T) {
	for name, c := range map[string]struct {
		env  []string
		want bool
	}{
		"nothing":        {nil, false},
		"open mpi":       {[]string{"OMPI_COMM_WORLD_SIZE=2", "OMPI_COMM_WORLD_RANK=0", "OMPI_PARENT_PORT=1773535233.0:3605478330"}, true},
		"open mpi world": {[]string{"OMPI_COMM_WORLD_SIZE=2", "OMPI_COMM_WORLD_RANK=0"}, false},
		"mpich":          {[]string{"PMI_SIZE=2", "PMI_RANK=0", "PMI_SPAWNED=1"}, true},
		"mpich world":    {[]string{"PMI_SIZE=2", "PMI_RANK=0", "PMI_SPAWNED=0"}, false},
	} {
		t.Run(name, func(t *testing.T) {
			if got := mpi.Spawned(testkit.Lookup(c.env...)); got != c.want {
				t.Errorf("%v, want %v", got, c.want)
			}
		})
	}
}

func TestAWorldThatIsNotWhatTheLauncherPromisedIsRefusedWithTheRemedy(t *testing.T) {
	for name, c := range map[string]struct {
		env     []string
		library mpi.Family
		world   int
		want    string // part of the error; empty: accepted
	}{
		"agrees":                          {[]string{"OMPI_COMM_WORLD_SIZE=4"}, mpi.OpenMPI, 4, ""},
		"no launcher":                     {nil, mpi.OpenMPI, 1, ""},
		"mpich under open mpi":            {[]string{"OMPI_COMM_WORLD_SIZE=4"}, mpi.MPICH, 1, "mpiexec.mpich"},
		"open mpi under mpich":            {[]string{"PMI_SIZE=4", "PMI_FD=3"}, mpi.OpenMPI, 1, "mpiexec.openmpi"},
		"mpich under srun pmix":           {[]string{"SLURM_STEP_ID=0", "SLURM_NTASKS=2"}, mpi.MPICH, 1, "srun --mpi=pmi2"},
		"open mpi under srun pmi":         {[]string{"SLURM_STEP_ID=0", "SLURM_NTASKS=2"}, mpi.OpenMPI, 1, "srun --mpi=pmix"},
		"mpich under srun without pmi":    {[]string{"SLURM_STEP_ID=0", "SLURM_STEP_NUM_TASKS=2", "SLURM_MPI_TYPE=pmix"}, mpi.MPICH, 1, "srun --mpi=pmix started 2 processes (SLURM_STEP_NUM_TASKS) but this one, which has loaded MPICH, is in a world of 1: start it with `srun --mpi=pmi2`"},
		"open mpi under srun pmi2":        {append([]string{"PMI_SIZE=3", "PMI_JOBID=7.0"}, pmi2Step...), mpi.OpenMPI, 1, "start it with `srun --mpi=pmix`"},
		"the right srun does not help":    {append([]string{"PMI_SIZE=3", "PMI_JOBID=7.0"}, pmi2Step...), mpi.MPICH, 1, "srun --mpi=list"},
		"mpich's mpiexec in a job":        {append([]string{"PMI_SIZE=3", "PMI_FD=5"}, proxyStep...), mpi.MPICH, 3, ""},
		"open mpi under it":               {append([]string{"PMI_SIZE=3", "PMI_FD=5"}, proxyStep...), mpi.OpenMPI, 1, "mpiexec.openmpi"},
		"vendor's pmi under srun":         {pmi2Step, mpi.MPICH, 3, ""},
		"mpich inside an open mpi launch": {[]string{"OMPI_COMM_WORLD_SIZE=4", "PMI_SIZE=2"}, mpi.MPICH, 2, ""},
	} {
		t.Run(name, func(t *testing.T) {
			err := mpi.CheckLauncher(testkit.Lookup(c.env...), c.library, c.world)
			if c.want == "" {
				if err != nil {
					t.Fatal(err)
				}
				return
			}
			var refused *mpi.LauncherError
			if !errors.As(err, &refused) {
				t.Fatalf("got %v, want a LauncherError", err)
			}
			if !strings.Contains(err.Error(), c.want) {
				t.Fatalf("got %v, want a LauncherError with %q", err, c.want)
			}
		})
	}
}

func TestWhatMayAbortInsideMPIInitIsToldBefore(t *testing.T) {
	step := []string{"SLURM_STEP_ID=0", "SLURM_STEP_NUM_TASKS=2", "SLURM_PROCID=0"}
	for name, c := range map[string]struct {
		env     []string
		library mpi.Family
		want    string // part of the advice; empty: none
		built   string // what an MPICH says of it
	}{
		"srun without pmix":       {step, mpi.OpenMPI, "srun offers no PMIx, which this program's Open MPI most likely needs: if MPI_Init fails now, start it with `srun --mpi=pmix`", ""},
		"srun pmi2":               {append([]string{"PMI_SIZE=3", "PMI_RANK=0", "PMI_JOBID=7.0"}, pmi2Step...), mpi.OpenMPI, "srun --mpi=pmi2 offers no PMIx", ""},
		"srun pmi2 of a shell":    {append([]string{allocationPMIx, "PMI_SIZE=3", "PMI_RANK=0", "PMI_JOBID=7.0"}, pmi2Step...), mpi.OpenMPI, "srun --mpi=pmi2 offers no PMIx", ""},
		"srun none of a shell":    {append([]string{allocationPMIx}, step...), mpi.OpenMPI, "srun offers no PMIx", ""},
		"its second rank":         {append([]string{"PMI_SIZE=3", "PMI_RANK=1", "PMI_JOBID=7.0"}, pmi2Step...), mpi.OpenMPI, "srun --mpi=pmi2 offers no PMIx", ""},
		"srun pmix":               {append([]string{"PMIX_NAMESPACE=slurm.pmix.7.0"}, step...), mpi.OpenMPI, "", ""},
		"mpich":                   {step, mpi.MPICH, "", ""},
		"no srun":                 {nil, mpi.OpenMPI, "", ""},
		"open mpi's mpiexec":      {[]string{"OMPI_COMM_WORLD_SIZE=2", "OMPI_COMM_WORLD_RANK=0"}, mpi.MPICH, "Open MPI's mpiexec started this process, which has loaded MPICH: if MPI_Init fails now, start it with MPICH's mpiexec", "--with-pm=hydra"},
		"its rank of 1":           {[]string{"OMPI_COMM_WORLD_SIZE=2", "OMPI_COMM_WORLD_RANK=1"}, mpi.MPICH, "Open MPI's mpiexec started this process", "--with-pm=hydra"},
		"an mpich that fits it":   {[]string{"OMPI_COMM_WORLD_SIZE=2", "OMPI_COMM_WORLD_RANK=0"}, mpi.MPICH, "", "--with-pmix=/usr"},
		"mpich's below it":        {[]string{"OMPI_COMM_WORLD_SIZE=2", "OMPI_COMM_WORLD_RANK=0", "PMI_SIZE=2", "PMI_RANK=0", "PMI_FD=5"}, mpi.MPICH, "", "--with-pm=hydra"},
		"batch script":            {[]string{"SLURM_STEP_ID=4294967291", "SLURM_NTASKS=2"}, mpi.OpenMPI, "", ""},
		"mpiexec inside the step": {append([]string{"OMPI_COMM_WORLD_SIZE=2"}, step...), mpi.OpenMPI, "", ""},
		"mpich's mpiexec in it":   {append([]string{"PMI_SIZE=2", "PMI_RANK=0", "PMI_FD=5"}, step...), mpi.OpenMPI, "start it with Open MPI's mpiexec", ""},
	} {
		t.Run(name, func(t *testing.T) {
			got := mpi.LauncherAdvice(testkit.Lookup(c.env...), c.library, "MPICH Version: 5.0.2\nMPICH configure: "+c.built)
			if (got == "") != (c.want == "") || !strings.Contains(got, c.want) {
				t.Errorf("advice is %q, want one with %q", got, c.want)
			}
		})
	}
}

func TestOnlyARefusedProgramThatIsLinkedWithItsLibraryIsToldToBeBuiltAnew(t *testing.T) {
	open, mpich := mpi.Launcher{Family: mpi.OpenMPI}, mpi.Launcher{Family: mpi.MPICH}
	for _, e := range []mpi.LauncherError{{Launcher: open, Library: mpi.MPICH}, {Launcher: mpich, Library: mpi.OpenMPI}} {
		if text := e.Error(); strings.Contains(text, "build") || !strings.Contains(text, "which has loaded") || !strings.Contains(text, "unset RANKPOOL_MPI") {
			t.Error(text)
		}
		e.Linked = true
		if text := e.Error(); !strings.Contains(text, "which is linked with") || !strings.Contains(text, "rankpool build --mpi") {
			t.Error(text)
		}
	}
}

func TestOneCoreOfManyIsAWarningThatNamesTheOption(t *testing.T) {
	bound := mpi.Binding{Allowed: 1, Online: 8, Procs: 1}
	if w := bound.Warning(mpi.OpenMPI); !strings.Contains(w, "--bind-to none") || !strings.Contains(w, "1 of 8") {
		t.Errorf("warning is %q", w)
	}
	byUser := bound
	byUser.ByUser = true
	for _, b := range []mpi.Binding{byUser, {Allowed: 1, Online: 1, Procs: 1}, {Allowed: 8, Online: 8, Procs: 1}, {Procs: 8, Allowed: 8, Online: 8}} {
		if w := b.Warning(mpi.OpenMPI); w != "" {
			t.Errorf("%+v: %s", b, w)
		}
	}
}
