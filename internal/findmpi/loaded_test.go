package findmpi

import (
	"testing"

	"github.com/rankpool/rankpool/internal/mpi"
)

func TestTheFamilyOfALibraryIsToldFromItsName(t *testing.T) {
	for path, want := range map[string]mpi.Family{
		"/lib/libmpi.so.40.30.4": mpi.OpenMPI, "/lib/libmpich.so.12.2.2": mpi.MPICH, "/opt/lib/libmpi.so.12": mpi.MPICH,
		"/opt/cray/libmpi_gnu.so": mpi.MPICH, "": mpi.OtherMPI, "/lib/libmpi.so": mpi.OtherMPI,
	} {
		if got := FamilyOfFile(path); got != want {
			t.Errorf("%q: %v, want %v", path, got, want)
		}
	}
}
