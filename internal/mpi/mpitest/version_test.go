//go:build unix

package mpitest

import "testing"

func TestTheVersionOfALauncherIsReadFromItsOwnWords(t *testing.T) {
	for text, want := range map[string]Version{
		"mpiexec.openmpi (OpenRTE) 4.1.4\n\nReport bugs to http://www.open-mpi.org/community/help/\n":   {"x", 4, 1},
		"mpiexec.openmpi (Open MPI) 5.0.7\n\nReport bugs to https://www.open-mpi.org/community/help/\n": {"x", 5, 0},
		"mpiexec.openmpi (Open MPI) 6.0.0rc2\n":                                                         {"x", 6, 0},
		"HYDRA build details:\n    Version:                                 4.0.2\n    Release Date: x": {"x", 4, 0},
		"HYDRA build details:\n    Version:                                 5.0.2\n":                    {"x", 5, 0},
		"mpiexec: command not found": {"x", 0, 0},
	} {
		if got := readVersion("x", text); got != want {
			t.Errorf("%q: %v, want %v", text, got, want)
		}
	}
	for _, v := range []Version{{"openmpi", 4, 1}, {"mpich", 5, 0}} {
		if v.PRRTE() {
			t.Errorf("%v has no PRRTE", v)
		}
	}
	if v := (Version{"openmpi", 5, 0}); !v.PRRTE() || !v.Passes() || v.RunsTwoPrograms() {
		t.Errorf("%v is taken for an older one", v)
	}
}
