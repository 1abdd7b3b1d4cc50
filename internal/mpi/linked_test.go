//go:build mpi && cgo

package mpi_test

import (
	"os"
	"strings"
	"testing"

	"github.com/rankpool/rankpool/internal/mpi/mpitest"
)

func TestExactlyOneMPILibraryIsLinked(t *testing.T) {
	libs, err := mpitest.Libraries(must(os.Executable())(t))
	if err != nil || len(libs) != 1 {
		t.Fatalf("linked with %q (%v)", libs, err)
	}
	t.Log("linked with", libs[0])
}

func TestAProgramUnderTheOtherMPIsLauncherIsRefused(t *testing.T) {
	if mpitest.InRank() {
		isRefused(t)
		return
	}
	other := map[string]string{"openmpi": "mpich", "mpich": "openmpi"}
	libs := must(mpitest.Libraries(must(os.Executable())(t)))(t)
	r, err := mpitest.Run(t.Context(), mpitest.Job{
		Ranks: 2, Launcher: other[mpitest.LauncherOf(libs[0])], Env: []string{noStart + "=1"},
		Args: []string{"-test.v", "-test.run=^" + t.Name() + "$"},
	})
	if err != nil || r.Code != 0 || strings.Count(r.Output, "start it with") != 2 {
		t.Fatalf("%v, status %d:\n%s", err, r.Code, r.Output)
	}
	t.Log("\n" + r.Output)
}
