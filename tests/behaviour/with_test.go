package behaviour_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rankpool/rankpool/futures"
)

// with is futures.With for the executors of this backend.
func (b backend) with(ctx context.Context, body func(futures.Executor) error, opts ...futures.Option) error {
	switch b.name {
	case "thread pool":
		return futures.With(ctx, func(ex *futures.ThreadPoolExecutor) error { return body(ex) }, opts...)
	case "process pool":
		return futures.With(ctx, func(ex *futures.ProcessPoolExecutor) error { return body(ex) }, opts...)
	}
	return futures.With(ctx, body, opts...)
}

// statusError is an error that says how its program is to end.
type statusError int

func (s statusError) Error() string { return fmt.Sprintf("some inputs failed (%d)", int(s)) }
func (s statusError) ExitCode() int { return int(s) }

// behindATask returns a program that ends in some way while one task runs, which waits for a gate, and others are queued.
func behindATask(end func(ctx context.Context) error) func(context.Context) error {
	return func(ctx context.Context) error {
		err := programBackend().with(ctx, func(ex futures.Executor) error {
			begun, err := workBehindAGate(ex)
			if err != nil {
				return err
			}
			if err := begun(ctx); err != nil {
				return err
			}
			return end(ctx)
		}, futures.WithMaxWorkers(1))
		if err != nil {
			return fmt.Errorf("run: %w", err)
		}
		return nil
	}
}

// left is behindATask for an executor that is left to Main.
func left(end func(ctx context.Context) error) func(context.Context) error {
	return func(ctx context.Context) error {
		ex, err := programBackend().make(futures.WithMaxWorkers(1))
		if err != nil {
			return err
		}
		begun, err := workBehindAGate(ex)
		if err == nil {
			err = begun(ctx)
		}
		if err != nil {
			return err
		}
		return end(ctx)
	}
}

// workBehindAGate submits a task that waits for the program's gate, and others behind it. Each leaves a file when it begins.
func workBehindAGate(ex futures.Executor) (begun func(context.Context) error, err error) {
	for i := range 20 {
		p := place{Begun: filepathOf(fmt.Sprint(i)), Gate: gate(filepathOf("gate"))}
		if _, err := futures.Submit(ex, announce, p); err != nil {
			return nil, err
		}
	}
	return func(ctx context.Context) error {
		for {
			if _, err := os.Stat(filepathOf("0")); err == nil {
				return os.Remove(filepathOf("not begun"))
			}
			if err := ctx.Err(); err != nil {
				return err
			}
			time.Sleep(time.Millisecond)
		}
	}, nil
}

func fails(context.Context) error  { return statusError(3) }
func panics(context.Context) error { panic("the body panicked") }
func exits(context.Context) error  { runtime.Goexit(); return nil }

// filepathOf returns the path of a file of this program.
func filepathOf(name string) string { return filepath.Join(os.Getenv(directoryVariable), name) }

func init() {
	for name, end := range map[string]func(context.Context) error{"fails": fails, "panics": panics, "exits": exits} {
		programs[name+" within With"] = behindATask(end)
		programs[name+" and leaves an executor to Main"] = left(end)
	}
	programs["returns within With"] = behindATask(func(context.Context) error { return nil })
}

func TestAProgramThatFailsSaysSoAtOnceAndDropsItsQueueButFinishesWhatRuns(t *testing.T) {
	for name, want := range map[string]struct {
		status int
		says   string
	}{
		"fails within With":                     {3, "run: some inputs failed (3)\n"},
		"panics within With":                    {1, "panic: the body panicked\n"},
		"exits within With":                     {1, "runtime.Goexit was called"},
		"fails and leaves an executor to Main":  {3, "some inputs failed (3)\n"},
		"panics and leaves an executor to Main": {1, "panic: the body panicked\n"},
		"exits and leaves an executor to Main":  {1, "runtime.Goexit was called"},
	} {
		t.Run(name, func(t *testing.T) {
			each(t, func(t *testing.T, b backend) {
				p := startProgram(t, b, name)
				// The task that runs is behind its gate, so what comes now has not waited for it.
				got := make([]byte, len(want.says))
				if _, err := io.ReadFull(p.stderr, got); err != nil || string(got) != want.says {
					t.Errorf("it says %q (%v), want %q", got, err, want.says)
				}
				rest := p.finish(t, want.status)
				if strings.HasPrefix(name, "fails") && rest != "" {
					t.Errorf("and then: %s", rest)
				}
				if ran := p.ran(t); !slices.Equal(ran, []string{"0"}) {
					t.Errorf("tasks %v ran, want the one that had begun", ran)
				}
			})
		})
	}
}

func TestWithFinishesWhatIsQueuedWhenItsBodyReturnsNil(t *testing.T) {
	each(t, func(t *testing.T, b backend) {
		p := startProgram(t, b, "returns within With")
		if rest := p.finish(t, 0); rest != "" {
			t.Errorf("it says %s", rest)
		}
		if ran := p.ran(t); len(ran) != 20 {
			t.Errorf("tasks %v ran, want 20", ran)
		}
	})
}

// runningProgram is one of programs, in a process of its own, with a task behind a gate.
type runningProgram struct {
	cmd    *exec.Cmd
	dir    string
	stdout bytes.Buffer
	stderr io.Reader
}

// startProgram returns when the first task of the program runs.
func startProgram(t *testing.T, b backend, name string) *runningProgram {
	t.Helper()
	this := itself(t)
	p := &runningProgram{cmd: exec.CommandContext(within(t), this), dir: t.TempDir()}
	for _, name := range []string{"gate", "not begun"} {
		if err := os.WriteFile(filepath.Join(p.dir, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	p.cmd.Env = append(os.Environ(), programVariable+"="+name, backendVariable+"="+b.name, directoryVariable+"="+p.dir,
		graceVariable+"="+limit.String())
	p.cmd.Stdout = &p.stdout
	stderr, err := p.cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	p.stderr = stderr
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the first task runs", func() bool {
		_, err := os.Stat(filepath.Join(p.dir, "not begun"))
		return err != nil
	})
	return p
}

// finish opens the gate and returns what else the program says.
func (p *runningProgram) finish(t *testing.T, status int) string {
	t.Helper()
	gate(filepath.Join(p.dir, "gate")).open()
	var rest bytes.Buffer
	if _, err := rest.ReadFrom(p.stderr); err != nil {
		t.Error(err)
	}
	if err := p.cmd.Wait(); p.cmd.ProcessState.ExitCode() != status {
		t.Errorf("it ended with %v, want status %d; it says %s", err, status, &rest)
	}
	return rest.String()
}

// ran lists the tasks that have begun.
func (p *runningProgram) ran(t *testing.T) (tasks []string) {
	t.Helper()
	entries, err := os.ReadDir(p.dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		tasks = append(tasks, e.Name())
	}
	return tasks
}

func TestWithCancelsWhatIsQueuedAndDoesNotWaitAfterAnError(t *testing.T) {
	each(t, func(t *testing.T, b backend) {
		g, failed := newGate(t), errors.New("the licence has expired")
		var runs, waits *futures.Future[bool]
		err := b.with(within(t), func(ex futures.Executor) error {
			runs = submit(t, ex, wait, g)
			eventually(t, "the task runs", runs.Running)
			waits = submit(t, ex, wait, g)
			return failed
		}, futures.WithMaxWorkers(1))
		if err != failed {
			t.Errorf("%v, want the body's own error", err)
		}
		if runs.Done() {
			t.Error("With has waited for the task that runs")
		}
		if _, err := waits.Result(within(t)); !errors.Is(err, futures.ErrCancelled) {
			t.Errorf("what was queued: %v", err)
		}
		g.open()
		if ok := result(t, runs); !ok {
			t.Error("the task that ran was not delivered")
		}
	}, alone)
}

func TestWithEndsTheContextsOfTasksWhenItsOwnHasEnded(t *testing.T) {
	each(t, func(t *testing.T, b backend) {
		g := newGate(t)
		for name, after := range map[string]func(context.Context) error{
			"while the body runs": func(ctx context.Context) error { <-ctx.Done(); return nil },
			"while With waits":    func(context.Context) error { return nil },
		} {
			t.Run(name, func(t *testing.T) {
				ctx, cancel := context.WithCancel(within(t))
				defer cancel()
				var runs *futures.Future[bool]
				err := b.with(ctx, func(ex futures.Executor) error {
					runs = submit(t, ex, wait, g)
					eventually(t, "the task runs", runs.Running)
					if strings.HasPrefix(name, "while the body") {
						cancel()
					} else {
						go func() {
							for !errors.Is(ex.Start(), futures.ErrShutdown) {
								runtime.Gosched()
							}
							cancel()
						}()
					}
					return after(ctx)
				}, futures.WithMaxWorkers(1))
				if shut := new(futures.ShutdownError); !errors.As(err, &shut) || !errors.Is(err, context.Canceled) {
					t.Errorf("With returns %v", err)
				}
				if _, err := runs.Result(within(t)); !errors.Is(err, context.Canceled) {
					t.Errorf("the task ended with %v", err)
				}
			})
		}
	}, alone)
}

func TestAPanicInTheBodyOfWithGoesOnAndCancelsWhatIsQueued(t *testing.T) {
	each(t, func(t *testing.T, b backend) {
		g := newGate(t)
		var waits *futures.Future[bool]
		func() {
			defer func() {
				if v := recover(); v != "told to panic" {
					t.Errorf("recovered %v", v)
				}
			}()
			_ = b.with(within(t), func(ex futures.Executor) error {
				runs := submit(t, ex, wait, g)
				eventually(t, "the task runs", runs.Running)
				waits = submit(t, ex, wait, g)
				panic("told to panic")
			}, futures.WithMaxWorkers(1))
		}()
		if _, err := waits.Result(within(t)); !errors.Is(err, futures.ErrCancelled) {
			t.Errorf("what was queued: %v", err)
		}
	}, alone)
}

func TestTheBodyOfWithSaysWhichExecutorItIs(t *testing.T) {
	t.Setenv("RANKPOOL_BACKEND", "threads")
	ctx, one := within(t), futures.WithMaxWorkers(1)
	say := func(ex futures.Executor) error { return errors.New(ex.Backend()) }
	for name, tt := range map[string]struct {
		err  error
		want string
	}{
		"mpi":                 {futures.With(ctx, func(ex *futures.MPIPoolExecutor) error { return say(ex) }, one), "threads"},
		"processes":           {futures.With(ctx, func(ex *futures.ProcessPoolExecutor) error { return say(ex) }, one), "processes"},
		"threads":             {futures.With(ctx, func(ex *futures.ThreadPoolExecutor) error { return say(ex) }, one), "threads"},
		"any":                 {futures.With(ctx, say, one), "threads"},
		"mpi, declared":       {futures.With(ctx, func(_ context.Context, ex *futures.MPIPoolExecutor) error { return say(ex) }, one), "threads"},
		"processes, declared": {futures.With(ctx, func(_ context.Context, ex *futures.ProcessPoolExecutor) error { return say(ex) }, one), "processes"},
		"threads, declared":   {futures.With(ctx, func(_ context.Context, ex *futures.ThreadPoolExecutor) error { return say(ex) }, one), "threads"},
		"any, declared":       {futures.With(ctx, func(_ context.Context, ex futures.Executor) error { return say(ex) }, one), "threads"},
	} {
		if fmt.Sprint(tt.err) != tt.want {
			t.Errorf("%s: %v, want %s", name, tt.err, tt.want)
		}
	}
	err := futures.With(ctx, func(*futures.MPIPoolExecutor) error { t.Error("the body was called"); return nil }, futures.WithMaxWorkers(0))
	if err == nil || !strings.Contains(err.Error(), "futures: With: WithMaxWorkers(0)") {
		t.Errorf("a wrong option: %v", err)
	}
	var none func(context.Context, futures.Executor) error
	if err := futures.With(ctx, none); err == nil || !strings.Contains(err.Error(), "the function is nil") {
		t.Errorf("no body: %v", err)
	}
}
