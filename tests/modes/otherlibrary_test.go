//go:build unix

package modes_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/rankpool/rankpool/internal/mpi/mpitest"
	"github.com/rankpool/rankpool/internal/testkit"
)

// A module that is loaded on one host only, or a RANKPOOL_MPI that not all ranks have. Libraries of one family find each other
// at the start, and may go wrong at any time from then on.
func TestARankWithAnotherVersionOfTheLibraryThanItsMasterBreaksThePoolAndBothAreNamed(t *testing.T) {
	t.Parallel()
	needsMPI(t)
	if runtime.GOOS != "linux" {
		t.Skip("the library of another version that this test compiles is one for Linux")
	}
	compiler := testkit.Compiler(t, "a library of another version")
	dir := t.TempDir()
	source, other := filepath.Join(dir, "mpi.c"), filepath.Join(dir, "libother.so")
	version := map[string]string{"openmpi": "Open MPI v9.8.7, package: another", "mpich": "MPICH Version:      9.8.7\\nMPICH Release date: never"}[library]
	code := "#include <string.h>\nint MPI_Get_library_version(char *s, int *n) { *n = strlen(strcpy(s, \"" + version + "\")); return 0; }\n"
	if err := os.WriteFile(source, []byte(code), 0o600); err != nil {
		t.Fatal(err)
	}
	own := map[string]string{"openmpi": "-l:libmpi.so.40", "mpich": "-l:libmpich.so.12"}[library]
	if out, err := exec.Command(compiler[0], append(compiler[1:], "-shared", "-fPIC", "-o", other, source, "-Wl,--no-as-needed", own)...).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	programs := testkit.Programs{Dir: t.TempDir(), Tags: "mpi", NoCgo: true}
	program := programs.Build(t, examples+"hello")
	script := "#!/bin/sh\n[ \"$OMPI_COMM_WORLD_RANK$PMI_RANK\" != 1 ] || export RANKPOOL_MPI='" + other + "'\nexec '" + program + "'\n"
	start := filepath.Join(dir, "start") // one program, for not every mpiexec can start two in one job
	if err := os.WriteFile(start, []byte(script), 0o700); err != nil {
		t.Fatal(err)
	}
	r, err := mpitest.Run(t.Context(), mpitest.Job{Ranks: 2, Program: start, Launcher: library, Limit: limit})
	if err != nil || r.Expired || r.Code == 0 {
		t.Fatalf("%v, expired: %v, status %d:\n%s", err, r.Expired, r.Code, r.Report())
	}
	want := map[string]string{"openmpi": "Open MPI v9.8.7", "mpich": "MPICH Version: 9.8.7"}[library]
	if !strings.Contains(r.Output, "uses another MPI library: master ") || !strings.Contains(r.Output, "worker "+want+"; load the same module") {
		t.Errorf("%s", r.Output)
	}
}
