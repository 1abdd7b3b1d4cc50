package find_test

import (
	"errors"
	"fmt"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/rankpool/rankpool/internal/mpi/abi"
	"github.com/rankpool/rankpool/internal/mpi/find"
)

// script is a system of which everything is said.
type script struct {
	env     []string          // NAME=value
	files   []string          // libraries that are there
	links   map[string]string // to what they point
	mpiexec string            // the one on the path
	parents []string
}

func (s script) system() find.System {
	return find.System{
		Lookup: func(name string) (string, bool) {
			for _, e := range s.env {
				if k, v, _ := strings.Cut(e, "="); k == name {
					return v, true
				}
			}
			return "", false
		},
		Glob: func(pattern string) (found []string) {
			for _, f := range s.files {
				if ok, _ := filepath.Match(pattern, f); ok {
					found = append(found, f)
				}
			}
			slices.Sort(found)
			return found
		},
		Real: func(path string) string {
			if to := s.links[path]; to != "" {
				return to
			}
			return path
		},
		OnPath:  func(string) string { return s.mpiexec },
		Parents: s.parents,
	}
}

var (
	hydra   = find.Launcher{Name: "MPICH's mpiexec", Fits: abi.MPICH}
	orte    = find.Launcher{Name: "Open MPI's mpiexec", Fits: abi.OpenMPI}
	pmix    = find.Launcher{Name: "srun --mpi=pmix", Speaks: abi.OpenMPI}
	pmi2    = find.Launcher{Name: "srun --mpi=pmi2", Speaks: abi.MPICH}
	unknown = find.Launcher{Name: "a launcher that is not known", Strange: "PMIX_RANK"}
)

// debian has both families in one folder, and their launchers in another.
var debian = []string{
	"/usr/lib/x86_64-linux-gnu/libmpi.so.40", "/usr/lib/x86_64-linux-gnu/libmpich.so.12", "/usr/lib/x86_64-linux-gnu/libmpi_abi.so.1",
}

func TestTheLibraryIsLookedForInTheOrderThatTheDocumentationSays(t *testing.T) {
	const search = " (the system's search path)"
	for name, c := range map[string]struct {
		script   script
		launcher find.Launcher
		want     []string
	}{
		"a path": {script{env: []string{"RANKPOOL_MPI=/opt/x/libmpi.so"}, files: debian}, hydra, []string{"/opt/x/libmpi.so (RANKPOOL_MPI)"}},
		"a file": {script{env: []string{"RANKPOOL_MPI=libmpi.so.12"}, files: debian}, orte, []string{"libmpi.so.12 (RANKPOOL_MPI)"}},
		"a family, whatever the launcher": {script{env: []string{"RANKPOOL_MPI=MPICH"}}, orte, []string{
			"in the process already", "libmpi.so.12" + search, "libmpich.so.12" + search,
		}},
		"the standard interface": {script{env: []string{"RANKPOOL_MPI=abi"}, files: debian}, hydra, []string{
			"in the process already", "libmpi_abi.so.1" + search, "/usr/lib/x86_64-linux-gnu/libmpi_abi.so.1 (a usual place)",
		}},
		"Debian's MPICH": {script{parents: []string{"/bin/sh", "/usr/bin/hydra_pmi_proxy", "/usr/bin/mpiexec.hydra"}, files: debian}, hydra, []string{
			"in the process already",
			"/usr/lib/x86_64-linux-gnu/libmpich.so.12 (beside /usr/bin/hydra_pmi_proxy)",
			"/usr/lib/x86_64-linux-gnu/libmpi_abi.so.1 (beside /usr/bin/hydra_pmi_proxy)",
			"libmpi.so.12" + search, "libmpich.so.12" + search, "libmpi_abi.so.1" + search,
		}},
		"an Open MPI of one's own beside the system's": {script{
			parents: []string{"/home/me/ompi/bin/orted"}, files: append([]string{"/home/me/ompi/lib/libmpi.so.40"}, debian...),
		}, orte, []string{
			"in the process already", "/home/me/ompi/lib/libmpi.so.40 (beside /home/me/ompi/bin/orted)", "libmpi.so.40" + search, "libmpi_abi.so.1" + search,
			"/usr/lib/x86_64-linux-gnu/libmpi.so.40 (a usual place)", "/usr/lib/x86_64-linux-gnu/libmpi_abi.so.1 (a usual place)",
		}},
		"Open MPI 5 tells its folder": {script{
			env: []string{"OMPI_LIBDIR_LOC=/opt/ompi5/lib"}, parents: []string{"/opt/prrte/bin/prted"}, files: []string{"/opt/ompi5/lib/libmpi.so.40", "/opt/prrte/lib/libprrte.so.3"},
		}, orte, []string{
			"in the process already", "/opt/ompi5/lib/libmpi.so.40 (OMPI_LIBDIR_LOC)", "libmpi.so.40" + search, "libmpi_abi.so.1" + search,
		}},
		"an Open MPI that was moved": {script{env: []string{"OPAL_PREFIX=/sw/ompi"}, files: []string{"/sw/ompi/lib64/libmpi.so.40"}}, orte, []string{
			"in the process already", "/sw/ompi/lib64/libmpi.so.40 (OPAL_PREFIX)", "libmpi.so.40" + search, "libmpi_abi.so.1" + search,
		}},
		"Intel MPI": {script{
			env: []string{"I_MPI_ROOT=/opt/intel/oneapi/mpi/2021.14"}, parents: []string{"/opt/intel/oneapi/mpi/2021.14/bin/hydra_pmi_proxy"},
			files: []string{"/opt/intel/oneapi/mpi/2021.14/lib/libmpi.so.12"},
		}, hydra, []string{
			"in the process already", "/opt/intel/oneapi/mpi/2021.14/lib/libmpi.so.12 (I_MPI_ROOT)", "libmpi.so.12" + search, "libmpich.so.12" + search, "libmpi_abi.so.1" + search,
		}},
		"Cray's library with MPICH's interface": {script{
			env: []string{"MPICH_DIR=/opt/cray/pe/mpich/8.1/ofi/gnu/9.1"}, files: []string{"/opt/cray/pe/mpich/8.1/ofi/gnu/9.1/lib-abi-mpich/libmpi.so.12"},
		}, pmi2, []string{
			"in the process already", "libmpi.so.12" + search, "libmpich.so.12" + search,
			"/opt/cray/pe/mpich/8.1/ofi/gnu/9.1/lib-abi-mpich/libmpi.so.12 (MPICH_DIR)", "libmpi.so.40" + search, "libmpi_abi.so.1" + search,
		}},
		"Slurm with PMI, and Open MPI's mpiexec on the path": {script{
			mpiexec: "/usr/bin/mpiexec", links: map[string]string{"/usr/bin/mpiexec": "/usr/bin/orterun"}, files: debian[:2],
		}, pmi2, []string{
			"in the process already", "libmpi.so.12" + search, "libmpich.so.12" + search, "/usr/lib/x86_64-linux-gnu/libmpich.so.12 (a usual place)",
			"/usr/lib/x86_64-linux-gnu/libmpi.so.40 (beside /usr/bin/orterun)", "libmpi.so.40" + search, "libmpi_abi.so.1" + search,
		}},
		"Slurm with PMIx, and MPICH's mpiexec on the path": {script{
			mpiexec: "/usr/bin/mpiexec", links: map[string]string{"/usr/bin/mpiexec": "/usr/bin/mpiexec.hydra"}, files: debian[:2],
		}, pmix, []string{
			"in the process already", "libmpi.so.40" + search, "/usr/lib/x86_64-linux-gnu/libmpi.so.40 (a usual place)",
			"/usr/lib/x86_64-linux-gnu/libmpich.so.12 (beside /usr/bin/mpiexec.hydra)", "libmpi.so.12" + search, "libmpich.so.12" + search, "libmpi_abi.so.1" + search,
		}},
		"Red Hat's, whose folder is in no search path": {script{files: []string{"/usr/lib64/openmpi/lib/libmpi.so.40"}}, orte, []string{
			"in the process already", "libmpi.so.40" + search, "libmpi_abi.so.1" + search, "/usr/lib64/openmpi/lib/libmpi.so.40 (a usual place)",
		}},
		"Slurm with PMIx: Open MPI's first": {script{}, pmix, []string{
			"in the process already", "libmpi.so.40" + search, "libmpi.so.12" + search, "libmpich.so.12" + search, "libmpi_abi.so.1" + search,
		}},
		"a launcher that is not known": {script{parents: []string{"/opt/x/bin/launch"}, files: debian, mpiexec: "/usr/bin/mpiexec.hydra"}, unknown, []string{"in the process already"}},
		"a launcher that is not known, and a family": {script{env: []string{"RANKPOOL_MPI=openmpi"}, files: debian}, unknown, []string{
			"in the process already", "libmpi.so.40" + search, "/usr/lib/x86_64-linux-gnu/libmpi.so.40 (a usual place)",
		}},
		"a launcher that is not known, and a path": {script{env: []string{"RANKPOOL_MPI=/opt/x/libmpi.so"}, files: debian}, unknown, []string{"/opt/x/libmpi.so (RANKPOOL_MPI)"}},
		"alone: the family of the mpiexec on the path": {script{
			mpiexec: "/usr/bin/mpiexec", links: map[string]string{"/usr/bin/mpiexec": "/usr/bin/mpiexec.hydra"}, files: debian[:2],
		}, find.Launcher{}, []string{
			"in the process already", "/usr/lib/x86_64-linux-gnu/libmpich.so.12 (beside /usr/bin/mpiexec.hydra)", "libmpi.so.12" + search, "libmpich.so.12" + search,
			"libmpi.so.40" + search, "libmpi_abi.so.1" + search, "/usr/lib/x86_64-linux-gnu/libmpi.so.40 (a usual place)",
		}},
		"a launcher on the path is not asked where another one is the parent": {script{
			mpiexec: "/opt/other/bin/mpiexec", parents: []string{"/usr/bin/orterun"}, files: []string{"/opt/other/lib/libmpi.so.40"},
		}, orte, []string{"in the process already", "libmpi.so.40" + search, "libmpi_abi.so.1" + search}},
		"a parent whose name only contains that of a launcher": {script{
			mpiexec: "/opt/mpich/bin/mpiexec.hydra", parents: []string{"/opt/tools/bin/node_exporter", "/opt/tools/bin/prune"},
			files: []string{"/opt/mpich/lib/libmpich.so.12", "/opt/tools/lib/libmpi.so.40"},
		}, hydra, []string{
			"in the process already", "/opt/mpich/lib/libmpich.so.12 (beside /opt/mpich/bin/mpiexec.hydra)", "libmpi.so.12" + search, "libmpich.so.12" + search,
			"libmpi_abi.so.1" + search,
		}},
		"one file by two names is tried once": {script{
			env: []string{"MPI_HOME=/sw/mpi"}, files: []string{"/sw/mpi/lib/libmpi.so.40", "/usr/local/lib/libmpi.so.40"},
			links: map[string]string{"/sw/mpi/lib/libmpi.so.40": "/usr/local/lib/libmpi.so.40.30.4", "/usr/local/lib/libmpi.so.40": "/usr/local/lib/libmpi.so.40.30.4"},
		}, orte, []string{
			"in the process already", "libmpi.so.40" + search, "libmpi_abi.so.1" + search, "/sw/mpi/lib/libmpi.so.40 (MPI_HOME)",
		}},
	} {
		t.Run(name, func(t *testing.T) {
			candidates, err := find.Candidates(c.script.system(), c.launcher)
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, one := range candidates {
				got = append(got, one.String())
			}
			if d := cmp.Diff(c.want, got); d != "" {
				t.Error(d)
			}
		})
	}
}

func TestAValueThatIsNeitherPathNorFamilyIsAnError(t *testing.T) {
	_, err := find.Candidates(script{env: []string{"RANKPOOL_MPI=lam"}}.system(), hydra)
	if err == nil || !strings.Contains(err.Error(), `RANKPOOL_MPI="lam" is neither a path nor one of openmpi, mpich, abi`) {
		t.Errorf("%v", err)
	}
}

func TestTheFirstLibraryThatWorksIsTakenAndTheReportTellsTheRest(t *testing.T) {
	candidates, err := find.Candidates(script{}.system(), hydra)
	if err != nil {
		t.Fatal(err)
	}
	var tried []string
	try := func(works string) (find.Choice, error) {
		tried = nil
		return find.Try(candidates, hydra, func(c find.Candidate) error {
			tried = append(tried, c.Name)
			switch c.Name {
			case works:
				return nil
			case "":
				return find.ErrNone
			}
			return errors.New("not there")
		})
	}
	choice, err := try("libmpich.so.12")
	if c, found := choice.Found(); err != nil || !found || c.Name != "libmpich.so.12" || c.Want != abi.MPICH {
		t.Errorf("%+v, %v", c, err)
	}
	if d := cmp.Diff([]string{"", "libmpi.so.12", "libmpich.so.12"}, tried); d != "" {
		t.Error(d)
	}
	choice, err = try("nothing")
	if _, found := choice.Found(); found || err == nil {
		t.Fatalf("found, %v", err)
	}
	const want = "mpi: found no library of MPICH for MPICH's mpiexec: install it or load its module, on this host, or name its libmpi by " +
		"RANKPOOL_MPI=/path/to/libmpi.so; looked for in the process already: none; libmpi.so.12 (the system's search path): not there; " +
		"libmpich.so.12 (the system's search path): not there; libmpi_abi.so.1 (the system's search path): not there"
	if d := cmp.Diff(want, err.Error()); d != "" {
		t.Error(d)
	}
}

func TestUnderALauncherThatIsNotKnownTheErrorAsksForTheLibrary(t *testing.T) {
	candidates, err := find.Candidates(script{files: debian}.system(), unknown)
	if err != nil {
		t.Fatal(err)
	}
	_, err = find.Try(candidates, unknown, func(find.Candidate) error { return find.ErrNone })
	for _, want := range []string{
		"a launcher that is not known has started this process, as PMIX_RANK shows", "RANKPOOL_MPI=openmpi, mpich or abi", "RANKPOOL_MPI=/path/to/libmpi.so",
		"unset PMIX_RANK", "looked for OMPI_COMM_WORLD_SIZE", "PMI_SIZE", "SLURM_STEP_ID", "in the process already: none",
	} {
		if text := fmt.Sprint(err); !strings.Contains(text, want) {
			t.Errorf("there is no %q in: %s", want, text)
		}
	}
}

// Two libraries in one process mix their symbols.
func TestNothingIsLoadedBesideALibraryThatIsInTheProcess(t *testing.T) {
	candidates, err := find.Candidates(script{files: debian}.system(), orte)
	if err != nil {
		t.Fatal(err)
	}
	broken := errors.New("it lacks MPI_Improbe")
	choice, err := find.Try(candidates, orte, func(find.Candidate) error { return broken })
	if !errors.Is(err, broken) || len(choice.Steps) != 1 || !strings.Contains(err.Error(), "in this process already") {
		t.Errorf("%d steps, %v", len(choice.Steps), err)
	}
}

func TestALibraryThatTheUserNamesIsTheOnlyOneAndTheErrorIsAboutIt(t *testing.T) {
	candidates, err := find.Candidates(script{env: []string{"RANKPOOL_MPI=/opt/libmpi.so"}, files: debian}.system(), orte)
	if err != nil {
		t.Fatal(err)
	}
	_, err = find.Try(candidates, orte, func(find.Candidate) error { return errors.New("it is for programs of 32 bits") })
	const want = "mpi: RANKPOOL_MPI=/opt/libmpi.so cannot be used: it is for programs of 32 bits; name the libmpi of the MPI whose mpiexec starts " +
		"the program, or unset it to have one looked for"
	if err == nil || err.Error() != want {
		t.Errorf("%v", err)
	}
}

func TestThisSystemHasParentsAndAPath(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("only Linux shows the parents")
	}
	s := find.Here()
	if len(s.Parents) == 0 || !strings.HasPrefix(s.Parents[0], "/") {
		t.Errorf("parents are %q", s.Parents)
	}
	if sh := s.OnPath("sh"); sh == "" || s.Real(sh) == "" {
		t.Errorf("sh is at %q", sh)
	}
	if s.OnPath("no-such-program-anywhere") != "" {
		t.Error("a program that is nowhere is found")
	}
}
