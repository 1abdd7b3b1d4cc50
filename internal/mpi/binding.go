package mpi

import (
	"fmt"
	"os"
	"runtime"
)

// Binding is how many cores this process may use, and how many of them Go uses.
type Binding struct {
	Allowed int  // cores in the process's affinity mask
	Online  int  // cores of the machine; 0 when unknown
	Procs   int  // GOMAXPROCS
	ByUser  bool // the variable GOMAXPROCS is set
}

// FindBinding looks at the process as it is now.
func FindBinding() Binding {
	_, set := os.LookupEnv("GOMAXPROCS")
	return Binding{Allowed: runtime.NumCPU(), Online: rawOnline(), Procs: runtime.GOMAXPROCS(0), ByUser: set}
}

// Warning is the sentence for a user whose launcher bound the process to one core, or empty. Open MPI's mpiexec does
// that for one and two processes unless told otherwise.
func (b Binding) Warning(f Family) string {
	if b.Procs != 1 || b.Allowed != 1 || b.Online < 2 || b.ByUser {
		return ""
	}
	option := "--bind-to none"
	if f == MPICH {
		option = "-bind-to none"
	}
	return fmt.Sprintf("the launcher bound this process to 1 of %d cores, so GOMAXPROCS is 1: start with `mpiexec %s`, "+
		"or set GOMAXPROCS if that is meant", b.Online, option)
}
