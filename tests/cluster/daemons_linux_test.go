package cluster_test

import (
	"bytes"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/rankpool/rankpool/internal/mpi/mpitest"
	"github.com/rankpool/rankpool/internal/testkit"
)

// Since version 5 of Open MPI servers and masters are jobs of the same daemons, which may be on several hosts.

// withDaemons starts daemons on three hosts, or skips the test.
func withDaemons(t *testing.T) serving {
	t.Helper()
	if err := needsMPI(); err != nil {
		t.Skip(err)
	}
	if library != "openmpi" || !mpitest.VersionOf(library).PRRTE() {
		t.Skip("daemons of several jobs (prte) are there since Open MPI 5")
	}
	if _, err := exec.LookPath("prte"); err != nil {
		t.Skip(err)
	}
	dir := t.TempDir()
	t.Setenv("XDG_CONFIG_HOME", dir) // for the secret
	s := serving{hosts(t), dir, filepath.Join(dir, "uri")}
	server, _ := mpitest.NameServer(library, s.uri)
	server.Args = append(append(s.on("node1"), server.Args...), "--host", "node1:2,node2:2,node3:2")
	server.Env = append(server.Env, "PRTE_MCA_plm_ssh_agent="+s.agent)
	server.Limit = testkit.Suite
	s.background(t, server.Run)
	s.reports(t)
	return s
}

// daemonJob is a job of the daemons, on some of the hosts.
func (s serving) daemonJob(hosts string, ranks int, program string, args ...string) mpitest.Job {
	_, options := mpitest.NameServer(library, s.uri)
	return mpitest.Job{
		Prefix: s.on("node1"), Ranks: ranks, Program: program, Args: args, Limit: limit, Env: environment(),
		Options: append(options, "-wdir", s.dir, "-H", hosts),
	}
}

func TestAServerOfSeveralHostsAndItsMasterAreJobsOfTheSameDaemons(t *testing.T) {
	want := onThreads(t, "julia").picture(t)
	julia, cpi := build(t, "julia"), build(t, "cpi")
	serve := func(t *testing.T, s serving, program string, options ...string) (ended func() outcome) {
		t.Helper()
		j := s.daemonJob("node2:2,node3:2", 4, command(t), append(append([]string{"serve", "--bind", "node2"}, options...), program)...)
		return s.waiting(t, j)
	}
	master := func(t *testing.T, s serving, place, program string, args ...string) outcome {
		t.Helper()
		j := s.daemonJob("node1:1", 1, program, args...)
		j.Env = environment("RANKPOOL_SERVICE=" + place)
		r, err := mpitest.Run(t.Context(), j)
		return finished(t, s.dir, r, err)
	}
	// Each has daemons of its own, and the status of the server's mpiexec is not looked at: those of 5.0.7 on several hosts are often broken
	// after the first meeting, and say then that they have lost each other.
	t.Run("file", func(t *testing.T) {
		s := withDaemons(t)
		file := "file:" + filepath.Join(s.dir, "port")
		ended := serve(t, s, julia, "--service", file)
		o := master(t, s, file, julia).succeeded(t)
		if o.says(t, "backend mpi, workers 4, tasks 960,"); !bytes.Equal(o.picture(t), want) {
			t.Error("julia.pgm differs from the one that goroutines computed")
		}
		ended().says(t, `the master \(process \d+ on node1\) has closed its pool`)
	})
	t.Run("name", func(t *testing.T) {
		s := withDaemons(t)
		ended := serve(t, s, cpi, "--service", "pi")
		o := master(t, s, "pi", cpi, "128").succeeded(t)
		if d := cmp.Diff([]string{ofFour}, o.lines()); d != "" {
			t.Error(d)
		}
		ended().says(t, `the master \(process \d+ on node1\) has closed its pool`)
	})
}
