package cluster_test

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// cluster is three hosts on this machine with a network between them.
type cluster struct {
	dir   string // files of the cluster's own; short, for sockets are in it
	names []string
	agent string // what an MPI launcher calls in place of ssh
	enter string // enter HOST COMMAND… runs a command on a host, from outside
	stdin io.Closer
	ended chan struct{}
	pid   int // of the switch, as this test sees it
}

// errUnable says that this machine cannot do it: no fault of the project's.
var errUnable = errors.New("no cluster on this machine")

// theCluster is made for the first test that asks and lasts until closeCluster.
var theCluster = struct {
	sync.Mutex
	made bool
	c    *cluster
	err  error
}{}

// hosts returns the cluster, or skips the test where there can be none.
func hosts(t *testing.T) *cluster {
	t.Helper()
	theCluster.Lock()
	defer theCluster.Unlock()
	if !theCluster.made {
		theCluster.made = true
		theCluster.c, theCluster.err = newCluster("node1", "node2", "node3")
	}
	switch err := theCluster.err; {
	case errors.Is(err, errUnable):
		t.Skip(err)
	case err != nil:
		t.Fatal(err)
	}
	return theCluster.c
}

func closeCluster() error {
	theCluster.Lock()
	defer theCluster.Unlock()
	if theCluster.c == nil {
		return nil
	}
	return theCluster.c.close()
}

// unable returns why there can be no cluster here, as far as that shows beforehand.
func unable() error {
	if os.Geteuid() != 0 {
		return fmt.Errorf("%w: making network namespaces needs root", errUnable)
	}
	for tool, pkg := range map[string]string{"ip": "iproute2", "nsenter": "util-linux"} {
		if _, err := exec.LookPath(tool); err != nil {
			return fmt.Errorf("%w: %s is missing, install %s", errUnable, tool, pkg)
		}
	}
	return nil
}

func newCluster(names ...string) (*cluster, error) {
	if err := unable(); err != nil {
		return nil, err
	}
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "cluster-")
	if err != nil {
		return nil, err
	}
	if err := os.Mkdir(filepath.Join(dir, "tmp"), 0o755); err != nil {
		return nil, err
	}
	c := &cluster{
		dir: dir, names: names, agent: filepath.Join(dir, "agent"), enter: filepath.Join(dir, "enter"), ended: make(chan struct{}),
	}
	cmd := exec.Command(self)
	cmd.Env = append(os.Environ(), roleVar+"=switch", dirVar+"="+dir, hostsVar+"="+strings.Join(names, " "))
	cmd.Stderr = os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: isolation | unix.CLONE_NEWPID}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if c.stdin, err = cmd.StdinPipe(); err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		_ = os.RemoveAll(dir)
		if errors.Is(err, unix.EPERM) || errors.Is(err, unix.EINVAL) || errors.Is(err, unix.ENOSYS) {
			return nil, fmt.Errorf("%w: namespaces cannot be made: %w", errUnable, err)
		}
		return nil, err
	}
	c.pid = cmd.Process.Pid
	late := time.AfterFunc(limit, func() { _ = cmd.Process.Kill() })
	answer, _ := bufio.NewReader(out).ReadString('\n')
	late.Stop()
	go func() {
		_ = cmd.Wait() // how it ends does not matter
		close(c.ended)
	}()
	if answer != "ready\n" {
		_ = c.close()
		kind := errors.New("the cluster does not start")
		if strings.Contains(answer, "not permitted") || strings.Contains(answer, "not supported") || strings.Contains(answer, "not implemented") {
			kind = errUnable
		}
		return nil, fmt.Errorf("%w: %s", kind, strings.TrimSpace(answer))
	}
	return c, c.writeScripts(cmd.Process.Pid)
}

// writeScripts writes how commands come to a host: the one for those who are on another host, and the one for this test.
func (c *cluster) writeScripts(pid int) error {
	agent := fmt.Sprintf(`#!/bin/sh
# agent [options] HOST COMMAND… runs a shell command on a host, as ssh would.
while case ${1-} in -*) ;; *) false ;; esac; do shift; done
host=$1
shift
exec nsenter --target "$(cat '%s'/"$host".pid)" --net --uts --ipc --mount sh -c "$*"
`, c.dir)
	enter := fmt.Sprintf(`#!/bin/sh
# enter HOST COMMAND… runs a command on a host, in the working directory of the caller.
host=$1
shift
export TMPDIR='%[1]s/tmp' HOSTNAME="$host"
exec nsenter --target %[2]d --mount --pid sh -c '
pid=$(cat "$1"); cwd=$2; shift 2
exec nsenter --target "$pid" --net --uts --ipc --mount sh -c "cd \"\$0\" && exec \"\$@\"" "$cwd" "$@"
' sh '%[1]s'/"$host".pid "$PWD" "$@"
`, c.dir, pid)
	return errors.Join(os.WriteFile(c.agent, []byte(agent), 0o755), os.WriteFile(c.enter, []byte(enter), 0o755))
}

// on is the prefix of a command that is to run on a host.
func (c *cluster) on(host string) []string { return []string{c.enter, host} }

// close ends every process of the cluster and removes its files.
func (c *cluster) close() error {
	_ = c.stdin.Close()
	err := error(nil)
	select {
	case <-c.ended:
	case <-time.After(limit):
		err = errors.New("the cluster does not end")
	}
	return errors.Join(err, os.RemoveAll(c.dir))
}
