package cluster_test

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rankpool/rankpool/internal/mpi/mpitest"
)

// noSlurm returns why Slurm cannot be started here, as far as that shows beforehand.
func noSlurm() error {
	for tool, pkg := range map[string]string{
		"munged": "munge", "slurmctld": "slurm-wlm", "slurmd": "slurm-wlm", "srun": "slurm-wlm", "sbatch": "slurm-wlm",
	} {
		if _, err := exec.LookPath(tool); err != nil {
			return fmt.Errorf("jobs under Slurm: %s is missing, install %s", tool, pkg)
		}
	}
	return nil
}

// slurmConf is a Slurm whose controller and whose nodes are the hosts of the cluster. A node has more processors than this
// machine, so that jobs need not wait for each other.
const slurmConf = `ClusterName=test
SlurmctldHost=node1
AuthType=auth/munge
AuthInfo=socket=%[1]s/munge.socket
CryptoType=crypto/munge
SlurmUser=root
SlurmdUser=root
StateSaveLocation=%[1]s/state
SlurmdSpoolDir=%[1]s/spool.%%n
TmpFS=%[1]s/tmp
SlurmctldPidFile=%[1]s/slurmctld.pid
SlurmdPidFile=%[1]s/slurmd.%%n.pid
SlurmctldLogFile=%[1]s/slurmctld.log
SlurmdLogFile=%[1]s/slurmd.%%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SlurmdParameters=config_overrides
ReturnToService=2
KillWait=5
MpiDefault=none
NodeName=node[1-3] CPUs=8 State=UNKNOWN
PartitionName=main Nodes=ALL Default=YES MaxTime=30 State=UP OverSubscribe=FORCE:8
`

// unlessInitCrashes runs a job of srun, and runs it once more if a rank of Open MPI 4.1.4 has crashed in MPI_Init, as ranks of C programs do
// now and then where Slurm starts them on several nodes of a loaded machine: see docs/mpi-notes.md. Nothing else is tried again.
func unlessInitCrashes(t *testing.T, c mpitest.Command) (mpitest.Result, error) {
	t.Helper()
	for again := 0; ; again++ {
		r, err := c.Run(t.Context())
		printed := r.Output
		if out, err := os.ReadFile(filepath.Join(c.Dir, "job.out")); err == nil { // a script's
			printed += string(out)
		}
		if again == 2 || err != nil || !initCrashed(printed) {
			return r, err
		}
		t.Logf("a rank has crashed in MPI_Init, so the job is run once more; it printed:\n%s", printed)
	}
}

// initCrashed tells whether that has happened in a job, by what the job has printed.
func initCrashed(printed string) bool {
	return library == "openmpi" && strings.Contains(printed, "SIGSEGV") && strings.Contains(printed, "internal/mpi.rawInit(")
}

var slurmStarted sync.Map // of clusters, to a function that starts Slurm there once

// slurm returns the cluster with Slurm on it, or skips the test.
func slurm(t *testing.T) *cluster {
	t.Helper()
	if err := errors.Join(needsMPI(), noSlurm()); err != nil {
		t.Skip(err)
	}
	c := hosts(t)
	once, _ := slurmStarted.LoadOrStore(c, sync.OnceValue(c.startSlurm))
	if err := once.(func() error)(); err != nil {
		t.Fatal(err)
	}
	return c
}

// startSlurm starts the daemons, which end with the cluster.
func (c *cluster) startSlurm() error {
	key := make([]byte, 128)
	_, _ = rand.Read(key)
	err := errors.Join(
		os.WriteFile(c.file("munge.key"), key, 0o600),
		os.WriteFile(c.file("slurm.conf"), fmt.Appendf(nil, slurmConf, c.dir), 0o644),
		os.WriteFile(c.file("cgroup.conf"), []byte("CgroupPlugin=cgroup/v1\n"), 0o644), // unused, but the other one wants its file system
		os.Mkdir(c.file("state"), 0o755),
	)
	for _, host := range c.names {
		err = errors.Join(err, os.Mkdir(c.file("spool."+host), 0o755))
	}
	if err != nil {
		return err
	}
	// It insists on safe permissions up to the root, which a temporary directory has not: hence the force.
	munged := []string{"munged", "--force"}
	for option, file := range map[string]string{
		"key-file": "munge.key", "socket": "munge.socket", "pid-file": "munged.pid", "log-file": "munged.log", "seed-file": "munged.seed",
	} {
		munged = append(munged, "--"+option+"="+c.file(file))
	}
	daemons := [][]string{append(c.on("node1"), munged...), append(c.on("node1"), "slurmctld", "-c")}
	for _, host := range c.names {
		daemons = append(daemons, append(c.on(host), "slurmd", "-N", host))
	}
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	for _, args := range daemons {
		if err := c.daemon(ctx, args); err != nil {
			return err
		}
	}
	for {
		out, err := c.command(ctx, append(c.on("node1"), "sinfo", "-h", "-N", "-o", "%t")).Output()
		if err == nil && strings.Count(string(out), "idle") == len(c.names) {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("the nodes of Slurm do not come up: sinfo says %q (%w)\n%s", out, err, c.slurmLogs())
		case <-time.After(200 * time.Millisecond): // Slurm tells nobody
		}
	}
}

// daemon starts what puts itself into the background. Its output is a file, for a pipe would stay open.
func (c *cluster) daemon(ctx context.Context, args []string) error {
	log, err := os.Create(c.file("start.log"))
	if err != nil {
		return err
	}
	defer log.Close()
	cmd := c.command(ctx, args)
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Run(); err != nil {
		said, _ := os.ReadFile(log.Name())
		return fmt.Errorf("%v: %w\n%s%s", args, err, said, c.slurmLogs())
	}
	return nil
}

func (c *cluster) command(ctx context.Context, args []string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, args[0], args[1:]...)
	cmd.Env = append(os.Environ(), "SLURM_CONF="+c.file("slurm.conf"))
	return cmd
}

func (c *cluster) file(name string) string { return filepath.Join(c.dir, name) }

// slurmLogs are the last lines of all logs.
func (c *cluster) slurmLogs() string {
	var all strings.Builder
	paths, _ := filepath.Glob(c.file("*.log"))
	for _, path := range paths {
		text, _ := os.ReadFile(path)
		lines := strings.Split(strings.TrimSpace(string(text)), "\n")
		fmt.Fprintf(&all, "%s:\n\t%s\n", filepath.Base(path), strings.Join(lines[max(0, len(lines)-10):], "\n\t"))
	}
	return all.String()
}

// slurmRun runs a command of Slurm on the first host, in a directory of its own.
func slurmRun(t *testing.T, env []string, args ...string) outcome {
	t.Helper()
	return slurmRunFor(t, limit, env, args...)
}

// slurmRunFor does it with a limit for jobs that take longer than others.
func slurmRunFor(t *testing.T, limit time.Duration, env []string, args ...string) outcome {
	t.Helper()
	c, dir := slurm(t), t.TempDir()
	r, err := unlessInitCrashes(t, mpitest.Command{
		Args: append(c.on("node1"), args...), Dir: dir, Limit: limit,
		Env: append(environment(env...), "SLURM_CONF="+c.file("slurm.conf"), "OMPI_ALLOW_RUN_AS_ROOT=1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1"),
	})
	if r.Expired {
		t.Log(c.slurmLogs())
	}
	return finished(t, dir, r, err)
}
