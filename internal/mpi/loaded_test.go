//go:build mpi && linux && (amd64 || arm64)

package mpi_test

import (
	"debug/elf"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"unsafe"

	"github.com/rankpool/rankpool/internal/mpi"
	"github.com/rankpool/rankpool/internal/mpi/clib"
	"github.com/rankpool/rankpool/internal/mpi/mpitest"
)

// launchers are those that are installed.
func launchers(t *testing.T) (all []string) {
	for _, l := range []string{"openmpi", "mpich"} {
		if _, err := exec.LookPath("mpiexec." + l); err == nil {
			all = append(all, l)
		}
	}
	if len(all) == 0 {
		t.Skip("no MPI to run under: there is no mpiexec.openmpi and no mpiexec.mpich on the path; install openmpi-bin or mpich (make deps)")
	}
	return all
}

func other(launcher string) string {
	return map[string]string{"openmpi": "mpich", "mpich": "openmpi"}[launcher]
}

func TestAProgramThatDoesNotImportEmpiIsLinkedWithNoMPI(t *testing.T) {
	if libs, err := mpitest.Libraries(must(os.Executable())(t)); err != nil || len(libs) > 0 {
		t.Errorf("linked with %q (%v)", libs, err)
	}
}

// What such a program needs of the system is in any glibc: it runs on older systems than it was built on.
func TestAProgramThatIsBuiltWithoutCgoAsksForNoVersionOfGlibc(t *testing.T) {
	if cgo {
		t.Skip("this program is built with cgo, and runs where glibc is not older than here; with CGO_ENABLED=0 this test is run")
	}
	f := must(elf.Open(must(os.Executable())(t)))(t)
	defer f.Close()
	for _, s := range must(f.ImportedSymbols())(t) {
		if s.Version != "" {
			t.Errorf("asks for %s of version %s of %s", s.Name, s.Version, s.Library)
		}
	}
}

func TestTheSameFileRunsUnderEveryLauncherWithTheLibraryOfEach(t *testing.T) {
	if mpitest.InRank() {
		env, err := mpi.Init(mpi.Options{})
		if err != nil {
			t.Fatal(err)
		}
		if w := must(mpi.World())(t); w.Size() != 2 {
			t.Errorf("a world of %d", w.Size())
		}
		t.Logf("family=%s chosen=%s", env.Family, env.Chosen)
		if err := mpi.Finalize(within(t)); err != nil {
			t.Fatal(err)
		}
		return
	}
	for _, l := range launchers(t) {
		r, err := mpitest.Run(t.Context(), mpitest.Job{
			Ranks: 2, Launcher: l, Env: []string{noStart + "=1"}, Args: []string{"-test.v", "-test.run=^" + t.Name() + "$"},
		})
		want := "family=" + map[string]string{"openmpi": "Open MPI", "mpich": "MPICH"}[l]
		if err != nil || r.Code != 0 || strings.Count(r.Output, want) != 2 {
			t.Errorf("%s: %v, status %d:\n%s", l, err, r.Code, r.Output)
		}
		t.Log("\n" + r.Output)
	}
}

// Whoever is sure of a program tells the library so. Open MPI ends the process then where a rank is none of the communicator's.
func TestALibraryThatChecksNoArgumentsIsTaken(t *testing.T) {
	if mpitest.InRank() {
		if _, err := mpi.Init(mpi.Options{}); err != nil {
			t.Fatal(err)
		}
		if err := mpi.Finalize(within(t)); err != nil {
			t.Fatal(err)
		}
		return
	}
	for _, l := range launchers(t) {
		r, err := mpitest.Run(t.Context(), mpitest.Job{
			Ranks: 2, Launcher: l, Env: []string{noStart + "=1", "OMPI_MCA_mpi_param_check=0", "MPIR_CVAR_ERROR_CHECKING=0"},
			Args: []string{"-test.v", "-test.run=^" + t.Name() + "$"},
		})
		if err != nil || r.Code != 0 {
			t.Errorf("%s: %v, status %d:\n%s", l, err, r.Code, r.Output)
		}
	}
}

func TestALibraryThatIsNotItsLaunchersIsRefusedWithTheRightStart(t *testing.T) {
	if mpitest.InRank() {
		isRefused(t)
		return
	}
	if len(launchers(t)) < 2 {
		t.Skip("the other MPI's library is missing: install both openmpi-bin and mpich (make deps)")
	}
	for _, l := range launchers(t) {
		r, err := mpitest.Run(t.Context(), mpitest.Job{
			Ranks: 2, Launcher: l, Env: []string{noStart + "=1", "RANKPOOL_MPI=" + other(l)}, Args: []string{"-test.v", "-test.run=^" + t.Name() + "$"},
		})
		want, saying := "is in a world of 1: start it with", 2
		if r.EndedInInit() {
			want, saying = "if MPI_Init fails now, start it with", 1
		}
		if err != nil || r.EndedInInit() != (r.Code != 0) || strings.Count(r.Output, want) != saying || strings.Count(r.Output, "unset RANKPOOL_MPI") < saying {
			t.Errorf("%s: %v, status %d:\n%s", l, err, r.Code, r.Output)
		}
		t.Log("\n" + r.Output)
	}
}

// failedInit runs a rank whose RANKPOOL_MPI is value, and returns what Init has said.
func failedInit(t *testing.T, value string, env ...string) string {
	t.Helper()
	r, err := mpitest.Run(t.Context(), mpitest.Job{
		Ranks: 2, Env: append(env, noStart+"=1", "RANKPOOL_MPI="+value), Args: []string{"-test.v", "-test.run=^TestInitSaysWhyItFails$"},
	})
	if err != nil || r.Code != 0 || strings.Count(r.Output, "init failed: ") != 2 {
		t.Errorf("%s: %v, status %d:\n%s", value, err, r.Code, r.Output)
	}
	return r.Output
}

// TestInitSaysWhyItFails is the rank of failedInit.
func TestInitSaysWhyItFails(t *testing.T) {
	if !mpitest.InRank() {
		t.Skip("it is no test of its own but the rank of others, which start it")
	}
	_, err := mpi.Init(mpi.Options{})
	if err == nil {
		t.Fatal("no error")
	}
	t.Logf("init failed: %v", err)
	if _, again := mpi.Init(mpi.Options{}); again == nil || mpi.Started() {
		t.Error("a second Init succeeds")
	}
}

func TestAFileThatCannotBeTheLibraryIsAnErrorThatSaysWhatItIs(t *testing.T) {
	dir := t.TempDir()
	text := filepath.Join(dir, "libmpi.so.12")
	if err := os.WriteFile(text, []byte("#!/bin/sh\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	libc := ""
	for _, pattern := range []string{"/lib/*-linux-gnu/libz.so.1", "/usr/lib64/libz.so.1", "/lib/*-linux-gnu/libm.so.6", "/lib64/libm.so.6"} {
		if found, _ := filepath.Glob(pattern); len(found) > 0 {
			libc = found[0]
			break
		}
	}
	narrow := filepath.Join(dir, "narrow.so")
	header := must(os.ReadFile(must(os.Executable())(t)))(t)[:0x34]
	header[elf.EI_CLASS], header[0x10] = byte(elf.ELFCLASS32), byte(elf.ET_DYN)
	header[0x12], header[0x13] = byte(elf.EM_386), 0
	copy(header[0x1c:], make([]byte, 0x34-0x1c))
	if err := os.WriteFile(narrow, header, 0o700); err != nil {
		t.Fatal(err)
	}
	for value, want := range map[string]string{
		text:                     "it is no shared library of this system",
		"/nowhere/libmpi.so.40":  "no such file or directory",
		narrow:                   "it is for programs of 32 bits (EM_386), and this one has 64",
		libc:                     "it is no MPI library: it has no MPI_Init_thread",
		"libnothing_mpi.so.12":   "not there",
		"lam":                    "is neither a path nor one of openmpi, mpich, abi",
		must(os.Executable())(t): "cannot be used",
	} {
		if value == "" {
			continue
		}
		if said := failedInit(t, value); !strings.Contains(said, want) || !strings.Contains(said, value) {
			t.Errorf("%s: want %q, got\n%s", value, want, said)
		}
	}
}

// An MPI that is older than 3.0, or not whole.
func TestALibraryThatLacksFunctionsIsAnErrorThatNamesThem(t *testing.T) {
	library := compiled(t, "libmpi.so.12", "int MPI_Init_thread(void) { return 0; }\nint MPI_Isend(void) { return 0; }\n")
	if said := failedInit(t, library); !strings.Contains(said, "it lacks MPI_Abort, ") || strings.Contains(said, "MPI_Isend,") {
		t.Error(said)
	}
}

func TestWhereThereIsNoMPIEveryRankSaysWhatWasLookedFor(t *testing.T) {
	if there, _ := filepath.Glob("/usr/lib/*/libmpi_abi*"); len(there) > 0 {
		t.Skip("it is about the interface of which nothing is installed, and here is a libmpi_abi:", there)
	}
	said := failedInit(t, "abi")
	for _, want := range []string{
		"found no library of MPI 5's standard interface for ", "RANKPOOL_MPI=/path/to/libmpi.so", "in the process already: none",
		"libmpi_abi.so.1 (the system's search path): not there",
	} {
		if !strings.Contains(said, want) {
			t.Errorf("want %q, got\n%s", want, said)
		}
	}
}

// atExit has libc call one of its own functions, with one argument, at the end of this process.
func atExit(t *testing.T, function string, argument uintptr) {
	t.Helper()
	all := clib.Process()
	register, f := all.Symbol("__cxa_atexit"), all.Symbol(function)
	if register == 0 || f == 0 || clib.Do(register, f, argument, 0) != 0 {
		t.Fatal("libc takes no handler")
	}
}

var words = []byte("a handler ran\x00")

func TestAfterFinalizeLibcsHandlersRunAndOneThatHangsIsGivenUp(t *testing.T) {
	if mpitest.InRank() {
		if _, err := mpi.Init(mpi.Options{}); err != nil {
			t.Fatal(err)
		}
		status := 0
		if os.Getenv("RANKPOOL_TEST_HANG") != "" {
			atExit(t, "sleep", 1000)
			status = 3
		}
		atExit(t, "puts", uintptr(unsafe.Pointer(&words[0])))
		if err := mpi.Finalize(within(t)); err != nil {
			t.Fatal(err)
		}
		mpi.Exit(status)
	}
	for _, l := range launchers(t) {
		for hang, status := range map[string]int{"": 0, "1": 3} { // after another status than 0 launchers kill the other ranks
			r, err := mpitest.Run(t.Context(), mpitest.Job{
				Ranks: 2, Launcher: l, Env: []string{noStart + "=1", "RANKPOOL_TEST_HANG=" + hang}, Args: []string{"-test.v", "-test.run=^" + t.Name() + "$"},
			})
			// What puts has written is flushed behind the handlers, so where one hangs it is not there.
			lost := hang != "" && r.Code == 0 && mpitest.VersionOf(l).LosesStatus()
			if err != nil || r.Code != status && !lost || r.Expired || hang == "" && strings.Count(r.Output, "a handler ran") != 2 {
				t.Errorf("%s, hangs %q: %v, status %d:\n%s", l, hang, err, r.Code, r.Output)
			}
		}
	}
}
