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
	"github.com/rankpool/rankpool/pool"
)

func TestConstructionStartsNothing(t *testing.T) {
	each(t, func(t *testing.T, b backend) {
		before := startedHere()
		ex := b.start(t, 3)
		if after := startedHere(); after > before {
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

// startedHere counts the goroutines that the present one has started. Those of other tests may still come and go.
func startedHere() int {
	stacks := make([]byte, 1<<20)
	for n := runtime.Stack(stacks, true); ; n = runtime.Stack(stacks, true) {
		if n < len(stacks) {
			stacks = stacks[:n]
			break
		}
		stacks = make([]byte, 2*len(stacks))
	}
	me, _, _ := strings.Cut(string(stacks), " [") // the first is the present one: "goroutine 7 [running]:"
	return strings.Count(string(stacks), " in "+me+"\n")
}

func TestBadOptionsAreAllListedAtConstruction(t *testing.T) {
	each(t, func(t *testing.T, b backend) {
		_, err := b.make(futures.WithMaxWorkers(0), futures.WithLiveness(-1), nil, futures.WithOutOfBandThreshold(-1))
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

func TestInitializersAreCheckedAtConstruction(t *testing.T) {
	each(t, func(t *testing.T, b backend) {
		if _, err := b.make(futures.WithInitializer(futures.Func[int, int]{}, 1)); !contains(err, "Register") {
			t.Errorf("an initializer that is not registered: %v", err)
		}
		if _, err := b.make(futures.WithInitializer(takes, Stubborn{1})); encodes(b) && !errors.Is(err, errHook) {
			t.Errorf("an argument that cannot be encoded: %v", err)
		}
		local := futures.Local(func(context.Context, int) (int, error) { return 0, nil })
		if _, err := b.make(futures.WithInitializer(local, 1)); (err == nil) != b.shares {
			t.Errorf("a closure as initializer: %v", err)
		}
	})
}

func TestWhatOptionsWereGivenIsCopiedAtConstruction(t *testing.T) {
	each(t, func(t *testing.T, b backend) {
		xs, global, env, args := []int{1}, map[string]int{"x": 1}, map[string]string{"BEHAVIOUR": "1"}, []string{"1"}
		opts := []futures.Option{futures.WithInitializer(keep, xs), futures.WithGlobal(setting, global)}
		if b.apart {
			opts = append(opts, futures.WithEnv(env), futures.WithArgs(args...))
		}
		ex := b.start(t, 1, opts...)
		xs[0], global["x"], env["BEHAVIOUR"], args[0] = 2, 2, "2", "2"
		want := int64(1)
		if b.shares {
			want = 2 // like every argument there
		}
		if got := result(t, submit(t, ex, keptValue, struct{}{})); got != want {
			t.Errorf("the initializer got %d, want %d", got, want)
		}
		if got := result(t, submit(t, ex, lookup, "x")); got != 1 {
			t.Errorf("the global is %d", got)
		}
		if !b.apart {
			return
		}
		if got := result(t, submit(t, ex, getenv, "BEHAVIOUR")); got != "1" {
			t.Errorf("the variable is %s", got)
		}
		if got := result(t, submit(t, ex, myself, struct{}{})).Args; len(got) != 1 || got[0] != "1" {
			t.Errorf("the arguments are %q", got)
		}
	})
}

func TestTheNumberOfWorkersIsReadWhenThePoolStarts(t *testing.T) {
	each(t, func(t *testing.T, b backend) {
		ex, err := b.make()
		if err != nil {
			t.Fatal(err)
		}
		defer ex.Close()
		t.Setenv("RANKPOOL_MAX_WORKERS", "3")
		want := 3
		if b.shares {
			want = min(runtime.NumCPU(), runtime.GOMAXPROCS(0)) // a thread pool respects no variable
		}
		if n, err := ex.NumWorkers(within(t)); err != nil || n != want {
			t.Errorf("%d workers, want %d: %v", n, want, err)
		}
	})
}

func TestThereAreAsManyWorkersAsGoTakesFromTheQuotaOfAContainer(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1)) // as the runtime sets it from the cgroup
	each(t, func(t *testing.T, b backend) {
		for procs, want := range map[int]int{1: 1, 64: runtime.NumCPU()} {
			runtime.GOMAXPROCS(procs)
			ex, err := b.make()
			if err != nil {
				t.Fatal(err)
			}
			if n, err := ex.NumWorkers(within(t)); err != nil || n != want {
				t.Errorf("GOMAXPROCS %d: %d workers, want %d: %v", procs, n, want, err)
			}
			mustClose(t, ex)
		}
	}, func(b backend) bool { return b.reports != "mpi" })
}

func TestAThreadPoolRespectsNoVariable(t *testing.T) {
	for name, value := range map[string]string{
		"RANKPOOL_BACKEND": "no such", "RANKPOOL_MAX_WORKERS": "many", "RANKPOOL_PKL5_THRESHOLD": "much", "RANKPOOL_BACKOFF": "long",
		"RANKPOOL_USE_PKL5": "perhaps", "RANKPOOL_SERVICE": "tcp:nowhere:port", "RANKPOOL_NO_SUCH": "1",
	} {
		t.Setenv(name, value)
	}
	var log lockedText
	ex, err := futures.NewThreadPoolExecutor(futures.WithMaxWorkers(3), futures.WithLogger(slog.New(slog.NewTextHandler(&log, nil))))
	if err != nil {
		t.Fatal(err)
	}
	defer ex.Close()
	if ex.Backend() != "threads" {
		t.Error(ex.Backend())
	}
	if got := result(t, submit(t, ex, square, 3)); got != 9 {
		t.Error(got)
	}
	if n, err := ex.NumWorkers(within(t)); n != 3 || err != nil {
		t.Error(n, err)
	}
	mustClose(t, ex)
	if said := log.String(); said != "" {
		t.Errorf("it complains: %s", said)
	}
}

func TestNumWorkersStartsThePoolAndKnowsItsEnd(t *testing.T) {
	on(t, 2, func(t *testing.T, b backend, ex futures.Executor) {
		if n, err := ex.NumWorkers(within(t)); n != 2 || err != nil {
			t.Errorf("%d, %v", n, err)
		}
		g := newGate(t)
		f := submit(t, ex, wait, g)
		mustClose(t, ex, futures.NoWait())
		if n, err := ex.NumWorkers(within(t)); n != 0 || err != nil || f.Done() {
			t.Errorf("%d workers after a shutdown under a running task, %v", n, err)
		}
		g.open()
		result(t, f)
		for _, ex := range []futures.Executor{ex, b.start(t, 2)} { // one that worked, and one that never started
			mustClose(t, ex)
			if n, err := ex.NumWorkers(within(t)); n != 0 || err != nil {
				t.Errorf("%d workers after a waiting shutdown, %v", n, err)
			}
		}
	})
}

func TestEveryCallSaysWhyThePoolBroke(t *testing.T) {
	each(t, func(t *testing.T, b backend) {
		ex := b.start(t, max(b.workers, 1), futures.WithInitializer(refuse, ""))
		calls := []struct {
			verb string
			err  error
		}{
			{"Bootup", ex.Bootup(within(t))},
			{"NumWorkers", second(ex.NumWorkers(within(t)))},
			{"Start", ex.Start()},
			{"Submit", second(futures.Submit(ex, square, 1))},
			{"Shutdown without waiting", ex.Shutdown(within(t), futures.NoWait())},
			{"Shutdown", ex.Shutdown(within(t))},
			{"Close", ex.Close()},
			{"a second Close", ex.Close()},
			{"Bootup after Close", ex.Bootup(within(t))},
		}
		for _, c := range calls {
			broken := new(futures.BrokenError)
			if c.verb == "Shutdown without waiting" {
				if c.err != nil {
					t.Errorf("%s: %v", c.verb, c.err)
				}
			} else if !errors.As(c.err, &broken) || !errors.Is(c.err, futures.ErrBroken) || !contains(c.err, "no licence") {
				t.Errorf("%s: %v", c.verb, c.err)
			}
		}
	})
}

func TestWithAndJoinSayWhyThePoolBroke(t *testing.T) {
	t.Setenv("RANKPOOL_BACKEND", "threads")
	err := futures.With(t.Context(), func(ex futures.Executor) error {
		_ = ex.Bootup(t.Context()) // an error that is not looked at
		return nil
	}, futures.WithMaxWorkers(1), futures.WithInitializer(refuse, ""))
	if !errors.Is(err, futures.ErrBroken) || !contains(err, "no licence") {
		t.Error(err)
	}
	err = pool.With(t.Context(), func(p *pool.Pool) error {
		_, _ = pool.Apply(t.Context(), p, square, 1) // likewise
		return nil
	}, futures.WithMaxWorkers(1), futures.WithInitializer(refuse, ""))
	if !errors.Is(err, futures.ErrBroken) || !contains(err, "no licence") {
		t.Error(err)
	}
}

func TestNumWorkersIsTheSizeAskedForAndNoMoreTasksRunAtOnce(t *testing.T) {
	on(t, 3, func(t *testing.T, b backend, ex futures.Executor) {
		dir, g := t.TempDir(), newGate(t)
		var fs []*futures.Future[int]
		for i := range 6 {
			fs = append(fs, submit(t, ex, announce, place{filepath.Join(dir, fmt.Sprint(i)), g}))
		}
		eventually(t, "three run", func() bool { return files(t, dir) == 3 })
		if s := ex.Stats(); s.Running != 3 || s.Queued != 3 {
			t.Errorf("%d run and %d are queued", s.Running, s.Queued)
		}
		if n, err := ex.NumWorkers(within(t)); n != 3 || err != nil {
			t.Errorf("%d workers, %v", n, err)
		}
		g.open()
		for _, f := range fs {
			result(t, f)
		}
		most.Store(0)
		for n, err := range futures.Map(within(t), ex, crowd, upTo(2000)) {
			if err != nil || n > 3 || b.apart && b.slots == 0 && n != 1 {
				t.Fatalf("%d tasks at once in one process, %v", n, err)
			}
		}
		if n := most.Load(); n > 3 {
			t.Errorf("%d tasks ran at once", n)
		}
	})
}

func TestSubmitDoesNotWaitForASlowStart(t *testing.T) {
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

func TestBootupMayBeRepeatedAndIsRefusedAfterShutdown(t *testing.T) {
	on(t, 2, func(t *testing.T, b backend, ex futures.Executor) {
		for _, boot := range []func() error{ex.Start, ex.Start, func() error { return ex.Bootup(within(t)) }, ex.Start} {
			if err := boot(); err != nil {
				t.Error(err)
			}
		}
		if n := len(ex.Stats().Workers); n != 2 {
			t.Errorf("%d workers were started", n)
		}
		for _, ex := range []futures.Executor{ex, b.start(t, 1)} { // one that worked, and one that never started
			mustClose(t, ex)
			if err := ex.Start(); !errors.Is(err, futures.ErrShutdown) {
				t.Error(err)
			}
			if err := ex.Bootup(within(t)); !errors.Is(err, futures.ErrShutdown) {
				t.Error(err)
			}
		}
	})
}

func TestAPoolThatIsStartedAndAbandonedEndsByItself(t *testing.T) {
	each(t, func(t *testing.T, b backend) {
		before := runtime.NumGoroutine()
		ex := b.start(t, 2)
		if err := ex.Start(); err != nil {
			t.Error(err)
		}
		mustClose(t, ex, futures.NoWait())
		released(t, b, pids(ex), before)
		ex = b.start(t, 2)
		workers := booted(t, ex)
		mustClose(t, ex, futures.NoWait())
		released(t, b, workers, before)
	})
}

func TestBootupWaitsForASlowInitializerAsLongAsItsContext(t *testing.T) {
	each(t, func(t *testing.T, b backend) {
		g := newGate(t)
		ex := b.start(t, 2, futures.WithInitializer(wait, g))
		short, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
		defer cancel()
		if err := ex.Bootup(short); !errors.Is(err, futures.ErrTimeout) {
			t.Errorf("bootup: %v", err)
		}
		if n, err := ex.NumWorkers(short); n != 0 || !errors.Is(err, futures.ErrTimeout) {
			t.Errorf("the number of workers: %d, %v", n, err)
		}
		g.open()
		if n, err := ex.NumWorkers(within(t)); n != 2 || err != nil {
			t.Errorf("%d workers, %v", n, err)
		}
	})
}

func TestTheClassChoosesTheBackendBeforeTheVariable(t *testing.T) {
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
			if tc.env == "auto" && b.reports == "mpi" {
				want = "mpi"
			}
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

func TestTheFirstTasksLandOneOnEachWorkerInOrder(t *testing.T) {
	each(t, func(t *testing.T, b backend) {
		ex := b.start(t, 3)
		dir, g := t.TempDir(), newGate(t)
		var fs []*futures.Future[int]
		for i := range 3 {
			fs = append(fs, submit(t, ex, announce, place{Begun: filepath.Join(dir, fmt.Sprint(i)), Gate: g}))
		}
		eventually(t, "all run at once", func() bool { return files(t, dir) == 3 })
		g.open()
		for i, f := range fs {
			if got, want := result(t, f), ex.Stats().Workers[i].Pid; got != want {
				t.Errorf("task %d ran in process %d, worker %d is %d", i, got, i, want)
			}
		}
	}, apart)
}

func TestWorkersAreProcessesOfTheirOwnOrNot(t *testing.T) {
	if futures.InWorker() {
		t.Error("the master takes itself for a worker")
	}
	on(t, 2, func(t *testing.T, b backend, ex futures.Executor) {
		if got := result(t, submit(t, ex, pid, struct{}{})); (got != os.Getpid()) != b.apart {
			t.Errorf("the task ran in process %d, this is %d", got, os.Getpid())
		}
		if got := result(t, submit(t, ex, myself, struct{}{})); got.InWorker != b.apart {
			t.Errorf("InWorker in a task is %v", got.InWorker)
		}
	})
}

func TestTheBackendIsReadWhenThePoolStarts(t *testing.T) {
	t.Setenv("RANKPOOL_BACKEND", "processes")
	ex, err := futures.NewMPIPoolExecutor(futures.WithMaxWorkers(1))
	if err != nil {
		t.Fatal(err)
	}
	defer ex.Close()
	t.Setenv("RANKPOOL_BACKEND", "threads")
	if got := result(t, submit(t, ex, pid, struct{}{})); got != os.Getpid() {
		t.Errorf("the task ran in process %d, this is %d", got, os.Getpid())
	}
	t.Setenv("RANKPOOL_BACKEND", "processes")
	if got := ex.Backend(); got != "threads" {
		t.Errorf("a pool that has started turned to %s", got)
	}
}
