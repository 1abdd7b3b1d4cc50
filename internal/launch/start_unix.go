//go:build unix

package launch

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/rankpool/rankpool/internal/command"
	"github.com/rankpool/rankpool/internal/mpi"
)

// become turns this process into the program, which keeps its number, its place in the job and its descriptors. It returns
// only when that failed.
func (p *program) become() error {
	path, err := p.prepare()
	if err != nil {
		return err
	}
	if p.tidies {
		if err := p.folder.leaveTidy(); err != nil {
			return err
		}
	}
	return p.failed(syscall.Exec(path, p.argv, childEnv()))
}

// prepare makes the lock outlive exec, and returns what to execute.
func (p *program) prepare() (path string, err error) {
	if p.folder == nil {
		return p.path, nil
	}
	if err := p.folder.lock.keep(); err != nil {
		return "", err
	}
	if path, err = p.folder.executable(); err != nil {
		return "", p.failed(err)
	}
	return path, nil
}

func (p *program) failed(err error) error {
	why := fmt.Errorf("cannot execute %s: %w", p.name(), err)
	if errors.Is(err, os.ErrPermission) && p.folder != nil {
		why = fmt.Errorf("%w: is its file system mounted noexec? choose another folder with --dir or RANKPOOL_RUN_DIR", why)
	}
	if errors.Is(err, unix.ENOEXEC) {
		why = fmt.Errorf("%w: it was built for another kind of machine", why)
	}
	return why
}

// leaveTidy starts a process that waits until nobody needs the folder, and removes it. It is in no group and no terminal of
// ours, and inherits nothing but the folder that this one is in: MPICH's launcher waits for whoever has one of its sockets.
func (f *folder) leaveTidy() error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	root, err := f.root.Open(".")
	if err != nil {
		return err
	}
	defer root.Close()
	cmd := exec.Command(self, "tidy", f.name)
	cmd.Dir = "/"
	cmd.Env = []string{}
	cmd.ExtraFiles = []*os.File{root}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	restore := keepToOurselves()
	defer restore()
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("cannot start the process that cleans up: %w", err)
	}
	return cmd.Process.Release()
}

// keepToOurselves closes this process's descriptors to its children until restore is called.
func keepToOurselves() (restore func()) {
	var open []int
	entries, _ := filepath.Glob("/dev/fd/*")
	for _, e := range entries {
		fd, err := strconv.Atoi(filepath.Base(e))
		if err != nil || fd < 3 {
			continue
		}
		if flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0); err == nil && flags&unix.FD_CLOEXEC == 0 {
			open = append(open, fd)
			unix.CloseOnExec(fd)
		}
	}
	return func() {
		for _, fd := range open {
			_, _ = unix.FcntlInt(uintptr(fd), unix.F_SETFD, 0)
		}
	}
}

// inherited is the descriptor of the folder that leaveTidy hands on.
const inherited = 3

// Tidy is what leaveTidy starts: it removes a folder of the inherited one. It blocks until nobody needs that.
func Tidy(name string) error {
	signal.Ignore(unix.SIGINT, unix.SIGTERM, unix.SIGHUP)
	if err := unix.Fchdir(inherited); err != nil {
		return err
	}
	root, err := os.OpenRoot(".")
	if err != nil {
		return err
	}
	if err := os.Chdir("/"); err != nil {
		return err
	}
	f, err := take(root, name, true)
	if err != nil {
		return err // no locks here, or removed by somebody else
	}
	defer f.close()
	return f.remove()
}

// findAbortWire returns the connection to MPICH's launcher, which takes no notice of a rank that fails before it has
// initialised MPI, but obeys one that asks for the end of the job. Every other launcher ends the job by itself.
func findAbortWire(l mpi.Launcher) io.Writer {
	if l.Family != mpi.MPICH || l.Size < 2 {
		return nil
	}
	fd, err := strconv.Atoi(os.Getenv("PMI_FD"))
	if err != nil || fd < 3 {
		return nil
	}
	if _, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0); err != nil {
		return nil
	}
	return descriptor(fd)
}

// descriptor is a descriptor that somebody else has opened. It stays open to the program.
type descriptor int

func (d descriptor) Write(p []byte) (int, error) { return unix.Write(int(d), p) }

// supervise runs the program as a child and ends as it does, but never by a signal: the status is then 128 and its number.
// With a wire it has MPICH's launcher end the job when the program fails. This process outlives every signal that the
// program may want to see: launchers send them to both, as a terminal does.
func (p *program) supervise(wire io.Writer) error {
	path, err := p.prepare()
	if err != nil {
		return err
	}
	cmd := exec.Command(path)
	cmd.Args, cmd.Env = p.argv, childEnv()
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	for _, s := range []os.Signal{unix.SIGINT, unix.SIGTERM, unix.SIGHUP, unix.SIGUSR1, unix.SIGUSR2, unix.SIGQUIT} {
		if !signal.Ignored(s) { // or the program would not ignore it any more, as nohup has it
			signal.Notify(make(chan os.Signal, 1), s)
		}
	}
	if err := cmd.Start(); err != nil {
		return p.failed(err)
	}
	if p.tidies {
		_ = p.folder.leaveTidy()
	}
	if cmd.Wait() == nil {
		return nil
	}
	status := max(statusOf(cmd.ProcessState), command.Failure)
	if wire == nil {
		return &command.SilentError{Status: status}
	}
	awaitReaders()
	_, _ = fmt.Fprintf(wire, "cmd=abort exitcode=%d\n", status) // an error: there is no launcher any more to tell
	time.Sleep(abortLimit)
	return &command.SilentError{Status: status}
}

// abortLimit is how long the launcher may take to end this process, before it ends with the program's status by itself.
const abortLimit = 2 * time.Second

// awaitReaders waits until the launcher has read what the program has printed: it drops what it has not when it ends a job.
// It ends after a second, read or not.
func awaitReaders() {
	for range 100 {
		unread := 0
		for _, f := range []*os.File{os.Stdout, os.Stderr} {
			unread += unreadBytes(int(f.Fd()))
		}
		time.Sleep(10 * time.Millisecond) // also for what the launcher has read and not yet passed on
		if unread == 0 {
			break
		}
	}
	time.Sleep(100 * time.Millisecond)
}

// statusOf is how a process ended, as a shell reports it.
func statusOf(state *os.ProcessState) int {
	if ws, ok := state.Sys().(syscall.WaitStatus); ok && ws.Signaled() {
		return 128 + int(ws.Signal())
	}
	return state.ExitCode()
}
