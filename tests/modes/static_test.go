//go:build unix

package modes_test

import (
	"runtime"
	"strings"
	"testing"

	"github.com/rankpool/rankpool/internal/testkit"
)

func TestAProgramThatIsLinkedStaticallySaysThatItCannotLoadMPI(t *testing.T) {
	t.Parallel()
	needsMPI(t)
	if runtime.GOOS != "linux" {
		t.Skip("where programs can be linked statically with cgo is known for Linux only")
	}
	testkit.Compiler(t, "a static program with cgo")
	m := world
	m.ranks = 2
	m.binaries = &testkit.Programs{
		Dir: t.TempDir(), Tags: "mpi", Flags: []string{"-race=false", "-ldflags=-linkmode=external -extldflags=-static"},
	}
	o := m.run(t, examples+"hello", nil)
	// mpiexec ends the other rank when one has ended, which may be before it says so as well.
	if n := strings.Count(o.output, "this program is linked statically, and such a program cannot load an MPI library"); n < 1 || n > 2 || o.code != 1 {
		t.Errorf("%d of 2 ranks say so, status %d:\n%s", n, o.code, o.output)
	}
	m.ranks, m.backend = 0, "threads"
	m.succeed(t, examples+"hello", nil).contains(t, "hello, world")
}
