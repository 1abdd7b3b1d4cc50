//go:build unix

package modes_test

import (
	"fmt"
	"regexp"
	"runtime"
	"strings"
	"testing"

	"github.com/rankpool/rankpool/internal/testkit"
)

const handle = "github.com/rankpool/rankpool/tests/modes/testdata/handle"

// Another binding of MPI finds the library that is in the process, and its functions take the handles of package comm.
func TestAnotherBindingOfMPICallsItWithTheHandlesOfTheWorkersAndTheWorld(t *testing.T) {
	t.Parallel()
	needsMPI(t)
	if runtime.GOOS != "linux" {
		t.Skip("MPI is loaded on Linux only")
	}
	abi := map[string]string{"openmpi": "Open MPI", "mpich": "MPICH"}[library]
	for name, programs := range map[string]*testkit.Programs{"without cgo": {Dir: t.TempDir(), Tags: "mpi", NoCgo: true}, "with cgo": &binaries} {
		for _, m := range rankModes() {
			t.Run(name+"/"+m.name, func(t *testing.T) {
				m.binaries = programs
				o := m.succeed(t, handle, nil)
				for i := range m.workers {
					o.contains(t, fmt.Sprintf("worker %d: workers %s rank %d of %d", i, abi, i, m.workers))
					if m.ranks > 1 {
						o.contains(t, fmt.Sprintf("worker %d: world %s rank %d of %d", i, abi, i+1, m.ranks))
					}
				}
				o.contains(t, fmt.Sprintf("master: world %s rank 0 of %d", abi, m.ranks))
			})
		}
	}
}

func TestWhereThereIsNoMPIThereAreNoHandles(t *testing.T) {
	t.Parallel()
	o := processes.run(t, handle, nil)
	if o.code != 1 {
		t.Errorf("status %d", o.code)
	}
	o.contains(t, "comm: Handle: no MPI: the workers are not ranks of an MPI job: start the program with mpiexec, or use the operations of package comm", "master: comm: WorldHandle: no MPI runs")
	if n := len(regexp.MustCompile(`(workers|world) \S+ rank \d of`).FindAllString(o.output, -1)); n > 0 || strings.Contains(o.output, "before Main") {
		t.Error(o.output)
	}
}

// Another binding calls MPI beside the pool, from threads of its own.
func TestWithoutMPIsThreadsThereAreNoHandles(t *testing.T) {
	t.Parallel()
	needsMPI(t)
	o := world.run(t, handle, nil, "RANKPOOL_MPI_THREADS=serialized")
	o.contains(t, "comm: Handle: MPI gives MPI_THREAD_SERIALIZED here", "comm: WorldHandle: MPI gives MPI_THREAD_SERIALIZED here")
	if o.code == 0 {
		t.Errorf("status 0:\n%s", o.output)
	}
}
