package cluster_test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rankpool/rankpool/internal/mpi/mpitest"
	"github.com/rankpool/rankpool/internal/testkit"
)

// One file for every MPI, which loads the library that Slurm's srun can start. Each interface to srun has its family: Open MPI's programs
// understand PMIx, MPICH's PMI2.

// speaks are the families, by what srun offers.
var speaks = map[string]string{"pmix": "openmpi", "pmi2": "mpich"}

// unnamed leaves the choice to the program.
var unnamed = []string{"RANKPOOL_MPI="}

// loading builds programs that are linked with no MPI.
func loading(t *testing.T) *testkit.Programs {
	t.Helper()
	if err := needsMPI(); err != nil {
		t.Skip(err)
	}
	for _, family := range speaks {
		if _, err := exec.LookPath("mpiexec." + family); err != nil {
			t.Skip(err)
		}
	}
	slurm(t)
	return &testkit.Programs{Dir: t.TempDir(), Tags: "mpi", NoCgo: true}
}

func TestOneFileLoadsUnderSrunTheMPIThatUnderstandsIt(t *testing.T) {
	programs := loading(t)
	want := onThreads(t, "julia").picture(t)
	julia, hello := programs.Build(t, examples+"julia"), programs.Build(t, examples+"hello")
	for kind, family := range speaks {
		t.Run(kind, func(t *testing.T) { // both are installed, and nothing names one
			o := slurmRun(t, unnamed, "srun", "--mpi="+kind, "-N", "3", "-n", "3", julia).succeeded(t)
			if o.says(t, "backend mpi, workers 2, tasks 960,"); !bytes.Equal(o.picture(t), want) {
				t.Error("julia.pgm differs from the one that goroutines computed")
			}
			o = slurmRun(t, unnamed, "srun", "--mpi="+kind, "-N", "3", "-n", "3", hello, "Ada", "Grace").succeeded(t)
			if d := cmp.Diff([]string{"node2", "node3"}, o.greeters()); d != "" {
				t.Errorf("hosts that greeted: %s\n%s", d, o.output)
			}
			other := map[string]string{"openmpi": "mpich", "mpich": "openmpi"}[family]
			if o = slurmRun(t, []string{"RANKPOOL_MPI=" + other}, "srun", "--mpi="+kind, "-n", "2", hello, "Ada"); o.code == 0 || strings.Contains(o.output, "hello, ") {
				t.Errorf("with %s status %d; want another one and no greeting:\n%s", other, o.code, o.output)
			}
		})
	}
	t.Run("none", func(t *testing.T) {
		o := slurmRun(t, unnamed, "srun", "--mpi=none", "-n", "3", hello, "Ada")
		want := "start it with `srun --mpi=pmix` for Open MPI, `srun --mpi=pmi2` for MPICH\n"
		if o.code == 0 || strings.Contains(o.output, "hello, ") || !strings.Contains(o.output, want) {
			t.Errorf("status %d; want another one, %q and no greeting:\n%s", o.code, want, o.output)
		}
	})
}

func TestTheBehaviourSuiteOfOneFilePassesUnderSrun(t *testing.T) {
	dir := loading(t).Dir
	suite := filepath.Join(dir, "behaviour.test")
	build := exec.Command("go", "test", "-c", "-tags", "mpi", testkit.SuiteFlags, "-o", suite, "../behaviour")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v: %v\n%s", build.Args, err, out)
	}
	folder, err := filepath.Abs("../behaviour")
	if err != nil {
		t.Fatal(err)
	}
	for kind, family := range speaks {
		if family != library { // the other one's lane runs the other one
			continue
		}
		t.Run(kind, func(t *testing.T) {
			// The folder for temporary files is one that the hosts share: /tmp is another one on each of them.
			o := slurmRunFor(t, testkit.Suite, unnamed, "srun", "--mpi="+kind, "-N", "3", "-n", "4", "--chdir="+folder,
				"env", "TMPDIR="+dir, suite, "-test.timeout="+(3*limit).String())
			if o.succeeded(t); !strings.Contains(o.output, "PASS") {
				t.Errorf("no PASS:\n%s", o.output)
			}
		})
	}
}

func TestARankOfAnyFileThatIsKilledUnderSrunCostsItsTask(t *testing.T) {
	programs := loading(t)
	probe := programs.Build(t, "github.com/rankpool/rankpool/tests/modes/probe")
	for kind := range speaks {
		t.Run(kind, func(t *testing.T) {
			c, dir := hosts(t), t.TempDir()
			happened := make(chan error, 1)
			go func() {
				err := await(filepath.Join(dir, "ready"))
				if err == nil {
					err = killWhere("SLURM_PROCID=", 3)(c, probe, dir)
				}
				if err == nil {
					err = os.WriteFile(filepath.Join(dir, "end"), nil, 0o600)
				}
				happened <- err
			}()
			o := slurmRun(t, unnamed, "srun", "--mpi="+kind, "-N", "3", "-n", "4", "--kill-on-bad-exit=0", probe,
				"-dir", dir, "-liveness", (4 * time.Second).String(), "-patient", "cutoff")
			if err := <-happened; err != nil {
				t.Error(err)
			}
			if kind == "pmix" && mpitest.VersionOf("openmpi").PRRTE() { // the ranks that have talked to the lost one end, see docs/clusters.md
				if o.says(t, `STEP \S+ ON \w+ CANCELLED`); o.code != 14 {
					t.Errorf("status %d, want 14:\n%s", o.code, o.output)
				}
			} else {
				o.says(t, `hold was lost with worker 2 \(rank 3, process \d+ on node3\): `, "queued: done, workers: 2 <nil>")
				if n := strings.Count(o.output, ": done\n"); n != 2 {
					t.Errorf("%d of 2 long tasks were done", n)
				}
			}
			if o.code == 0 {
				t.Errorf("status 0:\n%s", o.output)
			}
		})
	}
}
