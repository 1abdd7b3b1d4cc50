package cluster_test

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rankpool/rankpool/internal/mpi/mpitest"
)

// Servers and masters that were started apart, on several hosts: the name server and the port file are what they share.

// serving is a name server on one host, for servers and masters on others.
type serving struct {
	*cluster
	dir string // which all hosts share
	uri string // the file in which the name server says where it is
}

// connects starts a name server on node3, or skips the test.
func connects(t *testing.T) serving {
	t.Helper()
	if err := needsMPI(); err != nil {
		t.Skip(err)
	}
	if library != "openmpi" {
		t.Skip("only Open MPI opens ports here")
	}
	if _, err := exec.LookPath("ompi-server"); err != nil {
		t.Skip(err)
	}
	dir := t.TempDir()
	t.Setenv("XDG_CONFIG_HOME", dir) // for the secret
	s := serving{hosts(t), dir, filepath.Join(dir, "uri")}
	s.background(t, mpitest.Command{
		Args: append(s.on("node3"), "ompi-server", "--no-daemonize", "-r", s.uri), Limit: limit,
		Env: []string{"OMPI_ALLOW_RUN_AS_ROOT=1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1"},
	}.Run)
	s.reports(t)
	return s
}

// reports waits until the name server has said where it is.
func (s serving) reports(t *testing.T) {
	t.Helper()
	if err := await(s.uri); err != nil {
		t.Fatal(err)
	}
	for end := time.Now().Add(limit); ; time.Sleep(time.Millisecond) { // it is not written at once
		if text, err := os.ReadFile(s.uri); err == nil && strings.HasSuffix(string(text), "\n") {
			return
		}
		if time.Now().After(end) {
			t.Fatal("the name server does not say where it is")
		}
	}
}

// background starts a job that ends with the test at the latest, and returns how it has ended, once it has.
func (s serving) background(t *testing.T, run func(context.Context) (mpitest.Result, error)) (ended func() outcome) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	var r mpitest.Result
	var err error
	over := make(chan struct{})
	go func() {
		defer close(over)
		r, err = run(ctx)
	}()
	t.Cleanup(func() {
		cancel()
		<-over
	})
	return func() outcome {
		t.Helper()
		<-over
		return finished(t, s.dir, r, err)
	}
}

// job is a job of Open MPI on one host, which starts it too, unless hosts says otherwise.
func (s serving) job(host, hosts string, ranks int, program string, args ...string) mpitest.Job {
	return mpitest.Job{
		Prefix: s.on(host), Ranks: ranks, Program: program, Args: args, Limit: limit, Env: environment(),
		Options: []string{"-wdir", s.dir, "--mca", "plm_rsh_agent", s.agent, "-H", hosts, "--ompi-server", "file:" + s.uri},
	}
}

// waiting runs a server in the background, and returns when that waits for masters, or has ended: a master waits for it too, but not for
// long.
func (s serving) waiting(t *testing.T, j mpitest.Job) (ended func() outcome) {
	t.Helper()
	ready := make(chan struct{})
	tell := sync.OnceFunc(func() { close(ready) })
	j.Tells = mpitest.Signals{{Seen: "workers wait for a master at", Tell: tell}}
	ended = s.background(t, func(ctx context.Context) (mpitest.Result, error) {
		defer tell()
		return mpitest.Run(ctx, j)
	})
	<-ready
	return ended
}

// serve starts four workers on node2.
func (s serving) serve(t *testing.T, program string, options ...string) (ended func() outcome) {
	t.Helper()
	j := s.job("node2", "node2:4", 4, command(t), append(append([]string{"serve", "--bind", "node2"}, options...), program)...)
	return s.waiting(t, j)
}

// alone runs a master on node1 that no mpiexec has started.
func (s serving) alone(t *testing.T, place, program string, args ...string) outcome {
	t.Helper()
	dir := t.TempDir()
	r, err := mpitest.Command{
		Args: append(append(s.on("node1"), program), args...), Dir: dir, Limit: limit,
		Env: append(environment("RANKPOOL_SERVICE="+place), "OMPI_ALLOW_RUN_AS_ROOT=1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1"),
	}.Run(t.Context())
	return finished(t, dir, r, err)
}

// under runs a master that an mpiexec on node1 has started, on one of the hosts.
func (s serving) under(t *testing.T, place, host, program string, args ...string) outcome {
	t.Helper()
	j := s.job("node1", host+":1", 1, program, args...)
	j.Env = environment("RANKPOOL_SERVICE=" + place)
	r, err := mpitest.Run(t.Context(), j)
	return finished(t, s.dir, r, err)
}

func TestAMasterUsesAServerOnAnotherHost(t *testing.T) {
	s := connects(t)
	want := onThreads(t, "julia").picture(t)
	julia, cpi, file := build(t, "julia"), build(t, "cpi"), "file:"+filepath.Join(s.dir, "port")
	t.Run("file, no mpiexec", func(t *testing.T) {
		ended := s.serve(t, julia, "--service", file)
		o := s.alone(t, file, julia).succeeded(t)
		if o.says(t, "backend mpi, workers 4, tasks 960,"); !bytes.Equal(o.picture(t), want) {
			t.Error("julia.pgm differs from the one that goroutines computed")
		}
		ended().succeeded(t).says(t, `the master \(process \d+ on node1\) has closed its pool`)
	})
	t.Run("name", func(t *testing.T) {
		ended := s.serve(t, cpi, "--service", "pi")
		o := s.under(t, "pi", "node1", cpi, "128").succeeded(t)
		if d := cmp.Diff([]string{ofFour}, o.lines()); d != "" {
			t.Error(d)
		}
		ended().succeeded(t)
	})
}

const apart = "github.com/rankpool/rankpool/tests/modes/service"

func TestAServerOnAnotherHostThatIsNotThereIsNotWaitedForLong(t *testing.T) {
	s := connects(t)
	program, file := binaries.Build(t, apart), filepath.Join(s.dir, "port")
	refused := func(o outcome, want string) {
		t.Helper()
		o.says(t, "broken", want, "rankpool serve --service")
		if o.code != 1 {
			t.Errorf("status %d, want 1", o.code)
		}
	}
	refused(s.under(t, "nobody", "node1", program, "-start", "1m"), `the name server knows no "nobody"`)
	refused(s.alone(t, "file:"+file, program, "-start", "1s"), "there is no file")
	ended := s.serve(t, program, "--keep", "--service", "file:"+file)
	s.under(t, "file:"+file, "node1", program, "-start", "30s", "kill").says(t, "broken: true")
	if o := ended(); o.code == 0 {
		t.Error("the server that was killed ended with status 0")
	}
	refused(s.alone(t, "file:"+file, program, "-start", "1s"), "does not answer, it has ended or cannot be reached: ")
	// A host that has gone answers nothing at all.
	ended = s.serve(t, program, "--keep", "--service", "file:"+file)
	var left struct{ Pid int }
	s.alone(t, "file:"+file, program).succeeded(t)
	if text, err := os.ReadFile(file); err != nil || json.Unmarshal(text, &left) != nil {
		t.Fatalf("%v: %s", err, text)
	}
	if err := s.wire("node2", "down"); err != nil {
		t.Fatal(err)
	}
	refused(s.alone(t, "file:"+file, program, "-start", "1s"), `(?s)cannot be reached: .*(i/o timeout|no route to host|deadline exceeded)`)
	if err := s.wire("node2", "up"); err != nil {
		t.Fatal(err)
	}
	// As rank 0 of node2, and so as this cluster, counts processes.
	if out, err := exec.Command(s.enter, "node2", "sh", "-c", "kill -TERM "+strconv.Itoa(left.Pid)).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	ended().succeeded(t)
}

// Open MPI 4 would crash an mpiexec, or wait without end.
func TestRanksOnAnotherHostThanTheirMpiexecsAreNoServerAndNoMaster(t *testing.T) {
	s := connects(t)
	program := binaries.Build(t, apart)
	const want = "start mpiexec on the host that is to have all of its ranks"
	for name, j := range map[string]mpitest.Job{
		"a server of two hosts":        s.job("node2", "node2:1,node3:1", 2, command(t), "serve", program),
		"one that rankpool starts not": s.job("node2", "node2:1,node3:1", 2, program),
		"a master elsewhere":           s.job("node1", "node3:1", 1, program, "-service", "anything"),
	} {
		j.Env = environment("RANKPOOL_LOG=off") // the log repeats why the pool broke
		if name == "one that rankpool starts not" {
			j.Env = environment("RANKPOOL_LOG=off", "RANKPOOL_SERVE=anything")
		}
		r, err := mpitest.Run(t.Context(), j)
		if o := finished(t, s.dir, r, err); o.code == 0 || strings.Count(o.output, want) != 1 {
			t.Errorf("%s: status %d; want another one, and %q once:\n%s", name, o.code, want, o.output)
		}
	}
}

func TestServersAndMastersUnderSlurm(t *testing.T) {
	s := connects(t)
	program := binaries.Build(t, apart)
	t.Run("srun says that it cannot", func(t *testing.T) {
		for _, args := range [][]string{
			{"srun", "--mpi=" + right(), "-N", "2", "-n", "2", command(t), "serve", program},
			{"srun", "--mpi=" + right(), "-n", "1", program, "-service", "anything"},
		} {
			o := slurmRun(t, []string{"OMPI_MCA_pmix_server_uri=file:" + s.uri, "RANKPOOL_LOG=off"}, args...)
			if o.code == 0 || strings.Count(o.output, "start it from the job script with `mpiexec --ompi-server") != 1 {
				t.Errorf("%q: status %d; want another one, and the advice once:\n%s", args, o.code, o.output)
			}
		}
	})
	t.Run("a job script", func(t *testing.T) {
		slurm(t)
		o := sbatch(t, "#SBATCH --nodes=1 --ntasks=3 --time=2",
			"mpiexec."+library+" --host $(hostname):2 --bind-to none --ompi-server file:"+s.uri+" -n 2 "+command(t)+" serve --port-file port "+program+" &",
			program+" -service file:port", "status=$?", "wait", "exit $status").succeeded(t)
		o.says(t, "backend mpi, workers 2, sum 110", "has closed its pool")
	})
}
