package findmpi

import (
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/rankpool/rankpool/internal/mpi"
)

func TestOnlyFlagsThatFindTheLibraryAreKept(t *testing.T) {
	for line, want := range map[string][2][]string{
		"gcc -Wl,-z,relro -I/usr/include/mpich -L/usr/lib -lmpich": {{"-I/usr/include/mpich"}, {"-L/usr/lib", "-lmpich"}},
		"icc -I /opt/a -D X=1 -O3 -march=native -pthread":          {{"-I/opt/a", "-DX=1", "-pthread"}, {"-pthread"}},
		"cc -L /opt/lib -l mpi -Wl,-rpath -Wl,/opt/lib":            {nil, {"-L/opt/lib", "-lmpi", "-Wl,-rpath,/opt/lib"}},
		"cc -Xlinker -rpath -Xlinker /opt/lib -Xlinker --enable-new-dtags -lmpi": {
			nil, {"-Wl,-rpath,/opt/lib", "-lmpi"},
		},
		"cc -Wl,-rpath,/a -Wl,-rpath=/b /opt/lib/libmpi.so.12 /opt/libx.a x.o": {
			nil, {"-Wl,-rpath,/a", "-Wl,-rpath=/b", "/opt/lib/libmpi.so.12", "/opt/libx.a"},
		},
	} {
		words := strings.Fields(line)
		if d := cmp.Diff(want, [2][]string{compileFlags(words), linkFlags(words)}); d != "" {
			t.Errorf("%s:\n%s", line, d)
		}
	}
}

func TestEachLibraryHasADefineOfItsOwn(t *testing.T) {
	a := &Settings{Family: mpi.MPICH, Link: []string{"-L/a"}}
	b := &Settings{Family: mpi.MPICH, Link: []string{"-L/b"}}
	if a.Identity() == b.Identity() {
		t.Error("two libraries have one define")
	}
	t.Setenv("CGO_CFLAGS", "-O1 -DRANKPOOL_OPENMPI -DRANKPOOL_FLAGS_12")
	env, err := a.Environment(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	want := "CGO_CFLAGS=-O1 -DRANKPOOL_FLAGS_" + a.Identity() + " -DRANKPOOL_MPICH"
	if env[2] != want {
		t.Errorf("got %s, want %s", env[2], want)
	}
}

func TestTheScriptAnswersForMPIAndLeavesTheRestToPkgConfig(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("it is for sh")
	}
	s := &Settings{Compile: []string{"-I/with space"}, Link: []string{"-L/it's", "-lmpi"}}
	dir := t.TempDir()
	other := dir + "/other"
	if err := os.WriteFile(other, []byte("#!/bin/sh\necho \"other: $*\"\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PKG_CONFIG", other)
	env, err := s.Environment(dir)
	if err != nil {
		t.Fatal(err)
	}
	tool := strings.TrimPrefix(env[0], "PKG_CONFIG=")
	for args, want := range map[string]string{
		"--cflags -- ompi":        `-I/with\ space`,
		"--libs -- ompi":          `-L/it\'s -lmpi`,
		"--cflags --libs ompi":    `-I/with\ space -L/it\'s -lmpi`,
		"--cflags -- libpng":      "other: --cflags -- libpng",
		"--cflags -- ompi libpng": "other: --cflags -- ompi libpng",
	} {
		out, err := exec.Command(tool, strings.Fields(args)...).Output()
		if got := strings.TrimSuffix(string(out), "\n"); err != nil || got != want {
			t.Errorf("%s: %q, %v, want %q", args, got, err, want)
		}
	}
}

func TestAMissingMPIIsAnErrorThatListsWhatWasTried(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	t.Setenv("MPICC", "")
	t.Setenv("PKG_CONFIG", "")
	_, err := FindSettings(t.Context(), mpi.MPICH, Automatic)
	for _, want := range []string{"no MPICH to link with", "mpicc: not on the path", "mpicc.mpich: not on the path", "pkg-config mpich", "MPICC"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("no %q in: %v", want, err)
		}
	}
}
