//go:build unix

package faults_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/rankpool/rankpool/futures"
)

// directoryVariable tells a role where to leave its traces.
const directoryVariable = "FAULTS_DIR"

// roles are what a master does that a test starts as a program of its own. One that is meant to be ended says when it is
// ready, with the processes of its workers.
var roles = map[string]func(context.Context) error{
	"idle": func(context.Context) error {
		ex := atOnce(futures.NewProcessPoolExecutor(futures.WithMaxWorkers(3)))
		ready(ex)
		select {}
	},
	"spinning": func(context.Context) error {
		ex := atOnce(futures.NewProcessPoolExecutor(futures.WithMaxWorkers(3)))
		for range 3 {
			atOnce(futures.Submit(ex, act, "spin"))
		}
		awaitRunning(ex, 3)
		ready(ex)
		select {}
	},
	"stopped": func(context.Context) error {
		ex := atOnce(futures.NewProcessPoolExecutor(futures.WithMaxWorkers(3)))
		for range 3 {
			atOnce(futures.Submit(ex, act, "stop"))
		}
		awaitRunning(ex, 3)
		ready(ex)
		select {}
	},
	"in a batch": func(context.Context) error {
		ex := atOnce(futures.NewProcessPoolExecutor(futures.WithMaxWorkers(3)))
		f := atOnce(futures.Submit(ex, inc, 0))
		for i := 0; ; i++ {
			for range 1000 {
				f = atOnce(futures.Submit(ex, inc, i))
			}
			atOnce(f.Result(context.Background()))
			if i == 10 {
				ready(ex)
			}
		}
	},
	// One with tasks that run programs, and a program of its own.
	"with programs": func(context.Context) error {
		ex := atOnce(futures.NewProcessPoolExecutor(futures.WithMaxWorkers(2)))
		for _, how := range []string{"plainly", "with its context"} {
			dir := os.Getenv(directoryVariable) + "/" + how
			must(os.Mkdir(dir, 0o700))
			atOnce(futures.Submit(ex, tool, futures.Pair[string, string]{First: how, Second: dir}))
		}
		own := exec.Command("sleep", "300")
		own.Env = []string{}
		must(own.Start())
		must(os.WriteFile(os.Getenv(directoryVariable)+"/own", []byte(strconv.Itoa(own.Process.Pid)), 0o600))
		awaitRunning(ex, 2)
		ready(ex)
		select {}
	},
	"ends badly": closeAfterBadEnds,
	// One that handles signals which others die of.
	"handling signals": func(ctx context.Context) error {
		c := make(chan os.Signal, 2*len(handled))
		for _, s := range handled {
			signal.Notify(c, s)
		}
		ex := atOnce(futures.NewProcessPoolExecutor(futures.WithMaxWorkers(2)))
		f := atOnce(futures.Submit(ex, hold, os.Getenv(directoryVariable)))
		awaitRunning(ex, 1)
		ready(ex)
		for told := map[os.Signal]bool{}; len(told) < len(handled); { // the first SIGQUIT comes twice
			s := <-c
			told[s] = true
			fmt.Println("told:", s)
		}
		must(os.WriteFile(os.Getenv(directoryVariable)+"/go", nil, 0o600))
		_, err := f.Result(ctx)
		fmt.Println("lost:", ex.Stats().Lost)
		return err
	},
	// A program that waits for a task.
	"waiting": func(ctx context.Context) error {
		ex := atOnce(futures.NewProcessPoolExecutor(futures.WithMaxWorkers(2)))
		f := atOnce(futures.Submit(ex, hold, os.Getenv(directoryVariable)))
		awaitRunning(ex, 1)
		ready(ex)
		_, err := f.Result(ctx)
		return err
	},
	// A program that ends with its context, as it should, with work in hand and in the queue.
	"returning": func(ctx context.Context) error {
		ex := atOnce(futures.NewProcessPoolExecutor(futures.WithMaxWorkers(2)))
		defer func() { must(ex.Shutdown(ctx, futures.NoWait())) }()
		f := atOnce(futures.Submit(ex, hold, os.Getenv(directoryVariable)))
		atOnce(futures.Submit(ex, hold, os.Getenv(directoryVariable)))
		for i := range 100 {
			atOnce(futures.Submit(ex, mark, trace(i)))
		}
		awaitRunning(ex, 2)
		ready(ex)
		_, err := f.Result(ctx)
		return err
	},
	// One whose tasks ignore theirs.
	"deaf": func(ctx context.Context) error {
		ex := atOnce(futures.NewProcessPoolExecutor(futures.WithMaxWorkers(2)))
		f := atOnce(futures.Submit(ex, act, "spin"))
		atOnce(futures.Submit(ex, act, "never"))
		awaitRunning(ex, 2)
		ready(ex)
		_, err := f.Result(ctx)
		return err
	},
	// One that is about to end, but for a task that never does.
	"closing": func(context.Context) error {
		ex := atOnce(futures.NewProcessPoolExecutor(futures.WithMaxWorkers(2)))
		atOnce(futures.Submit(ex, act, "spin"))
		awaitRunning(ex, 1)
		ready(ex)
		return nil
	},
	"draining": func(ctx context.Context) error { return drained(ctx, func() {}) },
	// One whose launcher says everything twice.
	"told twice": func(ctx context.Context) error { return drained(ctx, func() { tellSelf(syscall.SIGTERM) }) },
	// One that drains, with a task that does not end, and is then told to end by somebody who does not wait.
	"cut short": func(ctx context.Context) (err error) {
		ex := atOnce(futures.NewProcessPoolExecutor(futures.WithMaxWorkers(1)))
		defer func() { fmt.Println("deferred functions ran") }()
		f := atOnce(futures.Submit(ex, act, "spin"))
		awaitRunning(ex, 1)
		ready(ex)
		if err := awaitDrain(ctx, ex); err != nil {
			return err
		}
		tellSelf(syscall.SIGTERM)
		_, err = f.Result(ctx)
		return err
	},
	// Those whose function is over as soon as the signal has come.
	"told last by SIGTERM": func(context.Context) error { return toldLast(syscall.SIGTERM) },
	"told last by SIGINT":  func(context.Context) error { return toldLast(syscall.SIGINT) },
	"told last by SIGUSR1": func(context.Context) error { return toldLast(syscall.SIGUSR1) },
	// The other ways in which Main's function ends, each with work in the queue.
	"returns":  func(context.Context) error { queueUp(); return nil },
	"fails":    func(context.Context) error { queueUp(); return errors.New("out of coffee") },
	"panics":   func(context.Context) error { queueUp(); panic("out of tea") },
	"exits":    func(context.Context) error { queueUp(); _, err := perform("Goexit"); return err },
	"unclosed": func(context.Context) error { _, err := futures.NewProcessPoolExecutor(); return err }, // and never used
	"again": func(context.Context) error {
		queueUp()
		futures.Main(func(context.Context) error { return nil })
		return nil
	},
	"loud": func(ctx context.Context) error {
		ex := atOnce(futures.NewProcessPoolExecutor(futures.WithMaxWorkers(2)))
		defer ex.Close()
		for _, err := range futures.Map(ctx, ex, loud, []int{loudness, loudness}) {
			if err != nil {
				return err
			}
		}
		return nil
	},
}

// finishing are the roles whose tasks finish when they are told to drain, however long that takes. What the others run goes on until the
// end of its grace.
var finishing = []string{"draining", "told twice"}

// handled are the signals that a program may have a meaning for.
var handled = []syscall.Signal{syscall.SIGHUP, syscall.SIGQUIT, syscall.SIGUSR2}

// loudness is far more than a pipe holds.
const loudness = 4_000_000

func atOnce[T any](v T, err error) T {
	must(err)
	return v
}

// awaitRunning waits until n tasks are at workers.
func awaitRunning(ex futures.Executor, n int) {
	for end := time.Now().Add(patience); ex.Stats().Running < n; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			panic("the tasks do not run")
		}
	}
}

// ready prints the processes of the workers.
func ready(ex futures.Executor) {
	must(ex.Bootup(context.Background()))
	time.AfterFunc(2*patience, func() { os.Exit(99) }) // when nobody ends it
	fmt.Println(strings.Trim(fmt.Sprint(pids(ex)), "[]"))
}

func trace(i int) futures.Pair[string, int] {
	return futures.Pair[string, int]{First: os.Getenv(directoryVariable) + "/trace", Second: i}
}

// queued is how much work queueUp leaves.
const queued = 50

func queueUp() {
	ex := atOnce(futures.NewProcessPoolExecutor(futures.WithMaxWorkers(2)))
	for i := range queued {
		atOnce(futures.Submit(ex, mark, trace(i)))
	}
}

// program is a master that runs in a process of its own.
type program struct {
	t         *testing.T
	cmd       *exec.Cmd
	dir, mark string
	stdout    bytes.Buffer
	stderr    logged // what a program has started may go on writing to it
	workers   []int
	ended     chan struct{}
	out       chan struct{} // closed when its standard output has been read whole
}

var starts atomic.Int64

// start runs a program; with wait it returns when that is ready. When the test ends there is nothing left of it.
func start(t *testing.T, wait bool, path string, env ...string) *program {
	t.Helper()
	return launch(t, wait, exec.Command(path), env...)
}

// launch is start with a command.
func launch(t *testing.T, wait bool, cmd *exec.Cmd, env ...string) *program {
	t.Helper()
	p := &program{
		t: t, dir: t.TempDir(), cmd: cmd, ended: make(chan struct{}), out: make(chan struct{}),
		mark: fmt.Sprintf("FAULTS_PROGRAM=%d-%d", os.Getpid(), starts.Add(1)),
	}
	p.cmd.Env = append(os.Environ(), append(env, p.mark, directoryVariable+"="+p.dir)...)
	p.cmd.Stderr = &p.stderr
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	p.cmd.Stdout = w
	p.cmd.WaitDelay = patience
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	w.Close()
	first := make(chan string, 1)
	go func() {
		defer close(p.out)
		defer r.Close()
		in := bufio.NewReader(r)
		line, _ := in.ReadString('\n')
		first <- line
		_, _ = p.stdout.WriteString(line)
		_, _ = p.stdout.ReadFrom(in)
	}()
	go func() {
		_ = p.cmd.Wait()
		close(p.ended)
	}()
	t.Cleanup(func() {
		_ = p.cmd.Process.Kill()
		<-p.ended
		noProcess(t, p.mark)
		<-p.out
	})
	if !wait {
		return p
	}
	select {
	case line := <-first:
		for _, s := range strings.Fields(line) {
			pid, err := strconv.Atoi(s)
			if err != nil || pid == 0 || gone(pid) {
				t.Fatalf("the program says %q\n%s", line, p.stderr.String())
			}
			p.workers = append(p.workers, pid)
		}
	case <-time.After(patience):
		t.Fatal("the program does not get ready")
	}
	return p
}

// drained is told to end with a task at work, which finishes, and one in the queue.
func drained(ctx context.Context, then func()) error {
	dir := os.Getenv(directoryVariable)
	ex := atOnce(futures.NewProcessPoolExecutor(futures.WithMaxWorkers(1)))
	works := atOnce(futures.Submit(ex, hold, dir))
	waits := atOnce(futures.Submit(ex, mark, trace(0)))
	awaitRunning(ex, 1)
	ready(ex)
	if err := awaitDrain(ctx, ex); err != nil {
		return err
	}
	then()
	if err := os.WriteFile(dir+"/go", nil, 0o600); err != nil {
		return err
	}
	if _, err := works.Result(ctx); err != nil {
		return fmt.Errorf("what ran: %w", err)
	}
	_, err := waits.Result(ctx)
	if !errors.Is(err, futures.ErrDrained) || !errors.Is(err, futures.ErrCancelled) {
		return fmt.Errorf("what waited: %w", err)
	}
	if _, err := atOnce(futures.NewProcessPoolExecutor()).NumWorkers(ctx); !errors.Is(err, futures.ErrDrained) {
		return fmt.Errorf("a new executor: %w", err)
	}
	fmt.Println("what ran was delivered")
	return err
}

// awaitDrain blocks until nothing may begin any more.
func awaitDrain(ctx context.Context, ex futures.Executor) error {
	for {
		if _, err := futures.Submit(ex, inc, 1); errors.Is(err, futures.ErrDrained) {
			return nil
		} else if err != nil || ctx.Err() != nil {
			return fmt.Errorf("it does not drain: %w, %w", err, ctx.Err())
		}
		time.Sleep(time.Millisecond)
	}
}

// tellSelf sends a signal to this process.
func tellSelf(s syscall.Signal) {
	if err := syscall.Kill(os.Getpid(), s); err != nil {
		panic(err)
	}
}

// toldLast sends a signal and returns when it is there.
func toldLast(s syscall.Signal) error {
	there := make(chan os.Signal, 1)
	signal.Notify(there, s)
	tellSelf(s)
	<-there
	return nil
}

// role starts this test binary in a role.
func role(t *testing.T, wait bool, name string) *program {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return start(t, wait, exe, roleVariable+"="+name)
}

// status waits for the end and returns the exit status, or minus the signal.
func (p *program) status() int {
	p.t.Helper()
	select {
	case <-p.ended:
	case <-time.After(patience):
		p.t.Fatal("the program does not end")
	}
	if s := p.cmd.ProcessState.Sys().(syscall.WaitStatus); s.Signaled() {
		return -int(s.Signal())
	}
	return p.cmd.ProcessState.ExitCode()
}

// leavesNothing waits until everything the program started has ended, and returns what it wrote.
func (p *program) leavesNothing() (stdout, stderr string) {
	p.t.Helper()
	until(p.t, "the end of the workers", func() bool {
		return len(marked(p.mark)) == 0 && !slices.ContainsFunc(p.workers, func(pid int) bool { return !gone(pid) })
	})
	select {
	case <-p.out:
	case <-time.After(patience):
		p.t.Fatal("its standard output is still open")
	}
	return p.stdout.String(), p.stderr.String()
}
