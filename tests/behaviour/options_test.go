package behaviour_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/rankpool/rankpool/futures"
)

func contains(err error, text string) bool { return err != nil && strings.Contains(err.Error(), text) }

func second[T any](_ T, err error) error { return err }

func TestBadVariablesAreNamedWithTheRemedy(t *testing.T) {
	for name, value := range map[string]string{
		"RANKPOOL_BACKEND": "cluster", "RANKPOOL_MAX_WORKERS": "0", "RANKPOOL_BACKOFF": "soon", "RANKPOOL_PKL5_THRESHOLD": "-1",
	} {
		t.Run(name, func(t *testing.T) {
			t.Setenv(name, value)
			ex, err := futures.NewMPIPoolExecutor()
			if err != nil {
				t.Fatal(err)
			}
			defer ex.Close()
			for _, err := range []error{ex.Bootup(within(t)), second(futures.Submit(ex, square, 1)), second(ex.NumWorkers(within(t)))} {
				if !contains(err, name) || !contains(err, value) || !contains(err, "use ") {
					t.Errorf("%v", err)
				}
			}
			os.Unsetenv(name)
			if err := ex.Bootup(within(t)); err != nil { // it is read again
				t.Error(err)
			}
		})
	}
}

func TestUsePkl5FollowsTheVariableAndItsOddities(t *testing.T) {
	for value, want := range map[string]struct{ on, warns bool }{
		"true": {on: true}, "Yes": {on: true}, "ON": {on: true}, "y": {on: true}, "1": {on: true},
		"false": {}, "No": {}, "OFF": {}, "n": {}, "0": {}, "maybe": {warns: true}, "": {warns: true},
	} {
		t.Run(fmt.Sprintf("%q", value), func(t *testing.T) {
			each(t, func(t *testing.T, b backend) {
				t.Setenv("RANKPOOL_USE_PKL5", value)
				var log lockedText
				ex := b.start(t, 1, futures.WithLogger(slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelWarn}))))
				if got := aliases(t, ex); got != want.on {
					t.Errorf("large slices travel beside the message: %v, want %v", got, want.on)
				}
				mustClose(t, ex)
				const name = "RANKPOOL_USE_PKL5"
				warned := func() bool {
					return strings.Contains(log.String(), name) && strings.Contains(log.String(), fmt.Sprintf("value=%s", quoted(value)))
				}
				if want.warns { // a log handler that takes its time is not waited for
					eventually(t, "there is a warning", warned)
				} else if warned() {
					t.Errorf("it warns: %s", &log)
				}
			}, encodes)
		})
	}
}

// A program that rankpool run starts has the variables of that command.
func TestVariablesOfTheCommandAreNotCalledUnknown(t *testing.T) {
	each(t, func(t *testing.T, b backend) {
		t.Setenv("RANKPOOL_RUN_DIR", t.TempDir())
		t.Setenv("RANKPOOL_BACKOFF", "0")
		t.Setenv("RANKPOOL_BACKOF", "0")
		var log lockedText
		ex := b.start(t, max(b.workers, 1), futures.WithLogger(slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelWarn}))))
		if y := result(t, submit(t, ex, square, 3)); y != 9 {
			t.Error(y)
		}
		mustClose(t, ex)
		eventually(t, "there is a warning", func() bool { return strings.Contains(log.String(), "RANKPOOL_BACKOF\n") })
		if warned := log.String(); strings.Contains(warned, "RANKPOOL_RUN_DIR") {
			t.Errorf("the log: %s", warned)
		}
	}, encodes)
}

// quoted is how a text log shows a value.
func quoted(value string) string {
	if value == "" {
		return `""`
	}
	return value
}

func TestTheOptionOverridesTheVariable(t *testing.T) {
	for _, on := range []bool{true, false} {
		each(t, func(t *testing.T, b backend) {
			t.Setenv("RANKPOOL_USE_PKL5", map[bool]string{true: "no", false: "yes"}[on])
			if got := aliases(t, b.start(t, 1, futures.WithOutOfBand(on))); got != on {
				t.Errorf("WithOutOfBand(%v): large slices travel beside the message: %v", on, got)
			}
		}, encodes)
	}
}

func TestTheThresholdSaysWhatIsLarge(t *testing.T) {
	const size = 1 << 19 // of the slice that aliases sends
	for name, tc := range map[string]struct {
		variable string
		opts     []futures.Option
		want     bool
	}{
		"option at the size":          {opts: []futures.Option{futures.WithOutOfBandThreshold(size)}, want: true},
		"option above the size":       {opts: []futures.Option{futures.WithOutOfBandThreshold(size + 1)}},
		"option zero":                 {variable: fmt.Sprint(size + 1), opts: []futures.Option{futures.WithOutOfBandThreshold(0)}, want: true},
		"variable zero":               {variable: "0", want: true},
		"variable above the size":     {variable: fmt.Sprint(size + 1)},
		"the option beats a variable": {variable: fmt.Sprint(size + 1), opts: []futures.Option{futures.WithOutOfBandThreshold(size)}, want: true},
	} {
		t.Run(name, func(t *testing.T) {
			each(t, func(t *testing.T, b backend) {
				t.Setenv("RANKPOOL_PKL5_THRESHOLD", tc.variable)
				if got := aliases(t, b.start(t, 1, tc.opts...)); got != tc.want {
					t.Errorf("the slice travelled beside the message: %v, want %v", got, tc.want)
				}
			}, encodes)
		})
	}
}

func TestTheMasterDecidesHowLargeSlicesTravel(t *testing.T) {
	for _, on := range []bool{true, false} {
		each(t, func(t *testing.T, b backend) {
			opposite := map[bool]string{true: "no", false: "yes"}[on]
			ex := b.start(t, 1, futures.WithOutOfBand(on), futures.WithEnv(map[string]string{"RANKPOOL_USE_PKL5": opposite}))
			if got := result(t, submit(t, ex, getenv, "RANKPOOL_USE_PKL5")); got != opposite {
				t.Fatalf("the worker sees %q", got)
			}
			if got := aliases(t, ex); got != on {
				t.Errorf("large arguments travel beside the message: %v, want %v", got, on)
			}
			xs := make([]float64, 1<<17)
			xs[len(xs)-1] = 4
			if ys := result(t, submit(t, ex, double, xs)); len(ys) != len(xs) || ys[len(ys)-1] != 8 {
				t.Error("a large result came back changed")
			}
		}, apart)
	}
}

func TestWorkersRunTheExecutableAndArgumentsGiven(t *testing.T) {
	this, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	program, err := os.ReadFile(this)
	if err != nil {
		t.Fatal(err)
	}
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	other := filepath.Join(dir, "other")
	if err := os.WriteFile(other, program, 0o700); err != nil {
		t.Fatal(err)
	}
	for name, tc := range map[string]struct {
		opts []futures.Option
		want Self
	}{
		"neither":      {nil, Self{this, os.Args[1:], true}},
		"executable":   {[]futures.Option{futures.WithExecutable(other)}, Self{other, os.Args[1:], true}},
		"arguments":    {[]futures.Option{futures.WithArgs("-v", "two words", "")}, Self{this, []string{"-v", "two words", ""}, true}},
		"no arguments": {[]futures.Option{futures.WithArgs()}, Self{this, []string{}, true}},
	} {
		t.Run(name, func(t *testing.T) {
			each(t, func(t *testing.T, b backend) {
				ex := b.start(t, 1, tc.opts...)
				if diff := cmp.Diff(tc.want, result(t, submit(t, ex, myself, struct{}{})), cmpopts.EquateEmpty()); diff != "" {
					t.Error(diff)
				}
			}, apart)
		})
	}
	each(t, func(t *testing.T, b backend) {
		ex, err := b.make(futures.WithExecutable(other), futures.WithArgs("x"))
		if err == nil {
			defer ex.Close()
			err = ex.Bootup(within(t))
		}
		if !contains(err, "WithExecutable") || !contains(err, "WithArgs") {
			t.Errorf("goroutines cannot run another program: %v", err)
		}
	}, inside)
}

func TestAnyBackOffGivesTheSameResults(t *testing.T) {
	for _, value := range []string{"", "0.01", "2ms"} {
		each(t, func(t *testing.T, b backend) {
			t.Setenv("RANKPOOL_BACKOFF", value)
			expect(t, squares(50), futures.Map(within(t), b.start(t, 2), square, upTo(50)))
			expect(t, squares(50), futures.Map(within(t), b.start(t, 2, futures.WithBackoff(time.Microsecond)), square, upTo(50)))
		})
	}
}

func TestAGlobalThatWasNotSetIsNotFound(t *testing.T) {
	on(t, 1, func(t *testing.T, _ backend, ex futures.Executor) {
		if _, err := submit(t, ex, lookup, "answer").Result(within(t)); !errors.Is(err, futures.ErrGlobalNotSet) || !contains(err, `global "setting"`) {
			t.Errorf("%v", err)
		}
	})
}

func TestExecutorsInOneProcessKeepTheirGlobalsApart(t *testing.T) {
	each(t, func(t *testing.T, b backend) {
		var all []futures.Executor
		for i := range 3 {
			all = append(all, b.start(t, 1, futures.WithGlobal(setting, map[string]int{"answer": i})))
			booted(t, all[i])
		}
		for i, ex := range all {
			if got := result(t, submit(t, ex, lookup, "answer")); got != i {
				t.Errorf("executor %d has %d", i, got)
			}
		}
	})
}

// lookupElsewhere asks with a context that is not its task's, as code does that keeps the first one it was given.
var lookupElsewhere = futures.RegisterContext("lookupElsewhere", func(ctx context.Context, name string) (int, error) {
	if _, err := setting.Get(context.WithoutCancel(ctx)); err != nil {
		return 0, err
	}
	m, err := setting.Get(context.Background())
	return m[name], err
})

func TestAGlobalWithAForeignContextIsAnErrorAndNotTheLastExecutorsValue(t *testing.T) {
	each(t, func(t *testing.T, b backend) {
		for i := range 2 {
			ex := b.start(t, 1, futures.WithGlobal(setting, map[string]int{"answer": i}))
			if v, err := submit(t, ex, lookupElsewhere, "answer").Result(within(t)); !errors.Is(err, futures.ErrNotInTask) || !contains(err, `global "setting"`) {
				t.Errorf("executor %d: %d, %v", i, v, err)
			}
		}
		if v, err := setting.Get(t.Context()); !errors.Is(err, futures.ErrNotInTask) {
			t.Errorf("in the master: %v, %v", v, err)
		}
	})
}

// anyGlobal may hold nothing.
var (
	anyGlobal = futures.RegisterGlobal[any]("anyGlobal")
	anyIsNil  = futures.RegisterContext("anyIsNil", func(ctx context.Context, _ int) (bool, error) {
		v, err := anyGlobal.Get(ctx)
		return v == nil, err
	})
)

func TestAGlobalThatIsSetToNilIsSet(t *testing.T) {
	on(t, 1, func(t *testing.T, _ backend, ex futures.Executor) {
		if !result(t, submit(t, ex, anyIsNil, 1)) {
			t.Error("it is not nil")
		}
	}, futures.WithGlobal(anyGlobal, nil))
}

func TestTheCountersAddUp(t *testing.T) {
	on(t, 2, func(t *testing.T, _ backend, ex futures.Executor) {
		g := newGate(t)
		var held []*futures.Future[bool]
		for range 5 {
			held = append(held, submit(t, ex, wait, g))
		}
		bad := submit(t, ex, failOn, -1)
		eventually(t, "two run", func() bool { return ex.Stats().Running == 2 })
		if s := ex.Stats(); s.Submitted != 6 || s.Queued != 4 || s.Done != 0 {
			t.Errorf("%+v", s)
		}
		held[4].Cancel()
		g.open()
		if _, err := bad.Result(within(t)); err == nil {
			t.Error("no error")
		}
		if err := ex.Close(); err != nil {
			t.Fatal(err)
		}
		s := ex.Stats()
		if s.Submitted != 6 || s.Done != 4 || s.Failed != 1 || s.Cancelled != 1 || s.Queued != 0 || s.Running != 0 {
			t.Errorf("%+v", s)
		}
		var tasks uint64
		var busy time.Duration
		for _, w := range s.Workers {
			tasks += w.Tasks
			busy += w.Busy
		}
		if tasks != 5 || busy <= 0 {
			t.Errorf("%d tasks, busy for %v", tasks, busy)
		}
	})
}

func TestATaskTimeOutEndsTheContextOfATask(t *testing.T) {
	on(t, 1, func(t *testing.T, _ backend, ex futures.Executor) {
		g := newGate(t)
		_, err := submit(t, ex, wait, g, futures.WithTaskTimeout(30*time.Millisecond)).Result(within(t))
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%v", err)
		}
		if got := result(t, submit(t, ex, square, 3)); got != 9 {
			t.Error(got)
		}
	})
}
