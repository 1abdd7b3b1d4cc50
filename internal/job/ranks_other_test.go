//go:build !(mpi && linux && (amd64 || arm64))

package job

import (
	"strings"
	"testing"

	"github.com/rankpool/rankpool/internal/testkit"
)

func TestAProgramWithoutMPISaysThatALauncherStartsItSeveralTimes(t *testing.T) {
	for name, c := range map[string]struct {
		env  []string
		want string
	}{
		"MPICH's mpiexec":    {[]string{"PMI_RANK=0", "PMI_SIZE=3", "PMI_FD=7"}, "has started 3 processes (PMI_SIZE)"},
		"Open MPI's mpiexec": {[]string{"OMPI_COMM_WORLD_RANK=0", "OMPI_COMM_WORLD_SIZE=4"}, "has started 4 processes"},
		"another rank":       {[]string{"PMI_RANK=1", "PMI_SIZE=3", "PMI_FD=7"}, ""},
		"one rank":           {[]string{"PMI_RANK=0", "PMI_SIZE=1", "PMI_FD=7"}, ""},
		"no launcher":        {nil, ""},
		"one not known":      {[]string{"PMIX_RANK=0"}, "a launcher that is not known has started this process and perhaps others (PMIX_RANK)"},
		"a rank of that":     {[]string{"PMIX_RANK=1"}, ""},
		"on purpose":         {[]string{"PMI_RANK=0", "PMI_SIZE=3", "PMI_FD=7", "RANKPOOL_BACKEND=processes"}, ""},
	} {
		got := byThemselves(testkit.Lookup(c.env...))
		if (got == "") != (c.want == "") || !strings.Contains(got, c.want) {
			t.Errorf("%s: %q", name, got)
		}
	}
}
