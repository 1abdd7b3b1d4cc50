package job_test

import (
	"fmt"
	"io/fs"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/rankpool/rankpool/internal/job"
)

// hidden is a /proc in which the environment of one process may not be read.
type hidden struct {
	fstest.MapFS
	path string
}

func (h hidden) ReadFile(name string) ([]byte, error) {
	if name == h.path {
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrPermission}
	}
	return h.MapFS.ReadFile(name)
}

func TestARankOfThisHostThatIsNotThereIsNamed(t *testing.T) {
	mpich := func(rank, size, local int) string {
		return fmt.Sprintf("PMI_RANK=%d PMI_SIZE=%d MPI_LOCALNRANKS=%d", rank, size, local)
	}
	open := func(rank, size, local, job int) string {
		return fmt.Sprintf("OMPI_COMM_WORLD_RANK=%d OMPI_COMM_WORLD_SIZE=%d OMPI_COMM_WORLD_LOCAL_SIZE=%d PMIX_NAMESPACE=%d", rank, size, local, job)
	}
	type process struct {
		parent    int
		name, env string
	}
	proxy := process{1, "hydra_pmi_proxy", "A=b"}
	for name, test := range map[string]struct {
		job     map[int]process // this process is 10
		hides   int
		missing string
		unknown bool
	}{
		"all there": {job: map[int]process{2: proxy, 10: {2, "p", mpich(0, 2, 2)}, 11: {2, "p", mpich(1, 2, 2)}}},
		"one gone":  {job: map[int]process{2: proxy, 10: {2, "p", mpich(0, 3, 3)}, 11: {2, "p (x", mpich(2, 3, 3)}}, missing: "rank 1 of 3"},
		"two gone":  {job: map[int]process{2: proxy, 10: {2, "p", mpich(2, 3, 3)}}, missing: "ranks 0 1 of 3"},
		"a command beside each": {job: map[int]process{
			2: proxy, 5: {2, "rankpool", mpich(0, 2, 2)}, 10: {5, "p", mpich(0, 2, 2)}, 6: {2, "rankpool", mpich(1, 2, 2)},
		}},
		"one that has ended and is not waited for": {
			job:     map[int]process{2: proxy, 10: {2, "p", mpich(0, 2, 2)}, 11: {2, "p", ""}},
			missing: "rank 1 of 2",
		},
		"the rank of another job": {
			job:     map[int]process{2: proxy, 3: proxy, 10: {2, "p", mpich(0, 2, 2)}, 11: {3, "p", mpich(1, 2, 2)}},
			missing: "rank 1 of 2",
		},
		"one of a host among several": {
			job:     map[int]process{2: {1, "orted", ""}, 10: {2, "p", open(4, 8, 3, 7)}, 11: {2, "p", open(6, 8, 3, 7)}},
			missing: "1 of the 3 ranks on this host (the others are 4 6)",
		},
		"the rank of another job of one mpiexec": {
			job:     map[int]process{2: {1, "mpiexec.openmpi", ""}, 10: {2, "p", open(0, 2, 2, 7)}, 11: {2, "p", open(1, 2, 2, 8)}},
			missing: "rank 1 of 2",
		},
		"no launcher to be seen": {job: map[int]process{1: {0, "p", ""}, 10: {1, "p", mpich(0, 2, 2)}}, unknown: true},
		"a launcher that says nothing": {
			job: map[int]process{2: {1, "slurmstepd", ""}, 10: {2, "p", "SLURM_PROCID=0"}}, unknown: true,
		},
		"a process that may not be seen": {
			job:   map[int]process{2: proxy, 10: {2, "p", mpich(0, 2, 2)}, 11: {2, "p", ""}},
			hides: 11, unknown: true,
		},
	} {
		t.Run(name, func(t *testing.T) {
			proc := fstest.MapFS{"uptime": {}}
			for pid, p := range test.job {
				dir := fmt.Sprint(pid)
				proc[dir+"/environ"] = &fstest.MapFile{Data: []byte(strings.ReplaceAll(p.env, " ", "\x00") + "\x00")}
				proc[dir+"/comm"] = &fstest.MapFile{Data: []byte(p.name + "\n")}
				proc[dir+"/stat"] = &fstest.MapFile{Data: fmt.Appendf(nil, "%d (%s) S %d 1 1", pid, p.name, p.parent)}
			}
			missing, known := job.Missing(hidden{proc, fmt.Sprint(test.hides) + "/environ"}, 10)
			if missing != test.missing || known == test.unknown {
				t.Errorf("missing %q, known %v; want %q, %v", missing, known, test.missing, !test.unknown)
			}
		})
	}
}
