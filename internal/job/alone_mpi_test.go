//go:build mpi && linux && (amd64 || arm64)

package job_test

import (
	"errors"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/rankpool/rankpool/internal/job"
	"github.com/rankpool/rankpool/internal/testkit"
)

// The library waits for its launcher, and neither of them ends that.
func TestTheOnlyRankOfAJobEndsWhenMPIInitDoesNotReturn(t *testing.T) {
	const child = "JOB_TEST_CHILD"
	if os.Getenv(child) != "" {
		job.MusterIn(10*time.Millisecond, 200*time.Millisecond)
		time.Sleep(testkit.Limit) // in MPI_Init
		return
	}
	for role, launcher := range map[string][]string{
		"hangs in Open MPI's": {"OMPI_COMM_WORLD_SIZE=1", "OMPI_COMM_WORLD_RANK=0"},
		"hangs in MPICH's":    {"PMI_SIZE=1", "PMI_RANK=0"},
	} {
		t.Run(role, func(t *testing.T) {
			cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^"+strings.Split(t.Name(), "/")[0]+"$")
			cmd.Env = append(append(os.Environ(), launcher...), child+"="+role)
			out, err := cmd.CombinedOutput()
			exit := (*exec.ExitError)(nil)
			if !errors.As(err, &exit) || exit.ExitCode() != job.ExitFailure || !strings.Contains(string(out), "MPI_Init has waited for") ||
				!strings.Contains(string(out), "start the program again") {
				t.Errorf("%v\n%s", err, out)
			}
		})
	}
}
