package findmpi

import (
	"bufio"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/rankpool/rankpool/internal/mpi"
)

// LoadedLibrary returns the MPI library that is mapped into this process, or nothing where the system does not tell.
func LoadedLibrary() string {
	f, err := os.Open("/proc/self/maps")
	if err != nil {
		return ""
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		fields := strings.Fields(lines.Text())
		if len(fields) < 6 {
			continue
		}
		if base := filepath.Base(fields[5]); strings.HasPrefix(base, "libmpi.so") || strings.HasPrefix(base, "libmpich") ||
			strings.HasPrefix(base, "libmpi_") {
			return fields[5]
		}
	}
	return ""
}

// FamilyOfFile tells the family of a library from its name: MPICH's binary interface is number 12, Open MPI's 40 and later.
func FamilyOfFile(path string) mpi.Family {
	base := filepath.Base(path)
	number, _, _ := strings.Cut(strings.TrimPrefix(base, "libmpi.so."), ".")
	switch n, err := strconv.Atoi(number); {
	case strings.HasPrefix(base, "libmpich"), strings.HasPrefix(base, "libmpi_"), err == nil && n == 12:
		return mpi.MPICH
	case err == nil && n >= 20:
		return mpi.OpenMPI
	}
	return mpi.OtherMPI
}
