package behaviour_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rankpool/rankpool/futures"
)

func contains(err error, text string) bool { return err != nil && strings.Contains(err.Error(), text) }

func TestConstructionStartsNothing_C001(t *testing.T) {
	each(t, func(t *testing.T, b backend) {
		before := runtime.NumGoroutine()
		ex := b.start(t, 3)
		if after := runtime.NumGoroutine(); after > before {
			t.Errorf("%d goroutines before, %d after", before, after)
		}
		if diff := cmp.Diff(futures.Stats{}, ex.Stats()); diff != "" {
			t.Error(diff)
		}
		if got := ex.Backend(); got != b.reports {
			t.Errorf("backend %q", got)
		}
	})
}

func TestBadOptionsAreAllListedAtConstruction_C002_C004(t *testing.T) {
	each(t, func(t *testing.T, b backend) {
		_, err := b.make(futures.WithMaxWorkers(0), futures.WithLiveness(-1), nil, futures.WithOutOfBandThreshold(0))
		for _, text := range []string{"WithMaxWorkers(0)", "WithLiveness", "WithOutOfBandThreshold"} {
			if !contains(err, text) {
				t.Errorf("%q is not in: %v", text, err)
			}
		}
		if _, err := b.make(nil, nil); err != nil {
			t.Error(err)
		}
	})
}

func TestInitializersAreCheckedAtConstructionAndTheirArgumentsCopied_C003(t *testing.T) {
	each(t, func(t *testing.T, b backend) {
		if _, err := b.make(futures.WithInitializer(futures.Func[int, int]{}, 1)); err == nil {
			t.Error("an initializer that is not registered was taken")
		}
		local := futures.Local(func(context.Context, int) (int, error) { return 0, nil })
		if _, err := b.make(futures.WithInitializer(local, 1)); (err == nil) != b.shares {
			t.Errorf("a closure as initializer: %v", err)
		}
	})
}

func TestTheEnvironmentIsReadWhenThePoolStarts_C006_C087(t *testing.T) {
	each(t, func(t *testing.T, b backend) {
		ex, err := b.make()
		if err != nil {
			t.Fatal(err)
		}
		defer ex.Close()
		t.Setenv("RANKPOOL_MAX_WORKERS", "3")
		want := 3
		if b.shares {
			want = runtime.NumCPU() // a thread pool does not heed the variable
		}
		if n, err := ex.NumWorkers(within(t)); err != nil || n != want {
			t.Errorf("%d workers, want %d: %v", n, want, err)
		}
	})
}

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

func second[T any](_ T, err error) error { return err }

func TestNumWorkersStartsThePoolAndKnowsItsEnd_C009_C010(t *testing.T) {
	on(t, 2, func(t *testing.T, _ backend, ex futures.Executor) {
		if n, err := ex.NumWorkers(within(t)); n != 2 || err != nil {
			t.Errorf("%d, %v", n, err)
		}
		g := newGate(t)
		f := submit(t, ex, wait, g)
		if err := ex.Shutdown(within(t), futures.NoWait()); err != nil {
			t.Fatal(err)
		}
		if n, err := ex.NumWorkers(within(t)); n != 0 || err != nil {
			t.Errorf("%d workers after a shutdown, %v", n, err)
		}
		g.open()
		result(t, f)
	})
}

func TestSubmitDoesNotWaitForASlowStart_C011(t *testing.T) {
	each(t, func(t *testing.T, b backend) {
		g := newGate(t)
		ex := b.start(t, 1, futures.WithInitializer(wait, g))
		if err := ex.Start(); err != nil {
			t.Fatal(err)
		}
		f := submit(t, ex, square, 5) // would never return while the start is held
		if f.Done() {
			t.Error("a task ran before the initializer was over")
		}
		g.open()
		if got := result(t, f); got != 25 {
			t.Error(got)
		}
	})
}

func TestBootupMayBeRepeatedAndIsRefusedAfterShutdown_C012_C013_C014(t *testing.T) {
	on(t, 2, func(t *testing.T, b backend, ex futures.Executor) {
		for _, boot := range []func() error{ex.Start, ex.Start, func() error { return ex.Bootup(within(t)) }, ex.Start} {
			if err := boot(); err != nil {
				t.Error(err)
			}
		}
		if err := ex.Close(); err != nil {
			t.Fatal(err)
		}
		if err := ex.Start(); !errors.Is(err, futures.ErrShutdown) {
			t.Error(err)
		}
		if err := ex.Bootup(within(t)); !errors.Is(err, futures.ErrShutdown) {
			t.Error(err)
		}
		abandoned := b.start(t, 2)
		if err := abandoned.Start(); err != nil {
			t.Error(err)
		}
		if err := abandoned.Shutdown(within(t), futures.NoWait()); err != nil {
			t.Error(err)
		}
		if err := abandoned.Close(); err != nil {
			t.Error(err)
		}
	})
}

func TestShutdownOfAnExecutorThatNeverStartedOnlyForbidsCalls_C066(t *testing.T) {
	on(t, 1, func(t *testing.T, _ backend, ex futures.Executor) {
		for _, opts := range [][]futures.ShutdownOption{
			nil, {futures.NoWait()}, {futures.CancelFutures()}, {futures.NoWait(), futures.CancelFutures()}, nil, {futures.NoWait()},
		} {
			if err := ex.Shutdown(within(t), opts...); err != nil {
				t.Error(err)
			}
		}
		if _, err := futures.Submit(ex, square, 1); !errors.Is(err, futures.ErrShutdown) {
			t.Error(err)
		}
	})
}

func TestAWaitingShutdownLetsAllQueuedTasksFinish_C067_C075(t *testing.T) {
	on(t, 2, func(t *testing.T, _ backend, ex futures.Executor) {
		var fs []*futures.Future[time.Duration]
		for range 50 {
			fs = append(fs, submit(t, ex, nap, 10*time.Millisecond))
		}
		if err := ex.Close(); err != nil {
			t.Fatal(err)
		}
		for _, f := range fs {
			if _, err := f.ResultWithin(0); err != nil {
				t.Fatal(err)
			}
		}
	})
}

func TestANonWaitingShutdownReturnsAtOnceAndALaterOneJoins_C068(t *testing.T) {
	on(t, 1, func(t *testing.T, _ backend, ex futures.Executor) {
		g := newGate(t)
		running, queued := submit(t, ex, wait, g), submit(t, ex, square, 3)
		if err := ex.Shutdown(within(t), futures.NoWait()); err != nil {
			t.Fatal(err)
		}
		if running.Done() {
			t.Error("the shutdown waited")
		}
		g.open()
		if err := ex.Close(); err != nil {
			t.Fatal(err)
		}
		if v, err := queued.ResultWithin(0); v != 9 || err != nil {
			t.Error(v, err)
		}
	})
}

func TestCancelFuturesSparesWhatRunsOrIsDone_C070_C071(t *testing.T) {
	on(t, 1, func(t *testing.T, _ backend, ex futures.Executor) {
		done := submit(t, ex, square, 2)
		result(t, done)
		g := newGate(t)
		running := submit(t, ex, wait, g)
		var tail []*futures.Future[int]
		for i := range 10 {
			tail = append(tail, submit(t, ex, square, i))
		}
		eventually(t, "the first runs", running.Running)
		for range 2 {
			if err := ex.Shutdown(within(t), futures.NoWait(), futures.CancelFutures()); err != nil {
				t.Fatal(err)
			}
		}
		for _, f := range tail {
			if !f.Cancelled() {
				t.Errorf("a queued task is %v", f)
			}
		}
		g.open()
		if err := ex.Close(); err != nil {
			t.Fatal(err)
		}
		if !result(t, running) || result(t, done) != 4 {
			t.Error("a task that ran was touched")
		}
	})
}

func TestAShutdownThatIsCutShortSaysWhatRuns(t *testing.T) {
	on(t, 1, func(t *testing.T, _ backend, ex futures.Executor) {
		g := newGate(t)
		f := submit(t, ex, wait, g)
		eventually(t, "the task runs", f.Running)
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
		defer cancel()
		err := ex.Shutdown(ctx)
		cut := new(futures.ShutdownError)
		if !errors.As(err, &cut) || len(cut.Running) != 1 || cut.Running[0].Func != "wait" && !strings.Contains(err.Error(), "wait") {
			t.Errorf("%v", err)
		}
		if !errors.Is(err, futures.ErrTimeout) {
			t.Errorf("%v does not match ErrTimeout", err)
		}
		g.open()
		result(t, f)
	})
}

func TestAfterShutdownNoWorkerIsLeft_C077(t *testing.T) {
	each(t, func(t *testing.T, b backend) {
		if !b.apart {
			return // goroutines: the end of the run looks for them
		}
		ex := b.start(t, 3)
		if err := ex.Bootup(within(t)); err != nil {
			t.Fatal(err)
		}
		workers := ex.Stats().Workers
		if err := ex.Close(); err != nil {
			t.Fatal(err)
		}
		for _, w := range workers {
			if p, err := os.FindProcess(w.Pid); err == nil && p.Signal(nil) == nil {
				t.Errorf("process %d is still there", w.Pid)
			}
		}
	})
}

func TestTheInitializerRunsOncePerWorkerBeforeAnyTask_C078_C085(t *testing.T) {
	on(t, 2, func(t *testing.T, b backend, ex futures.Executor) {
		for range 20 {
			s := result(t, submit(t, ex, remembered, struct{}{}))
			if s.Arg != "hello" || b.apart && s.Calls != 1 {
				t.Errorf("%+v", s)
			}
		}
	}, futures.WithInitializer(remember, "hello"))
}

func TestWorkersStartInTheOrderOfTheOriginal_C098_C102_C103_C104(t *testing.T) {
	each(t, func(t *testing.T, b backend) {
		dir, err := filepath.EvalSymlinks(t.TempDir())
		if err != nil {
			t.Fatal(err)
		}
		opts := []futures.Option{
			futures.WithDir(dir), futures.WithEnv(map[string]string{"BEHAVIOUR": "set"}),
			futures.WithGlobal(setting, map[string]int{"answer": 42}), futures.WithInitializer(remember, "x"),
		}
		if !b.apart {
			ex, err := b.make(opts...)
			if err == nil {
				err = ex.Bootup(within(t))
			}
			if !contains(err, "WithDir") || !contains(err, "WithEnv") {
				t.Errorf("goroutines cannot have a directory of their own: %v", err)
			}
			opts = opts[2:]
		}
		ex := b.start(t, 1, opts...)
		want := State{Arg: "x", Dir: dir, Env: "set", Global: 42, Calls: 1}
		got := result(t, submit(t, ex, remembered, struct{}{}))
		if !b.apart {
			want.Dir, want.Env, want.Calls = got.Dir, "", got.Calls
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
		if v := result(t, submit(t, ex, lookup, "answer")); v != 42 {
			t.Errorf("the global in a task is %d", v)
		}
		if b.apart {
			if v := result(t, submit(t, ex, getwd, struct{}{})); v != dir {
				t.Errorf("the directory in a task is %s", v)
			}
			if v := result(t, submit(t, ex, getenv, "BEHAVIOUR")); v != "set" {
				t.Errorf("the variable in a task is %q", v)
			}
			if v := result(t, submit(t, ex, getenv, "RANKPOOL_WORKER")); v != "" {
				t.Errorf("a task sees %q: what it starts would take itself for a worker", v)
			}
		}
	})
}

func TestAFailingInitializerBreaksTheExecutor_C015_C019_C079_C084(t *testing.T) {
	each(t, func(t *testing.T, b backend) {
		g := newGate(t)
		ex := b.start(t, 2, futures.WithInitializer(refuse, g))
		f := submit(t, ex, square, 1) // before the failure
		g.open()
		if err := ex.Bootup(within(t)); err != nil {
			t.Errorf("bootup of a pool that breaks: %v", err)
		}
		if n, err := ex.NumWorkers(within(t)); n != 0 || err != nil {
			t.Errorf("%d workers, %v", n, err)
		}
		_, queued := f.Result(within(t))
		for _, err := range []error{queued, second(futures.Submit(ex, square, 1))} {
			if !errors.Is(err, futures.ErrBroken) || !contains(err, "no licence") || !contains(err, "worker") {
				t.Errorf("%v", err)
			}
		}
		if err := ex.Close(); err != nil {
			t.Error(err)
		}
		if _, err := futures.Submit(ex, square, 1); !errors.Is(err, futures.ErrBroken) {
			t.Errorf("broken is reported before shut down, not %v", err)
		}
	})
}

func TestAbandoningAPoolWhoseInitializerFailsDoesNotHang_C083(t *testing.T) {
	each(t, func(t *testing.T, b backend) {
		for _, opts := range [][]futures.ShutdownOption{nil, {futures.NoWait()}, {futures.CancelFutures()}} {
			ex := b.start(t, 1, futures.WithInitializer(refuse, ""))
			if err := ex.Start(); err != nil {
				t.Fatal(err)
			}
			if err := ex.Shutdown(within(t), opts...); err != nil {
				t.Error(err)
			}
		}
	})
}

func TestTheFirstTasksLandOneOnEachWorker_F07(t *testing.T) {
	each(t, func(t *testing.T, b backend) {
		if !b.apart {
			return
		}
		ex := b.start(t, 3)
		g := newGate(t)
		var fs []*futures.Future[int]
		for i := range 3 {
			fs = append(fs, submit(t, ex, announce, place{Begun: filepath.Join(t.TempDir(), fmt.Sprint(i)), Gate: g}))
		}
		for _, f := range fs {
			eventually(t, "all run at once", f.Running)
		}
		g.open()
		for i, f := range fs {
			if got, want := result(t, f), ex.Stats().Workers[i].Pid; got != want {
				t.Errorf("task %d ran in process %d, worker %d is %d", i, got, i, want)
			}
		}
	})
}

func TestUsePkl5FollowsTheVariableAndItsOddities_C093_C094(t *testing.T) {
	for value, warns := range map[string]bool{
		"true": false, "Yes": false, "ON": false, "y": false, "1": false,
		"false": false, "No": false, "OFF": false, "n": false, "0": false, "maybe": true, "": true,
	} {
		t.Run(value, func(t *testing.T) {
			t.Setenv("RANKPOOL_USE_PKL5", value)
			var log strings.Builder
			ex, err := futures.NewProcessPoolExecutor(futures.WithMaxWorkers(1),
				futures.WithLogger(slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelWarn}))))
			if err != nil {
				t.Fatal(err)
			}
			if v := result(t, submit(t, ex, sum, make([]float64, 1<<16))); v != 0 {
				t.Error(v)
			}
			if err := ex.Close(); err != nil {
				t.Fatal(err)
			}
			if warned := strings.Contains(log.String(), "RANKPOOL_USE_PKL5"); warned != warns {
				t.Errorf("warned: %v, want %v; log: %s", warned, warns, &log)
			}
		})
	}
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

func TestInterruptTasksEndsTheContextsOfWhatRuns(t *testing.T) {
	on(t, 2, func(t *testing.T, _ backend, ex futures.Executor) {
		g := newGate(t)
		f := submit(t, ex, wait, g)
		eventually(t, "it runs", f.Running)
		if err := ex.Shutdown(within(t), futures.InterruptTasks()); err != nil {
			t.Fatal(err)
		}
		if _, err := f.ResultWithin(0); !errors.Is(err, context.Canceled) {
			t.Errorf("%v", err)
		}
	})
}

func TestWorkersAreProcessesOfTheirOwnOrNot(t *testing.T) {
	on(t, 2, func(t *testing.T, b backend, ex futures.Executor) {
		if got := result(t, submit(t, ex, pid, struct{}{})); (got != os.Getpid()) != b.apart {
			t.Errorf("the task ran in process %d, this is %d", got, os.Getpid())
		}
	})
}

func TestTheClassChoosesTheBackendBeforeTheVariable_C016(t *testing.T) {
	for _, tc := range []struct {
		env                   string
		mpi, process, threads string
	}{
		{"auto", "processes", "processes", "threads"},
		{"processes", "processes", "processes", "threads"},
		{"threads", "threads", "processes", "threads"},
	} {
		t.Setenv("RANKPOOL_BACKEND", tc.env)
		for _, b := range backends {
			ex, err := b.make(futures.WithBackoff(time.Millisecond))
			if err != nil {
				t.Fatal(err)
			}
			want := tc.mpi
			switch ex.(type) {
			case *futures.ProcessPoolExecutor:
				want = tc.process
			case *futures.ThreadPoolExecutor:
				want = tc.threads
			}
			if got := ex.Backend(); got != want {
				t.Errorf("%s=%s: %T has %s, want %s", "RANKPOOL_BACKEND", tc.env, ex, got, want)
			}
			if got := result(t, submit(t, ex, square, 2)); got != 4 {
				t.Error(got)
			}
			if err := ex.Close(); err != nil {
				t.Fatal(err)
			}
		}
	}
}
