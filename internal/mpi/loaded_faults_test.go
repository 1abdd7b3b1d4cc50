//go:build mpi && linux && (amd64 || arm64)

package mpi_test

import (
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/rankpool/rankpool/internal/mpi"
	"github.com/rankpool/rankpool/internal/mpi/mpitest"
	"github.com/rankpool/rankpool/internal/testkit"
)

// compiled compiles C into a shared library, linked with others.
func compiled(t *testing.T, name, source string, with ...string) string {
	t.Helper()
	compiler := testkit.Compiler(t, "a strange library")
	dir := t.TempDir()
	text, library := filepath.Join(dir, "mpi.c"), filepath.Join(dir, name)
	if err := os.WriteFile(text, []byte(source), 0o600); err != nil {
		t.Fatal(err)
	}
	args := append([]string{"-shared", "-fPIC", "-o", library, text, "-Wl,--no-as-needed"}, with...)
	if out, err := exec.Command(compiler[0], append(compiler[1:], args...)...).CombinedOutput(); err != nil {
		if len(with) > 0 {
			t.Skipf("cc does not find the library of an MPI whose launcher is there: install the development package, or make deps\n%s", out)
		}
		t.Fatalf("%v\n%s", err, out)
	}
	return library
}

// ofLauncher is the name of a launcher's library, to be linked with.
var ofLauncher = map[string]string{"openmpi": "-l:libmpi.so.40", "mpich": "-l:libmpich.so.12"}

// inFront compiles a library that stands in front of a launcher's own, as tools do that measure MPI.
func inFront(t *testing.T, launcher, source string) string {
	return compiled(t, "libfront.so", source, ofLauncher[launcher])
}

// ranks runs this test in ranks with variables of their own, which mpiexec has not.
func ranks(t *testing.T, launcher string, env ...string) mpitest.Result {
	t.Helper()
	r, err := mpitest.Run(t.Context(), mpitest.Job{
		Ranks: 2, Launcher: launcher, Program: "/usr/bin/env",
		Args: append(append([]string{noStart + "=1"}, env...), must(os.Executable())(t), "-test.v", "-test.run=^"+t.Name()+"$"),
	})
	if err != nil || r.Expired {
		t.Fatalf("%v, expired: %v\n%s", err, r.Expired, r.Report())
	}
	return r
}

func TestALibraryWithAnotherInterfaceIsAnErrorThatNamesIt(t *testing.T) {
	const one = "int MPI_Init_thread(void) { return 1; }\n"
	said := failedInit(t, compiled(t, "libmpi.so.12", one))
	// The error about a library with nothing names all that one needs.
	_, lacks, _ := strings.Cut(said, "it lacks ")
	lacks, _, _ = strings.Cut(lacks, ": MPI 3.0 or later")
	names := slices.DeleteFunc(strings.Split(lacks, ", "), func(name string) bool { return name == "MPI_Get_library_version" })
	if len(names) < 50 {
		t.Fatalf("%d functions are missing:\n%s", len(names), said)
	}
	var source strings.Builder
	source.WriteString(one + "#include <string.h>\nint MPI_Get_library_version(char *s, int *n) { *n = strlen(strcpy(s, \"LAM 7.1\\nold\")); return 0; }\n")
	for _, name := range names {
		fmt.Fprintf(&source, "int %s(void) { return 1; }\n", name)
	}
	said = failedInit(t, compiled(t, "libmpi.so.12", source.String()))
	if !strings.Contains(said, "its binary interface is neither MPICH's, nor Open MPI's, nor that of MPI 5: it is LAM 7.1") {
		t.Error(said)
	}
}

func TestALibraryWhoseInitFailsIsAnErrorWithItsWords(t *testing.T) {
	if mpitest.InRank() {
		TestInitSaysWhyItFails(t)
		return
	}
	for _, l := range launchers(t) {
		library := inFront(t, l, "int MPI_Init_thread(int *c, char ***v, int want, int *got) { return 12; }\n")
		r := ranks(t, l, "RANKPOOL_MPI="+library)
		if strings.Count(r.Output, "init failed: mpi: MPI_Init_thread: unknown error (the library's number 12; ") != 2 || r.Code != 0 {
			t.Errorf("%s: status %d\n%s", l, r.Code, r.Output)
		}
	}
}

// A launcher that is not known is one of those that are, without what they are known by.
func TestUnderALauncherThatIsNotKnownNoRankGoesOnAloneUntilTheLibraryIsNamed(t *testing.T) {
	if mpitest.InRank() {
		_, err := mpi.Init(mpi.Options{})
		if err != nil {
			t.Logf("init failed: %v", err)
			return
		}
		t.Logf("a world of %d", must(mpi.World())(t).Size())
		if err := mpi.Finalize(within(t)); err != nil {
			t.Fatal(err)
		}
		return
	}
	for _, l := range launchers(t) {
		for value, want := range map[string]string{"": "init failed: mpi: a launcher that is not known has started this process", "openmpi": "a world of 2", "mpich": "is in a world of 1: "} {
			if value != "" && l != "openmpi" || !slices.Contains(append(launchers(t), ""), value) { // MPICH's library needs what is taken away here
				continue
			}
			r, err := mpitest.Run(t.Context(), mpitest.Job{
				Ranks: 2, Launcher: l, Program: "/usr/bin/env", Args: []string{
					"-u", "OMPI_COMM_WORLD_SIZE", "-u", "OMPI_COMM_WORLD_RANK", "-u", "PMI_SIZE", noStart + "=1", "RANKPOOL_MPI=" + value,
					must(os.Executable())(t), "-test.v", "-test.run=^" + t.Name() + "$",
				},
			})
			if value == "mpich" && r.EndedInInit() {
				if r.Code == 0 {
					t.Errorf("%s, RANKPOOL_MPI=%s: status 0\n%s", l, value, r.Output)
				}
				continue
			}
			if err != nil || strings.Count(r.Output, want) != 2 {
				t.Errorf("%s, RANKPOOL_MPI=%s: %v, status %d\n%s", l, value, err, r.Code, r.Output)
			}
		}
	}
}

func TestALibraryThatGivesNoThreadsIsUsedByOneCallAtATime(t *testing.T) {
	if mpitest.InRank() {
		env, err := mpi.Init(mpi.Options{})
		if err != nil {
			t.Fatal(err)
		}
		w := must(mpi.World())(t)
		sum := []int64{0}
		if err := mpi.Allreduce(w, []int64{int64(w.Rank() + 1)}, sum, mpi.Sum); err != nil || sum[0] != 3 {
			t.Errorf("the sum is %d, %v", sum[0], err)
		}
		t.Logf("level=%v warnings=%q", env.Level, env.Warnings)
		if err := mpi.Finalize(within(t)); err != nil {
			t.Fatal(err)
		}
		return
	}
	for _, l := range launchers(t) {
		library := inFront(t, l, `
int PMPI_Init_thread(int *, char ***, int, int *);
int MPI_Init_thread(int *c, char ***v, int want, int *got) { int code = PMPI_Init_thread(c, v, 0, got); *got = 0; return code; }
int MPI_Query_thread(int *got) { *got = 0; return 0; }
`)
		r := ranks(t, l, "RANKPOOL_MPI="+library)
		said := regexp.MustCompile(`level=MPI_THREAD_SINGLE warnings=.*gave MPI_THREAD_SINGLE: calls are serialised`).FindAllString(r.Output, -1)
		if len(said) != 2 || r.Code != 0 {
			t.Errorf("%s: status %d\n%s", l, r.Code, r.Output)
		}
	}
}

// systemLibraries are the paths of the launchers' libraries.
func systemLibraries(t *testing.T) map[string]string {
	t.Helper()
	found := map[string]string{}
	for _, l := range launchers(t) {
		name := strings.TrimPrefix(ofLauncher[l], "-l:")
		for _, folder := range []string{"/usr/lib/*-linux-gnu", "/usr/lib64", "/usr/local/lib"} {
			if paths, _ := filepath.Glob(filepath.Join(folder, name)); len(paths) > 0 && found[l] == "" {
				found[l] = paths[0]
			}
		}
	}
	if len(found) < 2 {
		t.Skipf("two MPI libraries are needed in the usual places, and there are %d: install both openmpi-bin and mpich (make deps)", len(found))
	}
	return found
}

// Each would call functions of the other: their names are the same.
func TestTwoLibrariesInOneProcessAreAnErrorThatNamesBoth(t *testing.T) {
	if mpitest.InRank() {
		TestInitSaysWhyItFails(t)
		return
	}
	files := systemLibraries(t)
	for _, l := range launchers(t) {
		own, another := files[l], files[other(l)]
		for name, env := range map[string][]string{
			"both preloaded":               {"LD_PRELOAD=" + own + " " + another},
			"one preloaded, one asked for": {"LD_PRELOAD=" + another, "RANKPOOL_MPI=" + own},
		} {
			r := ranks(t, l, env...)
			told := 0
			for line := range strings.Lines(r.Output) {
				if strings.Contains(line, "two MPI libraries in one process") && strings.Contains(line, filepath.Dir(own)+"/libmpi.so.40") &&
					strings.Contains(line, filepath.Dir(own)+"/libmpich.so.12") {
					told++
				}
			}
			if told != 2 || r.Code != 0 {
				t.Errorf("%s, %s: %d of 2 ranks tell, status %d\n%s", l, name, told, r.Code, r.Output)
			}
		}
	}
}

// A tool that measures MPI comes by LD_PRELOAD, and stands in front of the library.
func TestALibraryThatIsPreloadedIsTaken(t *testing.T) {
	if mpitest.InRank() {
		env, err := mpi.Init(mpi.Options{})
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("size %d chosen=%s", must(mpi.World())(t).Size(), env.Chosen)
		if err := mpi.Finalize(within(t)); err != nil {
			t.Fatal(err)
		}
		return
	}
	files := systemLibraries(t)
	for _, l := range slices.Sorted(maps.Keys(files)) {
		tool := inFront(t, l, `
#include <unistd.h>
int PMPI_Init_thread(int *, char ***, int, int *);
int MPI_Init_thread(int *c, char ***v, int want, int *got) { (void)!write(2, "the tool is asked\n", 18); return PMPI_Init_thread(c, v, want, got); }
`)
		for _, preload := range []string{files[l], tool} {
			r := ranks(t, l, "LD_PRELOAD="+preload)
			taken := regexp.MustCompile(`size 2 chosen=`+regexp.QuoteMeta(filepath.Dir(preload))+`/lib\S+ \(in the process already\)`).FindAllString(r.Output, -1)
			if asked := strings.Count(r.Output, "the tool is asked"); len(taken) != 2 || r.Code != 0 || preload == tool && asked != 2 {
				t.Errorf("%s, LD_PRELOAD=%s: status %d\n%s", l, preload, r.Code, r.Output)
			}
		}
	}
}

func TestALibraryOnAFileSystemThatIsMountedNoexecIsAnErrorThatSaysSo(t *testing.T) {
	if mpitest.InRank() {
		TestInitSaysWhyItFails(t)
		return
	}
	dir := t.TempDir()
	const mount = `mount -t tmpfs -o noexec none "$0" && cp "$1" "$0/libmpi.so.12" && shift && exec "$@"`
	if out, err := exec.Command("unshare", "-m", "sh", "-c", `mount -t tmpfs -o noexec none "$0"`, dir).CombinedOutput(); err != nil {
		t.Skipf("nothing can be mounted: %v %s; be root", err, out)
	}
	library := compiled(t, "libmpi.so.12", "int MPI_Init_thread(void) { return 1; }\n")
	for _, l := range launchers(t) {
		r, err := mpitest.Run(t.Context(), mpitest.Job{
			Ranks: 2, Launcher: l, Prefix: []string{"unshare", "-m", "sh", "-c", mount, dir, library},
			Env: []string{noStart + "=1", "RANKPOOL_MPI=" + dir + "/libmpi.so.12"}, Args: []string{"-test.v", "-test.run=^" + t.Name() + "$"},
		})
		if err != nil || r.Code != 0 || strings.Count(r.Output, "its file system is mounted noexec, or memory is short") != 2 {
			t.Errorf("%s: %v, status %d\n%s", l, err, r.Code, r.Output)
		}
	}
}

func TestUnderTheLoaderOfMuslTheErrorNamesIt(t *testing.T) {
	if mpitest.InRank() {
		return
	}
	loaders, _ := filepath.Glob("/lib/ld-musl-*.so.1")
	if len(loaders) == 0 {
		t.Skip("there is no /lib/ld-musl-*.so.1: install musl (apt-get install musl)")
	}
	cmd := exec.Command(loaders[0], must(os.Executable())(t), "-test.v", "-test.run=^TestInitSaysWhyItFails$")
	cmd.Env = append(os.Environ(), "MPITEST_LAUNCH=musl", noStart+"=1")
	out, err := cmd.CombinedOutput()
	if err != nil || !regexp.MustCompile(`the C library of this process is \S*musl\S* and not glibc`).Match(out) {
		t.Errorf("%v\n%s", err, out)
	}
}
