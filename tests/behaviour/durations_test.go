package behaviour_test

import (
	"context"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rankpool/rankpool/asyncresult"
	"github.com/rankpool/rankpool/futures"
)

var dawdle = futures.Register("behaviour.dawdle", func(d time.Duration) (time.Duration, error) {
	time.Sleep(d)
	return d, nil
})

const longest = time.Duration(math.MaxInt64)

// durations are what a program may give where a duration is asked for.
var durations = []time.Duration{math.MinInt64, -1, 0, 1, longest}

// timed calls a task with one choice of a duration made. An error of the choice itself is a refusal.
type timed func(t *testing.T, b backend, d time.Duration) (refusal error, outcome error)

// byOption is a choice for an executor.
func byOption(option func(time.Duration) futures.Option) timed {
	return func(t *testing.T, b backend, d time.Duration) (error, error) {
		ex, err := b.make(futures.WithMaxWorkers(max(b.workers, 1)), option(d))
		if err != nil {
			return err, nil
		}
		defer mayBeBroken(t, ex)
		return nil, called(t, ex)
	}
}

// called calls a task that takes a moment.
func called(t *testing.T, ex futures.Executor, opts ...futures.TaskOption) error {
	t.Helper()
	f, err := futures.Submit(ex, dawdle, 20*time.Millisecond, opts...)
	if err != nil {
		return err
	}
	_, err = f.Result(within(t))
	return err
}

// waiting is a wait with a limit.
func waiting(wait func(futures.Executor, *futures.Future[time.Duration], time.Duration) error) timed {
	return func(t *testing.T, b backend, d time.Duration) (error, error) {
		ex := b.start(t, max(b.workers, 1))
		return nil, wait(ex, submit(t, ex, dawdle, 20*time.Millisecond), d)
	}
}

// graceVariable has a program of this test give its tasks so long when it is told to end.
const graceVariable = "BEHAVIOUR_GRACE"

func grace() []futures.MainOption {
	d, err := time.ParseDuration(os.Getenv(graceVariable))
	if err != nil {
		return nil
	}
	return []futures.MainOption{futures.WithDrainGrace(d)}
}

// drains is a program that is told to end while a task runs.
func drains(ctx context.Context) error {
	ex, err := programBackend().make(futures.WithMaxWorkers(1))
	if err != nil {
		return err
	}
	defer ex.Close()
	f, err := futures.Submit(ex, dawdle, 20*time.Millisecond)
	if err != nil {
		return err
	}
	for s := ex.Stats(); s.Running == 0 && s.Done == 0; s = ex.Stats() { // on a busy machine it is done before this looks
		time.Sleep(time.Millisecond)
	}
	p, err := os.FindProcess(os.Getpid())
	if err != nil {
		return err
	}
	if err := p.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	d, err := f.Result(context.Background())
	fmt.Printf("%v: %v\n", d, err)
	<-ctx.Done() // the signal may come later than the task ends
	return nil
}

// everyDuration has all functions of the public packages that take a duration.
var everyDuration = map[string]timed{
	"futures.WithBackoff":      byOption(futures.WithBackoff),
	"futures.WithStartTimeout": byOption(futures.WithStartTimeout),
	"futures.WithLiveness":     byOption(futures.WithLiveness),
	"futures.WithStopTimeout":  byOption(futures.WithStopTimeout),
	"futures.WithTaskTimeout": func(t *testing.T, b backend, d time.Duration) (error, error) {
		ex := b.start(t, max(b.workers, 1))
		if _, err := futures.Submit(ex, square, 3, futures.WithTaskTimeout(d)); err != nil {
			return err, nil
		}
		return nil, called(t, ex, futures.WithTaskTimeout(d))
	},
	"futures.ResultWithin": waiting(func(_ futures.Executor, f *futures.Future[time.Duration], d time.Duration) error {
		_, err := f.ResultWithin(d)
		return err
	}),
	"asyncresult.GetWithin": waiting(func(_ futures.Executor, f *futures.Future[time.Duration], d time.Duration) error {
		_, err := asyncresult.New(f).GetWithin(d)
		return err
	}),
	"futures.WithInterruptGrace": func(t *testing.T, b backend, d time.Duration) (error, error) {
		f, err := futures.Submit(b.start(t, max(b.workers, 1)), dawdle, 20*time.Millisecond, futures.WithInterruptGrace(d))
		if err != nil {
			return err, nil
		}
		eventually(t, "it runs", func() bool { return f.Running() || f.Done() })
		f.Interrupt()
		if _, err = f.Result(within(t)); errors.Is(err, futures.ErrCancelled) {
			return nil, nil // it was given back by its worker, and so it never begins
		}
		return nil, err
	},
	"futures.KillTasks": func(t *testing.T, b backend, d time.Duration) (error, error) {
		ex := b.start(t, max(b.workers, 1))
		f := submit(t, ex, dawdle, 20*time.Millisecond)
		eventually(t, "it runs", func() bool { return f.Running() || f.Done() })
		mustClose(t, ex, futures.NoWait(), futures.KillTasks(d))
		_, err := f.Result(within(t))
		return nil, err
	},
	"futures.WithRetryBackoff": func(t *testing.T, b backend, d time.Duration) (error, error) {
		ex := b.start(t, max(b.workers, 1))
		always := futures.RetryIf(func(error) bool { return true })
		f, err := futures.Submit(ex, failOn, -1, futures.WithRetries(1, always, futures.WithRetryBackoff(d, d)))
		if err != nil {
			return err, nil
		}
		eventually(t, "it is to run again", func() bool { return ex.Stats().Retried == 1 })
		if d == longest && !f.Cancel() {
			return nil, errors.New("it does not pause")
		}
		if _, err := f.Result(within(t)); !errors.Is(err, futures.ErrCancelled) && !errors.As(err, new(*InputError)) {
			return nil, err
		}
		return nil, nil
	},
	"futures.WithDrainGrace": func(t *testing.T, b backend, d time.Duration) (error, error) {
		this := itself(t)
		c := exec.CommandContext(within(t), this)
		c.Env = append(os.Environ(), programVariable+"=drains", backendVariable+"="+b.name, graceVariable+"="+d.String())
		out, err := c.CombinedOutput()
		if status := c.ProcessState.ExitCode(); status != 128+int(syscall.SIGTERM) {
			t.Errorf("WithDrainGrace(%d): %v\n%s", d, err, out)
		}
		if strings.Contains(string(out), "20ms: <nil>") {
			return nil, nil
		}
		return nil, context.DeadlineExceeded // the grace was over before the task
	},
}

func TestEveryDurationFromTheShortestToTheLongestIsSafe(t *testing.T) {
	if testing.Short() {
		t.Skip("left out by -short: some of the durations pass")
	}
	each(t, func(t *testing.T, b backend) {
		for name, use := range everyDuration {
			if use == nil || b.name == "ranks" && name == "futures.WithDrainGrace" { // which starts this binary again: see itself
				continue
			}
			for _, d := range durations {
				refusal, err := use(t, b, d)
				switch _, option, _ := strings.Cut(name, "."); {
				case refusal != nil && d > 0:
					t.Errorf("%s(%d) is refused: %v", name, d, refusal)
				case refusal != nil && !strings.Contains(refusal.Error(), option):
					t.Errorf("%s(%d): the refusal does not name it: %v", name, d, refusal)
				case d == longest && err != nil:
					t.Errorf("%s(%d): %v", name, d, err)
				case err != nil && !errors.Is(err, futures.ErrBroken) && !errors.Is(err, context.DeadlineExceeded):
					t.Errorf("%s(%d): the error is neither a time-out nor a broken pool: %v", name, d, err)
				}
			}
		}
	})
}

// A function that takes a duration and is not in the table has not been tried with all of them.
func TestTheTableOfDurationsHasAllFunctionsThatTakeOne(t *testing.T) {
	var found []string
	for _, pkg := range []string{"futures", "pool", "asyncresult", "threadpool", "comm"} {
		files, err := filepath.Glob(filepath.Join("..", "..", pkg, "*.go"))
		if err != nil || len(files) == 0 {
			t.Fatalf("%s: %v", pkg, err)
		}
		for _, name := range files {
			if strings.HasSuffix(name, "_test.go") {
				continue
			}
			tree, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.SkipObjectResolution)
			if err != nil {
				t.Fatal(err)
			}
			for _, decl := range tree.Decls {
				if f, ok := decl.(*ast.FuncDecl); ok && f.Name.IsExported() && takesDuration(f.Type.Params) {
					found = append(found, fmt.Sprintf("%s.%s", pkg, f.Name.Name))
				}
			}
		}
	}
	for _, name := range found {
		if _, ok := everyDuration[name]; !ok {
			t.Errorf("%s takes a duration and is not in the table", name)
		}
	}
	for name := range everyDuration {
		if !slices.Contains(found, name) {
			t.Errorf("there is no %s that takes a duration", name)
		}
	}
}

func takesDuration(params *ast.FieldList) bool {
	return slices.ContainsFunc(params.List, func(f *ast.Field) bool {
		s, ok := f.Type.(*ast.SelectorExpr)
		return ok && s.Sel.Name == "Duration"
	})
}
