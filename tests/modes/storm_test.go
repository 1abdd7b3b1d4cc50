//go:build unix

package modes_test

import (
	"os"
	"regexp"
	"runtime"
	"strconv"
	"testing"

	"github.com/rankpool/rankpool/internal/testkit"
)

// stormRuns is the variable that says how often each program runs under the storm. A fault of this kind shows once in many runs.
const stormRuns = "RANKPOOL_TEST_STORMS"

// Go preempts goroutines by SIGURG, and a terminal tells of its size by SIGWINCH: both come while MPI is in a system call, while its
// library is loaded, and to threads that Go knows nothing of.
func TestAProgramWhoseThreadsAllGetSignalsAllTheTimeEndsRight(t *testing.T) {
	t.Parallel()
	needsMPI(t)
	if runtime.GOOS != "linux" {
		t.Skip("MPI is loaded on Linux only, and only Linux shows the threads")
	}
	runs := 5
	if text := os.Getenv(stormRuns); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil {
			t.Fatalf("%s: %v", stormRuns, err)
		}
		runs = n
	}
	report := regexp.MustCompile(`(?m)^storm: [1-9]\d* signals in the workers, [1-9]\d* in the master$`)
	for name, programs := range map[string]*testkit.Programs{
		"without cgo": {Dir: t.TempDir(), Tags: "mpi", NoCgo: true},
		"with cgo":    &binaries,
	} {
		t.Run(name, func(t *testing.T) {
			m := world
			m.ranks, m.binaries = 2, programs
			for i := range runs {
				o := m.succeed(t, "github.com/rankpool/rankpool/tests/modes/testdata/storm", nil)
				if said := report.FindAllString(o.output, -1); len(said) != 1 {
					t.Errorf("run %d of %d printed:\n%s", i+1, runs, o.output)
				} else {
					t.Log(said[0])
				}
			}
		})
	}
}
