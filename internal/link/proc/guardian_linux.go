package proc

import (
	"fmt"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// guardianVariable makes a process the guardian of a program: it holds the program's process number and family.
const guardianVariable = "RANKPOOL_GUARDIAN"

// guardianName is what the guardian is called, in place of the program: a command that ends all processes of the program by their
// name leaves it alive.
const guardianName = "rankpool-guard"

// becomeGuardian does not return in a guardian.
func becomeGuardian() {
	if value := os.Getenv(guardianVariable); value != "" {
		guard(value)
		os.Exit(0)
	}
}

// guard waits for the end of the program and ends what its workers and their tasks have left.
func guard(value string) {
	var master int
	var of uint64
	if _, err := fmt.Sscanf(value, "%d:%x", &master, &of); err != nil {
		return
	}
	signal.Ignore() // its end is the program's business alone
	_ = clearMark(os.Getpid())
	_ = os.WriteFile("/proc/self/comm", []byte(guardianName), 0)
	_ = os.Chdir("/")
	fds := []unix.PollFd{{Fd: guardianFd, Events: unix.POLLIN}} // the end of file is the end of every process that can have the other end
	if fd, err := unix.PidfdOpen(master, 0); err == nil && os.Getppid() == master {
		fds = append(fds, unix.PollFd{Fd: int32(fd), Events: unix.POLLIN}) // which may be more than the program
	}
	_, _ = poll(fds, -1)
	endLineage(func() []int {
		return processesWith(func(mark uint64) bool { return familyOf(mark) == of })
	}, os.Getpid(), false)
}

// guardianFd is where the guardian has its end of the pipe.
const guardianFd = 3

// guardian is the process that outlives this one for a moment when it is killed. It lives while a group is open.
var guardian struct {
	mu    sync.Mutex
	users int
	child *guardianProcess
}

type guardianProcess struct {
	done chan struct{} // closed when there is no process any more, or will be none

	mu       sync.Mutex
	process  *os.Process // nil until it has started
	unwanted bool
}

// needGuardian says that a group is open.
func needGuardian() {
	guardian.mu.Lock()
	defer guardian.mu.Unlock()
	guardian.users++
}

// dropGuardian says that a group has gone, with all its workers, and ends the guardian after the last one.
func dropGuardian() {
	guardian.mu.Lock()
	var last *guardianProcess
	if guardian.users--; guardian.users == 0 {
		last, guardian.child = guardian.child, nil
	}
	guardian.mu.Unlock()
	if last != nil {
		last.end()
	}
}

// haveGuardian starts the guardian, unless it lives. It does not block, and is called by a user after each start of a
// worker: one that somebody has killed is replaced then.
func haveGuardian() {
	guardian.mu.Lock()
	defer guardian.mu.Unlock()
	if c := guardian.child; c != nil {
		select {
		case <-c.done:
		default:
			return
		}
	}
	guardian.child = &guardianProcess{done: make(chan struct{})}
	go guardian.child.run()
}

// run starts the process and waits for its end. Without it workers still end with their master, and what their tasks have
// started does not.
func (c *guardianProcess) run() {
	defer close(c.done)
	theirs, ours, err := os.Pipe()
	if err != nil {
		return
	}
	defer ours.Close()
	process, err := startGuardian(theirs)
	_ = theirs.Close()
	if err != nil {
		return
	}
	_ = clearMark(process.Pid) // of the worker that this process may be itself
	c.mu.Lock()
	c.process = process
	if c.unwanted {
		_ = process.Kill()
	}
	c.mu.Unlock()
	_, _ = process.Wait()
}

func startGuardian(pipe *os.File) (*os.Process, error) {
	if err := probe(ownExecutable); err != nil {
		return nil, err
	}
	empty, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		return nil, err
	}
	defer empty.Close()
	return os.StartProcess(ownExecutable, []string{fmt.Sprintf("%s of process %d", guardianName, os.Getpid())}, &os.ProcAttr{
		Env:   settle(append(os.Environ(), fmt.Sprintf("%s=%d:%x", guardianVariable, os.Getpid(), family()), "GOMAXPROCS=1")),
		Files: []*os.File{empty, empty, empty, pipe},
		Sys:   &syscall.SysProcAttr{Setsid: true}, // a signal to the program's process group leaves it alive
	})
}

// end kills the process and waits until it is gone.
func (c *guardianProcess) end() {
	c.mu.Lock()
	c.unwanted = true
	if c.process != nil {
		_ = c.process.Kill()
	}
	c.mu.Unlock()
	select {
	case <-c.done:
	case <-time.After(grace): // its start hangs; it will not go on
	}
}
