//go:build unix

package proc_test

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rankpool/rankpool/internal/link"
	"github.com/rankpool/rankpool/internal/link/proc"
	"github.com/rankpool/rankpool/internal/testkit"
)

var patience = testkit.Limit

// events is a handler with one channel for each kind of call.
type events struct {
	frames chan link.Frame
	losses chan link.Loss
}

func newEvents() events {
	return events{frames: make(chan link.Frame, 100), losses: make(chan link.Loss, 100)}
}

func (e events) Receive(_ int, f link.Frame) { e.frames <- f }
func (e events) Lost(_ int, l link.Loss)     { e.losses <- l }

func (e events) frame(t *testing.T) link.Frame {
	t.Helper()
	select {
	case f := <-e.frames:
		return f
	case l := <-e.losses:
		select {
		case f := <-e.frames: // it came before the loss, and the select takes either
			e.losses <- l
			return f
		default:
			t.Fatalf("lost: %v", l.Err)
		}
	case <-time.After(patience):
		t.Fatal("no frame")
	}
	return link.Frame{}
}

func (e events) loss(t *testing.T) link.Loss {
	t.Helper()
	select {
	case l := <-e.losses:
		return l
	case <-time.After(patience):
		t.Fatal("no loss")
	}
	return link.Loss{}
}

// acting starts a group whose one worker does an act.
func acting(t *testing.T, act string, cfg proc.Config) (*proc.Group, events) {
	t.Helper()
	cfg.Slots = max(cfg.Slots, 1)
	if cfg.Args == nil {
		cfg.Args = []string{}
	}
	cfg.Env = append(cfg.Env, roleVariable+"="+act, quickExit)
	g, e := proc.New(cfg), newEvents()
	if _, err := g.Open(context.Background(), e); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := g.Close(ctx); err != nil {
			t.Error(err)
		}
	})
	g.Start(0)
	return g, e
}

func number(t *testing.T, f link.Frame) int {
	t.Helper()
	n, err := strconv.Atoi(string(f.Stream))
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// until waits for what no event tells, such as the end of a process that is not ours.
func until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	testkit.Until(t, what, ok)
}

// gone tells whether a process has ended; one that nobody has reaped yet, or that somebody is reaping, has.
func gone(pid int) bool {
	if errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) {
		return true
	}
	stat, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "stat"))
	if err != nil { // it may have been reaped meanwhile
		return errors.Is(syscall.Kill(pid, 0), syscall.ESRCH)
	}
	_, state, _ := strings.Cut(string(stat), ") ")
	return strings.HasPrefix(state, "Z") || strings.HasPrefix(state, "X")
}

// stop stops a process and waits until none of its threads runs: one that is on another processor goes on for a moment.
func stop(t *testing.T, pid int) {
	t.Helper()
	if err := syscall.Kill(pid, syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	until(t, "the stop of all threads", func() bool {
		threads, _ := filepath.Glob(filepath.Join("/proc", strconv.Itoa(pid), "task", "*", "stat"))
		return !slices.ContainsFunc(threads, func(name string) bool {
			stat, err := os.ReadFile(name)
			_, state, _ := strings.Cut(string(stat), ") ")
			return err == nil && !strings.HasPrefix(state, "T")
		})
	})
}

// doomed starts this program in a role of a master and returns the numbers it prints.
func doomed(t *testing.T, role string) (master *exec.Cmd, pids []int) {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat("/proc/self/exe"); err != nil {
		t.Skip("only Linux ends what is stopped or busy with its master")
	}
	master = exec.Command(exe)
	master.Env = append(os.Environ(), roleVariable+"="+role)
	master.Stderr = os.Stderr
	master.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	out, err := master.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := master.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = master.Process.Kill()
		_ = master.Wait()
	})
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	for s := range strings.FieldsSeq(line) {
		pid, err := strconv.Atoi(s)
		if err != nil {
			t.Fatalf("the master said %q", line)
		}
		pids = append(pids, pid)
	}
	return master, pids
}

func TestNoWorkerSurvivesAMasterThatIsKilled(t *testing.T) {
	master, workers := doomed(t, "master")
	if len(workers) != 5 || slices.ContainsFunc(workers, gone) {
		t.Fatalf("workers %v, want five that live", workers)
	}
	_ = master.Process.Kill()
	until(t, "the end of the workers", func() bool {
		return !slices.ContainsFunc(workers, func(pid int) bool { return !gone(pid) })
	})
}

func TestAJournalSurvivesItsKilledWorker(t *testing.T) {
	_, e := acting(t, "journal", proc.Config{})
	pid := number(t, e.frame(t))
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	l := e.loss(t)
	var exit *link.ExitError
	if !errors.As(l.Err, &exit) {
		t.Fatalf("Err = %v, want an ExitError", l.Err)
	}
	host, _ := os.Hostname()
	want := &link.ExitError{Pid: pid, Host: host, Status: "signal: killed", Signal: "killed", Code: -1}
	if diff := cmp.Diff(want, exit); diff != "" {
		t.Errorf("the error (-want +got):\n%s", diff)
	}
	l.Err = nil
	if diff := cmp.Diff(link.Loss{Proof: true, Finished: 4, Picked: 5, Salvage: []byte("done")}, l); diff != "" {
		t.Errorf("the loss (-want +got):\n%s", diff)
	}
}

func TestAnExitIsTold(t *testing.T) {
	for act, want := range map[string]string{
		"exit 3":  "ended: exit status 3",
		"exit 0":  "ended: exited with status 0 before it had closed",
		"garbage": "ended: signal: killed: proc: the socket carries something that is not a frame",
	} {
		t.Run(act, func(t *testing.T) {
			_, e := acting(t, act, proc.Config{})
			if l := e.loss(t); l.Err == nil || !strings.Contains(l.Err.Error(), want) {
				t.Errorf("Err = %v, want %q", l.Err, want)
			}
		})
	}
}

func TestAWorkerIsSetUpForItsPlace(t *testing.T) {
	t.Setenv("GOMAXPROCS", "")
	t.Setenv("GOMEMLIMIT", "9GiB")
	_, e := acting(t, "report", proc.Config{Slots: 8, Args: []string{"-a", "b c"}})
	want := fmt.Sprintf(`variable="" worker=true input="" err=<nil> procs=%d limit="1073741824" args=["-a" "b c"]`, max(1, runtime.GOMAXPROCS(0)/8))
	if diff := cmp.Diff(want, string(e.frame(t).Stream)); diff != "" {
		t.Errorf("the worker's report (-want +got):\n%s", diff)
	}
}

func TestTheUsersLimitsAreKept(t *testing.T) {
	t.Setenv("GOMEMLIMIT", "off")
	_, e := acting(t, "report", proc.Config{Slots: 8, Env: []string{"GOMAXPROCS=7"}})
	if got := string(e.frame(t).Stream); !strings.Contains(got, `procs=7 limit="off"`) {
		t.Errorf("the worker reports %s", got)
	}
}

func TestAVariableSetByHandIsRefusedAndRemoved(t *testing.T) {
	if proc.IsWorker() {
		t.Fatal("this process takes itself for a worker")
	}
	t.Setenv("RANKPOOL_WORKER", "yes")
	if !proc.IsWorker() {
		t.Error("IsWorker does not see the variable")
	}
	if _, ok, err := proc.Attach(); ok || err == nil || !strings.Contains(err.Error(), "RANKPOOL_WORKER") {
		t.Errorf("Attach = %v, %v, want an error that names the variable", ok, err)
	}
	if _, ok, err := proc.Attach(); ok || err != nil || proc.IsWorker() {
		t.Errorf("after the variable was removed: %v, %v", ok, err)
	}
}

func TestASignalToTheWholeGroupEndsNoWorkerAndIsNotIgnoredByItsChildren(t *testing.T) {
	g, e := acting(t, "signalled", proc.Config{})
	want, err := exec.Command("sh", "-c", showIgnored).Output()
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(e.frame(t).Stream)); diff != "" {
		t.Errorf("what a child ignores (-want +got):\n%s", diff)
	}
	if err := g.Close(context.Background()); err != nil {
		t.Fatal(err)
	}
	if l := e.loss(t); l.Err != nil {
		t.Errorf("Err = %v", l.Err)
	}
}

func TestASignalThatComesWhileAWorkerStartsDoesNotEndIt(t *testing.T) {
	_, e := acting(t, "idle", proc.Config{Env: []string{earlyVariable + "=1"}})
	e.frame(t)
}

func TestAnAbortShowsWhereAWorkerHangs(t *testing.T) {
	stderr := discard(t)
	_, e := acting(t, "hang", proc.Config{Stderr: stderr})
	if err := syscall.Kill(number(t, e.frame(t)), syscall.SIGABRT); err != nil {
		t.Fatal(err)
	}
	e.loss(t)
	if said, err := os.ReadFile(stderr.Name()); err != nil || !strings.Contains(string(said), "hangHere") {
		t.Errorf("%v: the worker says\n%s", err, said)
	}
}

func TestALocalValueFailsTheWorker(t *testing.T) {
	g, e := acting(t, "idle", proc.Config{})
	g.Send(0, link.Frame{Local: 1})
	if l := e.loss(t); !errors.Is(l.Err, link.ErrLocal) {
		t.Errorf("Err = %v, want ErrLocal", l.Err)
	}
	_, e = acting(t, "local", proc.Config{})
	if got := string(e.frame(t).Stream); got != link.ErrLocal.Error() {
		t.Errorf("the worker's Send of a Local value returned %q", got)
	}
}

func TestAnHeirOfTheSocketDoesNotDelayTheLoss(t *testing.T) {
	if _, err := os.Stat("/proc/self/exe"); err != nil {
		t.Skip("only Linux tells of the end of a process that has left its socket to another")
	}
	g, e := acting(t, "heir", proc.Config{})
	g.Send(0, link.Frame{})
	heir := number(t, e.frame(t))
	defer func() { _ = syscall.Kill(heir, syscall.SIGKILL) }()
	if l := e.loss(t); l.Err == nil || !strings.Contains(l.Err.Error(), "exit status 3") {
		t.Errorf("Err = %v", l.Err)
	}
	if gone(heir) {
		t.Error("the heir has ended: the test shows nothing")
	}
}

func TestAStoppedWorkerCanBeKilledAndClosed(t *testing.T) {
	g, e := acting(t, "idle", proc.Config{})
	stop(t, number(t, e.frame(t)))
	g.Kill(0, errors.New("too slow"))
	if l := e.loss(t); l.Err == nil || !strings.HasSuffix(l.Err.Error(), "signal: killed: too slow") {
		t.Errorf("Err = %v", l.Err)
	}
	g.Start(0)
	pid := number(t, e.frame(t))
	stop(t, pid)
	ended, cancel := context.WithCancel(context.Background())
	cancel()
	if err := g.Close(ended); !errors.Is(err, context.Canceled) || !strings.Contains(err.Error(), "worker 0 (process "+strconv.Itoa(pid)+")") {
		t.Errorf("Close = %v, want it to name the worker", err)
	}
	if !errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) {
		t.Error("the worker was not reaped")
	}
}

func TestAStartThatFailsIsALossThatSaysWhatToDo(t *testing.T) {
	cases := map[string]struct {
		cfg  proc.Config
		want string
	}{
		"no such program": {proc.Config{Executable: "/no/such/program"}, "a program that this user may execute"},
		"too long":        {proc.Config{Args: []string{strings.Repeat("x", 8<<20)}}, "too long together"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			_, e := acting(t, "idle", c.cfg)
			if l := e.loss(t); l.Err == nil || !strings.Contains(l.Err.Error(), c.want) {
				t.Errorf("Err = %v, want %q in it", l.Err, c.want)
			}
		})
	}
	t.Run("no files", func(t *testing.T) {
		var before syscall.Rlimit
		if err := syscall.Getrlimit(syscall.RLIMIT_FSIZE, &before); err != nil {
			t.Fatal(err)
		}
		g, e := acting(t, "idle", proc.Config{Slots: 2})
		e.frame(t)
		if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &syscall.Rlimit{Cur: 1000, Max: before.Max}); err != nil {
			t.Fatal(err)
		}
		g.Start(1)
		l := e.loss(t)
		if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &before); err != nil {
			t.Fatal(err)
		}
		if !errors.Is(l.Err, syscall.EFBIG) || !strings.Contains(l.Err.Error(), "ulimit -f") {
			t.Errorf("Err = %v, want EFBIG and what to do", l.Err)
		}
	})
	t.Run("no descriptors", func(t *testing.T) {
		var before syscall.Rlimit
		if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &before); err != nil {
			t.Fatal(err)
		}
		g, e := acting(t, "idle", proc.Config{Slots: 2})
		e.frame(t)
		if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &syscall.Rlimit{Cur: 3, Max: before.Max}); err != nil {
			t.Fatal(err)
		}
		g.Start(1)
		l := e.loss(t)
		if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &before); err != nil {
			t.Fatal(err)
		}
		if !errors.Is(l.Err, syscall.EMFILE) || !strings.Contains(l.Err.Error(), "ulimit -n") {
			t.Errorf("Err = %v, want EMFILE and advice", l.Err)
		}
		g.Start(1)
		e.frame(t)
	})
}

func TestNothingRemainsOf200Groups(t *testing.T) {
	groups := 200
	if testing.Short() {
		groups = 20
	}
	files := func() int {
		d, err := os.ReadDir("/dev/fd")
		if err != nil {
			t.Fatal(err)
		}
		return len(d)
	}
	before := 0
	for i := range groups {
		g, e := proc.New(proc.Config{Slots: 2, Args: []string{}, Env: []string{roleVariable + "=idle", quickExit}}), newEvents()
		if _, err := g.Open(context.Background(), e); err != nil {
			t.Fatal(err)
		}
		g.Start(0)
		g.Start(1)
		workers := []int{number(t, e.frame(t)), number(t, e.frame(t))}
		if err := g.Close(context.Background()); err != nil {
			t.Fatal(err)
		}
		for _, pid := range workers {
			if !errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) {
				t.Fatalf("group %d: process %d remains", i, pid)
			}
		}
		if i == 0 {
			before = files() // with what the runtime keeps open from now on
		}
	}
	until(t, fmt.Sprintf("no more open descriptors than after the first group, %d", before), func() bool { return files() <= before })
}

func TestAFrameMayExceed2GiB(t *testing.T) {
	if testkit.Race || testing.Short() {
		t.Skip("a frame of 3 GiB takes too long with -race, and is left out by -short")
	}
	if strconv.IntSize < 64 {
		t.Skip("a frame of 3 GiB does not fit this machine's addresses")
	}
	size := uint64(3) << 30
	g, e := acting(t, "size", proc.Config{})
	s := make([]byte, size)
	s[0], s[size/2], s[size-1] = 1, 2, 3
	g.Send(0, link.Frame{Segments: [][]byte{s}})
	got := e.frame(t).Stream
	if n := binary.LittleEndian.Uint64(got); n != size || !cmp.Equal(got[8:], []byte{1, 2, 3}) {
		t.Errorf("the worker received %d bytes with %v in them", n, got[8:])
	}
	if err := g.Close(context.Background()); err != nil {
		t.Fatal(err)
	}

	g, e = acting(t, "swell", proc.Config{})
	g.Send(0, link.Frame{Stream: binary.LittleEndian.AppendUint64(nil, size)})
	if s = e.frame(t).Segments[0]; uint64(len(s)) != size || s[0] != 1 || s[size/2] != 2 || s[size-1] != 3 {
		t.Errorf("the master received %d bytes with another content", len(s))
	}
}
