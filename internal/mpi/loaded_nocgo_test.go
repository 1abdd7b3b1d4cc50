//go:build mpi && linux && (amd64 || arm64) && !cgo

package mpi_test

import (
	"debug/elf"
	"os"
	"testing"

	"github.com/rankpool/rankpool/internal/mpi/mpitest"
)

// What a program of this kind needs of the system is in any glibc: it runs on older systems than it was built on.
func TestAProgramThatLoadsMPIIsLinkedWithNoneAndAsksForNoVersionOfGlibc(t *testing.T) {
	self := must(os.Executable())(t)
	libs, err := mpitest.Libraries(self)
	if err != nil || len(libs) > 0 {
		t.Errorf("linked with %q (%v)", libs, err)
	}
	f := must(elf.Open(self))(t)
	defer f.Close()
	for _, s := range must(f.ImportedSymbols())(t) {
		if s.Version != "" {
			t.Errorf("asks for %s of version %s of %s", s.Name, s.Version, s.Library)
		}
	}
}
