//go:build unix

package command_test

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/rankpool/rankpool/internal/mpi/mpitest"
)

// nameServer starts a name server for a test and returns the file in which it says where it is.
func nameServer(t *testing.T) string {
	t.Helper()
	for _, program := range []string{"mpiexec.openmpi", "ompi-server"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Skip(err)
		}
	}
	t.Setenv("XDG_CONFIG_HOME", t.TempDir()) // for the secret
	uri := filepath.Join(t.TempDir(), "uri")
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_, _ = mpitest.Command{Args: []string{"ompi-server", "--no-daemonize", "-r", uri}, Env: rootMay, Limit: limit}.Run(ctx)
	}()
	t.Cleanup(func() {
		cancel()
		<-ended
	})
	eventually(t, "the name server says where it is", func() bool {
		text, err := os.ReadFile(uri)
		return err == nil && strings.HasSuffix(string(text), "\n")
	})
	return uri
}

// waits is what a server says when it waits for a master. A master waits for its server too, but not for long.
const waits = "workers wait for a master at"

// serving runs a server on several ranks, and returns when that waits for masters, or has ended.
func (c call) serving(t *testing.T, n int, uri string) (served <-chan result) {
	t.Helper()
	ended, ready := make(chan result, 1), make(chan struct{})
	tell := sync.OnceFunc(func() { close(ready) })
	c.tells = mpitest.Signals{{Seen: waits, Tell: tell}}
	go func() {
		defer tell()
		ended <- c.ranks(t, "openmpi", n, "--ompi-server", "file:"+uri)
	}()
	<-ready
	return ended
}

func TestServeStartsWorkersThatAMasterConnectsTo(t *testing.T) {
	uri := nameServer(t)
	program := filepath.Join(t.TempDir(), "built")
	call{args: []string{"build", "--mpi", "openmpi", "-o", program, "./testdata/greet"}}.run(t).expect(t, 0)
	file := filepath.Join(t.TempDir(), "port")
	for name, tt := range map[string]struct {
		options []string
		place   string
	}{
		"a port file": {[]string{"--port-file", file}, "file:" + file}, "a name": {[]string{"--service=greeters"}, "greeters"},
		"the default": {nil, "rankpool"}, "the environment": {nil, "from-outside"}, "an address": {[]string{"-s", "tcp::31417"}, "tcp::31417"},
	} {
		t.Run(name, func(t *testing.T) {
			server := call{args: append(append([]string{"serve"}, tt.options...), program, "-x")}
			if name == "the environment" {
				server.env = []string{"RANKPOOL_SERVICE=" + tt.place}
			}
			served := server.serving(t, 3, uri)
			master := call{args: []string{"run", program, "-x"}, env: []string{"RANKPOOL_SERVICE=" + tt.place}}
			master.ranks(t, "openmpi", 1, "--ompi-server", "file:"+uri).expect(t, 0, `sum 30 by 3 mpi; `)
			(<-served).expect(t, 0, "3 "+waits+" "+tt.place)
		})
	}
}

func TestServeBuildsWhatItServes(t *testing.T) {
	uri := nameServer(t)
	served := start("serve", "-s", "built", greet).serving(t, 2, uri)
	master := start("run", greet)
	master.env = []string{"RANKPOOL_SERVICE=built"}
	master.ranks(t, "openmpi", 1, "--ompi-server", "file:"+uri).expect(t, 0, `sum 30 by 2 mpi; `)
	r := <-served
	r.expect(t, 0)
	tidied(t, r.folder)
}

func TestServeSaysAtOnceWhatItLacks(t *testing.T) {
	start("serve", greet).run(t).expect(t, 1, "a server is a job of its own", "mpiexec --ompi-server file:URIFILE -n N rankpool serve PROGRAM")
	onEach(t, func(t *testing.T, library string) {
		want := map[string]string{
			"openmpi": "ompi-server --no-daemonize -r URIFILE", "mpich": "start master and workers together, with `mpiexec -n N`",
		}[library]
		r := start("serve", greet).ranks(t, library, 2)
		if r.expect(t, 1, want); strings.Count(r.out, want) != 1 {
			t.Errorf("it is not said once:\n%s", r.out)
		}
	})
}

func TestServeRefusesAPlaceThatMakesNoSense(t *testing.T) {
	for _, args := range [][]string{
		{"-s", "a/b", greet}, {"-s", "a name", greet}, {"-s", "file:", greet}, {"-s", "a", "--port-file", "b", greet}, {"-s", "tcp:a", "--bind", "b", greet}, {"--port-file"}, {"-s", "x"},
	} {
		start(append([]string{"serve"}, args...)...).run(t).expect(t, 1, "Usage: rankpool serve [flags] TARGET [args ...]")
	}
}
