package cluster_test

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// The roles in which this binary starts itself again, and what it is told about them.
const (
	roleVar  = "CLUSTER_ROLE"
	dirVar   = "CLUSTER_DIR"   // where the cluster's files are
	hostsVar = "CLUSTER_HOSTS" // names, separated by spaces
	hostVar  = "CLUSTER_HOST"  // a host's name and its address
)

// isolation is what a cluster, and each of its hosts, does not share with the machine. What a namespace holds vanishes
// with the last process in it, so there is nothing to take down and no name that could be taken.
const isolation = unix.CLONE_NEWNET | unix.CLONE_NEWUTS | unix.CLONE_NEWIPC | unix.CLONE_NEWNS

// play plays the role this process was started for, if there is one, and ends it.
func play() {
	roles := map[string]func() error{"switch": beSwitch, "host": beHost}
	role := roles[os.Getenv(roleVar)]
	if role == nil {
		return
	}
	if err := role(); err != nil {
		fmt.Println("failed:", err)
		os.Exit(1)
	}
	os.Exit(0)
}

func ip(args ...string) error {
	if out, err := exec.Command("ip", args...).CombinedOutput(); err != nil {
		return fmt.Errorf("ip %s: %w: %s", strings.Join(args, " "), err, out)
	}
	return nil
}

func address(host int) string { return fmt.Sprintf("10.77.0.%d", host+1) }

// beSwitch is the first process of a cluster: number 1 of its process namespace, so all of the cluster ends with it, and it
// ends when its standard input does. Its network namespace holds the bridge between the hosts.
func beSwitch() error {
	dir, names := os.Getenv(dirVar), strings.Fields(os.Getenv(hostsVar))
	switch err := makePrivate(); {
	case errors.Is(err, unix.EINVAL): // the root is no mount
		return leaveChroot()
	case err != nil:
		return err
	}
	if err := unix.Mount("proc", "/proc", "proc", 0, ""); err != nil {
		return fmt.Errorf("mounting /proc: %w", err)
	}
	if err := nameHosts(dir, names); err != nil {
		return err
	}
	if err := ip("link", "add", "switch", "type", "bridge"); err != nil {
		return err
	}
	if err := ip("link", "set", "switch", "up"); err != nil {
		return err
	}
	for i, name := range names {
		if err := addHost(dir, i, name); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	children := make(chan os.Signal, 1)
	signal.Notify(children, unix.SIGCHLD)
	go func() { // whoever loses its parent becomes a child of number 1
		for range children {
			for {
				if pid, err := unix.Wait4(-1, nil, unix.WNOHANG, nil); err != nil && err != unix.EINTR || pid == 0 {
					break
				}
			}
		}
	}()
	fmt.Println("ready")
	_, err := io.Copy(io.Discard, os.Stdin)
	return err
}

// showSystem mounts /sys where it is empty, as in a chroot, for Open MPI's hwloc, Slurm, and MPICH's UCX, which finds the host's
// network there: it shows that of who mounts it.
func showSystem() error {
	if _, err := os.Stat("/sys/devices"); err == nil {
		return nil
	}
	if err := unix.Mount("sysfs", "/sys", "sysfs", 0, ""); err != nil {
		return fmt.Errorf("mounting /sys: %w", err)
	}
	return nil
}

// makePrivate keeps what is mounted here from being mounted elsewhere.
func makePrivate() error {
	if err := unix.Mount("none", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("making the mounts private: %w", err)
	}
	return nil
}

// leaveChroot is for a test that runs in a chroot: it makes that directory the root of this mount namespace, which is where
// nsenter takes the hosts' commands to, and starts this process anew. It needs Linux 5.2.
func leaveChroot() error {
	program, err := os.Executable()
	if err != nil {
		return err
	}
	runtime.LockOSThread() // what follows is about this thread, up to Exec
	root, err := unix.Open("/", unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("opening the root: %w", err)
	}
	self, err := unix.PidfdOpen(os.Getpid(), 0)
	if err != nil {
		return fmt.Errorf("pidfd_open: %w", err)
	}
	tree := -1
	for _, step := range []struct {
		what string
		do   func() error
	}{
		{"a root of its own", func() error { return unix.Unshare(unix.CLONE_FS) }},
		{"leaving the chroot", func() error { return unix.Setns(self, unix.CLONE_NEWNS) }},
		{"outside of the chroot", makePrivate},
		{"open_tree", func() (err error) {
			tree, err = unix.OpenTree(root, "", unix.AT_EMPTY_PATH|unix.AT_RECURSIVE|unix.OPEN_TREE_CLONE|unix.OPEN_TREE_CLOEXEC)
			return err
		}},
		{"move_mount", func() error {
			return unix.MoveMount(tree, "", root, "", unix.MOVE_MOUNT_F_EMPTY_PATH|unix.MOVE_MOUNT_T_EMPTY_PATH)
		}},
		{"entering the new mount", func() error { return unix.Fchdir(tree) }},
		{"pivot_root", func() error { return unix.PivotRoot(".", ".") }},
		{"unmounting what is outside", func() error { return unix.Unmount(".", unix.MNT_DETACH) }},
		{"exec", func() error { return unix.Exec(program, os.Args, os.Environ()) }},
	} {
		if err := step.do(); err != nil {
			return fmt.Errorf("making the chroot the root of the cluster: %s: %w", step.what, err)
		}
	}
	return nil
}

// nameHosts gives the cluster an /etc/hosts of its own.
func nameHosts(dir string, names []string) error {
	lines := []string{"127.0.0.1 localhost"}
	for i, name := range names {
		lines = append(lines, address(i)+" "+name)
	}
	path := filepath.Join(dir, "hosts")
	if err := os.WriteFile(path, []byte(strings.Join(lines, "\n")+"\n"), 0o644); err != nil {
		return err
	}
	f, err := os.OpenFile("/etc/hosts", os.O_CREATE|os.O_RDONLY, 0o644) // a bare Debian has none to mount over
	if err != nil {
		return err
	}
	_ = f.Close()
	if err := unix.Mount(path, "/etc/hosts", "", unix.MS_BIND, ""); err != nil {
		return fmt.Errorf("mounting %s over /etc/hosts: %w", path, err)
	}
	return nil
}

// addHost starts a host, connects it to the bridge and waits until it is up. Its process is never waited for: it ends with
// the cluster.
func addHost(dir string, i int, name string) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	cmd := exec.Command(self)
	cmd.Env = append(os.Environ(), roleVar+"=host", hostVar+"="+name+" "+address(i))
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: isolation}
	in, err := cmd.StdinPipe()
	if err != nil {
		return err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	pid, port := fmt.Sprint(cmd.Process.Pid), fmt.Sprintf("port%d", i+1)
	if err := ip("link", "add", port, "type", "veth", "peer", "name", "eth0", "netns", pid); err != nil {
		return err
	}
	if err := ip("link", "set", port, "master", "switch", "up"); err != nil {
		return err
	}
	if _, err := fmt.Fprintln(in, "connected"); err != nil {
		return err
	}
	if answer, err := bufio.NewReader(out).ReadString('\n'); answer != "ready\n" {
		return fmt.Errorf("%s (%w)", answer, err)
	}
	return os.WriteFile(filepath.Join(dir, name+".pid"), []byte(pid), 0o644)
}

// beHost keeps the namespaces of a host. Shared memory and the directory of temporary files are its own, as on a machine of
// its own; all other files are shared, as a cluster's home directories are.
func beHost() error {
	name, addr, _ := strings.Cut(os.Getenv(hostVar), " ")
	if err := unix.Sethostname([]byte(name)); err != nil {
		return err
	}
	if err := showSystem(); err != nil {
		return err
	}
	for _, dir := range []string{"/dev/shm", filepath.Join(os.Getenv(dirVar), "tmp")} {
		if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "mode=1777"); err != nil {
			return fmt.Errorf("mounting %s: %w", dir, err)
		}
	}
	in := bufio.NewReader(os.Stdin)
	if _, err := in.ReadString('\n'); err != nil {
		return err
	}
	if err := ip("addr", "add", addr+"/24", "dev", "eth0"); err != nil {
		return err
	}
	for _, link := range []string{"lo", "eth0"} {
		if err := ip("link", "set", link, "up"); err != nil {
			return err
		}
	}
	fmt.Println("ready")
	_, err := io.Copy(io.Discard, in)
	return err
}
