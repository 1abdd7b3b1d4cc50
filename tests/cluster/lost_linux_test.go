package cluster_test

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rankpool/rankpool/internal/mpi/mpitest"
)

// wire takes a host off the network ("down"), or puts it back ("up").
func (c *cluster) wire(host, state string) error {
	port := fmt.Sprint("port", slices.Index(c.names, host)+1)
	out, err := exec.Command("nsenter", "--target", strconv.Itoa(c.pid), "--net", "ip", "link", "set", port, state).CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s of %s: %w: %s", port, host, err, out)
	}
	return nil
}

// await waits until a file is there.
func await(path string) error {
	for end := time.Now().Add(limit); time.Now().Before(end); time.Sleep(time.Millisecond) {
		if _, err := os.Stat(path); err == nil {
			return nil
		}
	}
	return fmt.Errorf("%s does not come", path)
}

// losing is a job on three hosts whose launcher was told to leave the ranks alone when one is lost.
type losing struct {
	hosts    string
	liveness time.Duration
	happens  func(c *cluster, job, dir string) error // when all workers are busy
	ranks    int
	told     []string // what mpiexec is told about lost ranks, where that is not the usual option
}

// run runs it. The program ends once what happens has happened. MPICH's mpiexec is ended by a signal itself now and then when a rank or a
// host is lost, see docs/mpi-notes.md, before it has passed on what the master prints: then the job is run again, up to five times.
func (l losing) run(t *testing.T) outcome {
	t.Helper()
	for again := 0; ; again++ {
		o := l.start(t, func(c *cluster, probe, dir string, args []string) (mpitest.Result, error) {
			return l.mpiexec(t, c, probe, dir, args)
		})
		if again == 5 || library != "mpich" || o.code != -1 {
			return o
		}
		t.Logf("mpiexec itself was ended by a signal (%v), so the job is run again; it printed:\n%s", o.signal, o.output)
	}
}

// mpiexec starts it as mpiexec does.
func (l losing) mpiexec(t *testing.T, c *cluster, probe, dir string, args []string) (mpitest.Result, error) {
	t.Helper()
	told, program := l.told, probe
	if told == nil {
		told = []string{mpitest.Leave[library]}
	}
	if library == "mpich" {
		program = binaries.Build(t, "github.com/rankpool/rankpool/cmd/rankpool")
		args = append([]string{"run", "--stay", probe}, args...)
	}
	return mpitest.Run(t.Context(), mpitest.Job{
		Prefix: c.on("node1"), Ranks: l.ranks, Program: program, Args: args, Limit: limit, Plain: true,
		Options: append(c.options(dir, l.hosts), told...), Env: environment("RANKPOOL_MAX_WORKERS=3"), Once: true,
	})
}

// srun starts it with srun.
func (l losing) srun(t *testing.T, options ...string) outcome {
	t.Helper()
	slurm(t)
	return l.start(t, func(c *cluster, probe, dir string, args []string) (mpitest.Result, error) {
		var hosts strings.Builder // one a line, for each rank
		for field := range strings.SplitSeq(l.hosts, ",") {
			host, ranks, _ := strings.Cut(field, ":")
			n, err := strconv.Atoi(ranks)
			if err != nil {
				return mpitest.Result{}, err
			}
			hosts.WriteString(strings.Repeat(host+"\n", n))
		}
		file := filepath.Join(dir, "hosts")
		if err := os.WriteFile(file, []byte(hosts.String()), 0o600); err != nil {
			return mpitest.Result{}, err
		}
		command := append([]string{"srun", "--mpi=" + right(), "-n", fmt.Sprint(l.ranks), "--distribution=arbitrary"}, options...)
		return unlessInitCrashes(t, mpitest.Command{
			Args: append(append(c.on("node1"), append(command, probe)...), args...), Dir: dir, Limit: limit,
			Env: append(environment(), "SLURM_CONF="+c.file("slurm.conf"), "SLURM_HOSTFILE="+file),
		})
	})
}

// start starts it and has happen what happens.
func (l losing) start(t *testing.T, job func(c *cluster, probe, dir string, args []string) (mpitest.Result, error)) outcome {
	t.Helper()
	if err := needsMPI(); err != nil {
		t.Skip(err)
	}
	c, dir := hosts(t), t.TempDir()
	probe := binaries.Build(t, "github.com/rankpool/rankpool/tests/modes/probe")
	happened := make(chan error, 1)
	go func() {
		err := await(filepath.Join(dir, "ready"))
		if err == nil {
			err = l.happens(c, probe, dir)
		}
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, "end"), nil, 0o600)
		}
		happened <- err
	}()
	r, err := job(c, probe, dir, []string{"-dir", dir, "-liveness", l.liveness.String(), "-patient", "cutoff"})
	if err := <-happened; err != nil {
		t.Errorf("%v; the job printed:\n%s", err, r.Output)
	}
	return finished(t, dir, r, err)
}

// says checks that all of it is in the output.
func (o outcome) says(t *testing.T, patterns ...string) {
	t.Helper()
	for _, p := range patterns {
		if !regexp.MustCompile(p).MatchString(o.output) {
			t.Errorf("no %q (status %d) in:\n%s", p, o.code, o.output)
		}
	}
}

// rankVariable tells a process that mpiexec has started its number in its world.
func rankVariable() string {
	return map[string]string{"openmpi": "OMPI_COMM_WORLD_RANK=", "mpich": "PMI_RANK="}[library]
}

// kill kills the process of a rank of the world that mpiexec has started.
func kill(rank int) func(*cluster, string, string) error { return killWhere(rankVariable(), rank) }

// killWhere kills the process of a rank, to which a variable tells its number.
func killWhere(variable string, rank int) func(*cluster, string, string) error {
	return func(_ *cluster, program, dir string) error {
		pid := processOf(variable, rank, program, dir)
		if pid == 0 {
			return fmt.Errorf("there is no rank %d", rank)
		}
		return syscall.Kill(pid, syscall.SIGKILL)
	}
}

// processOf finds the process of a rank of a job, 0 when there is none.
func processOf(variable string, rank int, program, dir string) (pid int) {
	lines, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	for _, path := range lines {
		line, _ := os.ReadFile(path)
		env, _ := os.ReadFile(filepath.Join(filepath.Dir(path), "environ"))
		if strings.HasPrefix(string(line), program+"\x00") && strings.Contains(string(line), dir) &&
			strings.Contains("\x00"+string(env), fmt.Sprintf("\x00%s%d\x00", variable, rank)) {
			if pid, err := strconv.Atoi(filepath.Base(filepath.Dir(path))); err == nil {
				return pid
			}
		}
	}
	return 0
}

// killForGood kills the process of a rank, and returns once the launcher has ended the master.
func killForGood(rank int) func(*cluster, string, string) error {
	return func(c *cluster, program, dir string) error {
		if err := kill(rank)(c, program, dir); err != nil {
			return err
		}
		for end := time.Now().Add(limit); processOf(rankVariable(), 0, program, dir) != 0; time.Sleep(20 * time.Millisecond) {
			if time.Now().After(end) {
				return errors.New("the launcher lets the master live")
			}
		}
		return nil
	}
}

// cut takes node3 off the network for a time, or until the master has lost what it was doing and everything else is done.
func cut(during time.Duration) func(*cluster, string, string) error {
	return func(c *cluster, _, dir string) error {
		if err := c.wire("node3", "down"); err != nil {
			return err
		}
		if during > 0 {
			time.Sleep(during) // what this is about
			if err := os.WriteFile(filepath.Join(dir, "go"), nil, 0o600); err != nil {
				return err
			}
		} else if err := await(filepath.Join(dir, "done")); err != nil {
			return err
		}
		return c.wire("node3", "up")
	}
}

const threeWorkers = "node1:2,node2:1,node3:1"

// onCuttable runs a test in world mode and, where that is possible, with spawned workers.
func onCuttable(t *testing.T, test func(*testing.T, int)) {
	t.Helper()
	t.Run("world", func(t *testing.T) { test(t, 4) })
	t.Run("spawned", func(t *testing.T) {
		if library == "mpich" {
			t.Skip("MPICH 4.0.2 cannot spawn")
		}
		test(t, 1)
	})
}

func TestAHostThatIsCutOffAndHealedInTimeLosesNothing(t *testing.T) {
	onCuttable(t, func(t *testing.T, ranks int) {
		o := losing{threeWorkers, limit, cut(5 * time.Second), ranks, nil}.run(t).succeeded(t)
		o.says(t, `first of the long tasks after ([5-9]|\d\d)`, "long task 0: done", "long task 1: done", "long task 2: done", "queued: done, workers: 3 <nil>")
	})
}

func TestAHostThatIsCutOffForLongerCostsItsTask(t *testing.T) {
	onCuttable(t, func(t *testing.T, ranks int) {
		o := losing{threeWorkers, 5 * time.Second, cut(0), ranks, nil}.run(t).succeeded(t) // it is back in the end, and leaves in order
		o.says(t, `long task \d: lost true .*: hold was lost with worker \d \(rank \d, process \d+ on node3\): silent for 5s: it did not answer`,
			"queued: done, workers: 2 <nil>")
		if n := strings.Count(o.output, ": done\n"); n != 2 {
			t.Errorf("%d of 2 long tasks were done:\n%s", n, o.output)
		}
	})
}

func TestARankThatIsKilledOnAnotherHostCostsItsTask(t *testing.T) {
	t.Run("beside another", func(t *testing.T) { // which tells at once
		o := losing{"node1:1,node2:1,node3:2", limit, kill(3), 4, nil}.run(t)
		o.says(t,
			`hold was lost with worker 2 \(rank 3, process \d+ on node3\): its process has ended without a goodbye, killed or crashed`,
			"queued: done, workers: 2 <nil>")
		o.says(t, "ranks were lost, so this job ends without MPI_Finalize")
		// 1: see lost in tests/modes.
		if want := map[string][]int{"openmpi": {0}, "mpich": {137, 1}}[library]; !slices.Contains(want, o.code) {
			t.Errorf("status %d, want one of %d:\n%s", o.code, want, o.output)
		}
	})
	t.Run("alone", func(t *testing.T) { // MPICH's library notices the broken connection
		o := losing{threeWorkers, 4 * time.Second, kill(3), 4, nil}.run(t)
		if mpitest.VersionOf(library).WakesTasks() { // and tells at once
			o.says(t, `hold was lost with worker 2 \(rank 3, process \d+ on node3\): its process has ended without a goodbye`, "queued: done, workers: 2 <nil>")
			if o.code != 0 || strings.Contains(o.output, "the job is aborted") {
				t.Errorf("status %d, want 0 and no abort:\n%s", o.code, o.output)
			}
			return
		}
		o.says(t, `hold was lost with worker 2 \(rank 3, process \d+ on node3\): (silent for 4s|rank 3 is lost: mpi: .*Endpoint timeout)`,
			"queued: done, workers: 2 <nil>", "rankpool: the job is aborted: ")
		if want := map[string]int{"openmpi": 0, "mpich": 1}[library]; o.code != want {
			t.Errorf("status %d, want %d:\n%s", o.code, want, o.output)
		}
	})
}

func TestARankOfSrunThatIsKilledCostsItsTask(t *testing.T) {
	for name, l := range map[string]losing{ // beside another, which tells at once
		"on the master's host": {"node1:2,node2:1,node3:1", limit, killWhere("SLURM_PROCID=", 1), 4, nil},
		"on another host":      {"node1:1,node2:1,node3:2", limit, killWhere("SLURM_PROCID=", 3), 4, nil},
	} {
		t.Run(name, func(t *testing.T) {
			o := l.srun(t, "--kill-on-bad-exit=0") // as it is unless Slurm's administrator has decided otherwise
			o.says(t, `hold was lost with worker \d \(rank [13], process \d+ on node[13]\): its process has ended without a goodbye`,
				"queued: done, workers: 2 <nil>", "ranks were lost, so this job ends without MPI_Finalize")
			if n := strings.Count(o.output, ": done\n"); o.code != 137 || n != 2 {
				t.Errorf("status %d, want 137, and %d of 2 long tasks were done:\n%s", o.code, n, o.output)
			}
		})
	}
}

func TestRanksOnAllHostsLeaveWhenTheirMasterIsKilled(t *testing.T) {
	o := losing{threeWorkers, 2 * time.Second, kill(0), 4, nil}.run(t) // that it ends is what this is about
	if library == "openmpi" {                                          // whose abort does not reach them; under MPICH the first one that notices ends the job
		o.says(t, `rank 1: the master \(process \d+ on this host\) is gone`)
		o.says(t, `rank [23]: no message came from the master for \d+s`)
	}
}

func TestASpawnedRankThatIsKilledOnAnotherHostCostsItsTask(t *testing.T) {
	if library == "mpich" {
		t.Skip("MPICH 4.0.2 cannot spawn")
	}
	o := losing{threeWorkers, 4 * time.Second, kill(2), 1, nil}.run(t) // the master's world has no rank 2
	lost := "silent for 4s: it did not answer"
	if mpitest.VersionOf(library).WakesTasks() { // and tells at once
		lost = "its process has ended without a goodbye"
	}
	o.says(t, `hold was lost with worker 2 \(rank 2, process \d+ on node3\): `+lost, "queued: done, workers: 2 <nil>")
	if n := strings.Count(o.output, ": done\n"); o.code != 0 || n != 2 {
		t.Errorf("status %d, want 0, and %d of 2 long tasks were done:\n%s", o.code, n, o.output)
	}
}

func TestWithFailureMitigationTheOthersOfSeveralHostsLiveOn(t *testing.T) {
	if err := needsMPI(); err != nil {
		t.Skip(err)
	}
	if !mpitest.VersionOf(library).WakesTasks() {
		t.Skip("mpiexec --with-ft ulfm is there since Open MPI 5")
	}
	o := losing{threeWorkers, limit, kill(3), 4, []string{"--with-ft", "ulfm"}}.run(t)
	o.says(t, `hold was lost with worker 2 \(rank 3, process \d+ on node3\): its process has ended without a goodbye`, "queued: done, workers: 2 <nil>")
	if n := strings.Count(o.output, ": done\n"); o.code != 0 || n != 2 || strings.Contains(o.output, "MPI_ABORT") {
		t.Errorf("status %d, want 0 and no abort, and %d of 2 long tasks were done:\n%s", o.code, n, o.output)
	}
}

func TestAMasterWhoseLauncherEndsTheJobForALostRankSaysWhatToTellIt(t *testing.T) {
	if library == "mpich" {
		t.Skip("MPICH's mpiexec kills without a word")
	}
	prrte := mpitest.VersionOf(library).PRRTE()
	t.Run("world", func(t *testing.T) {
		how := "`mpiexec --enable-recovery`"
		if prrte {
			how = "`mpiexec --with-ft ulfm`"
		}
		o := losing{threeWorkers, limit, killForGood(1), 4, []string{}}.run(t)
		o.says(t, "a rank was lost, and the launcher ends the job for that unless it was told to leave the others alone: start it with "+how)
		if o.code == 0 {
			t.Errorf("status 0:\n%s", o.output)
		}
	})
	t.Run("spawned", func(t *testing.T) { // it is the spawned ones that it ends
		if !prrte {
			t.Skip("before version 5 the master hears of the end of its job first, and not of the rank of another host")
		}
		o := losing{threeWorkers, limit, kill(2), 1, []string{}}.run(t)
		o.says(t, `\d ranks were lost: a launcher ends the others with the first unless it was told to leave them alone, by `+
			"`PRTE_MCA_state_base_recoverable=1 mpiexec --with-ft ulfm`")
	})
}
