package launch

import (
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/rankpool/rankpool/internal/command"
	"github.com/rankpool/rankpool/internal/findmpi"
	"github.com/rankpool/rankpool/internal/mpi"
	"github.com/rankpool/rankpool/internal/testkit"
)

func TestTheVariablesOfTheCommandDoNotReachItsPrograms(t *testing.T) {
	t.Setenv("RANKPOOL_RUN_DIR", "/x")
	t.Setenv("RANKPOOL_BACKEND", "threads")
	env := strings.Join(childEnv(), "\n")
	if strings.Contains(env, "RANKPOOL_RUN_DIR") || !strings.Contains(env, "RANKPOOL_BACKEND=threads") {
		t.Error(env)
	}
}

// wrapper writes what answers as a compiler wrapper of a family's does.
func wrapper(t *testing.T, path, macro string) {
	t.Helper()
	script := "#!/bin/sh\ncase $1 in -E) echo '#define " + macro + " 1';; *) echo cc -lmpi;; esac\n"
	if err := os.WriteFile(path, []byte(script), 0o700); err != nil {
		t.Fatal(err)
	}
}

func TestAProgramIsLinkedWithTheMPIThatSrunSpeaksTo(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("it is for sh")
	}
	for _, name := range []string{"MPICC", "PKG_CONFIG", "CRAYPE_VERSION", "OMPI_COMM_WORLD_SIZE", "PMI_SIZE", "PMI_JOBID", "SLURM_MPI_TYPE", "PMIX_NAMESPACE"} {
		t.Setenv(name, "")
	}
	const pmi = "PMI_SIZE=3 PMI_JOBID=7.0 SLURM_MPI_TYPE=pmi2"
	for name, c := range map[string]struct {
		onPath, other string // mpicc, and the family of the other wrapper
		env           string
		want          mpi.Family
	}{
		"pmi2":                                {"OPEN_MPI", "mpich", pmi, mpi.MPICH},
		"pmi2 in the shell of an allocation":  {"OPEN_MPI", "mpich", pmi + " PMIX_NAMESPACE=slurm.pmix.7.4294967290", mpi.MPICH},
		"the default, which is not PMIx":      {"OPEN_MPI", "mpich", "", mpi.MPICH},
		"pmi2, and Open MPI alone":            {"OPEN_MPI", "", pmi, mpi.OpenMPI},
		"pmix":                                {"MPICH_VERSION", "openmpi", "PMIX_NAMESPACE=slurm.pmix.7.0", mpi.OpenMPI},
		"pmix, and MPICH alone":               {"MPICH_VERSION", "", "PMIX_NAMESPACE=slurm.pmix.7.0", mpi.MPICH},
		"Open MPI's mpiexec in it, with both": {"OPEN_MPI", "mpich", "OMPI_COMM_WORLD_SIZE=3", mpi.OpenMPI},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			wrapper(t, filepath.Join(dir, "mpicc"), c.onPath)
			if c.other != "" {
				wrapper(t, filepath.Join(dir, "mpicc."+c.other), map[string]string{"openmpi": "OPEN_MPI", "mpich": "MPICH_VERSION"}[c.other])
			}
			t.Setenv("PATH", dir)
			for _, v := range append(strings.Fields(c.env), "SLURM_JOB_ID=7", "SLURM_STEP_ID=0", "SLURM_STEP_NUM_TASKS=3") {
				name, value, _ := strings.Cut(v, "=")
				t.Setenv(name, value)
			}
			o := Options{MPI: findmpi.Automatic}
			found, err := o.settings(t.Context(), mpi.FindLauncher(os.LookupEnv))
			if err != nil || found.Family != c.want {
				t.Errorf("%+v, %v, want %v", found, err, c.want)
			}
		})
	}
}

func TestRanksThatCannotMeetBuildNothing(t *testing.T) {
	for name, c := range map[string]struct {
		env     []string
		refused bool
	}{
		"a launcher that is not known":            {[]string{"PMIX_RANK=1"}, true},
		"one that numbers no processes":           {[]string{"PMIX_NAMESPACE=x"}, true},
		"one that says how many and not which":    {[]string{"OMPI_COMM_WORLD_SIZE=2"}, true},
		"the only process, whatever its number":   {[]string{"OMPI_COMM_WORLD_SIZE=1"}, false},
		"a rank of two, which waits for rank 0":   {[]string{"OMPI_COMM_WORLD_SIZE=2", "OMPI_COMM_WORLD_RANK=1", "PMIX_NAMESPACE=1"}, false},
		"no launcher, and so no other that could": {nil, false},
	} {
		t.Run(name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "file") // so that nobody gets as far as building
			if err := os.WriteFile(file, nil, 0o600); err != nil {
				t.Fatal(err)
			}
			o := Options{Dir: filepath.Join(file, "folder"), Wait: time.Minute}
			s := command.Surroundings{Launcher: mpi.FindLauncher(testkit.Lookup(c.env...))}
			_, err := o.provide(t.Context(), s, target{form: importPath, name: "p", text: "./p"}, false)
			if err == nil || strings.Contains(err.Error(), "rankpool build") != c.refused {
				t.Errorf("%v", err)
			}
		})
	}
}
