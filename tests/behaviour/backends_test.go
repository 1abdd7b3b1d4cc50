// Package behaviour_test is the one suite of behaviours, run over every kind of worker. docs/parity.md
// says which behaviour of the original each test stands for, and where rankpool differs on purpose.
package behaviour_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rankpool/rankpool/futures"
	"github.com/rankpool/rankpool/internal/testkit"
)

// limit bounds every wait: far above what any of them needs.
var limit = testkit.Limit

// backend is one kind of executor.
type backend struct {
	name     string
	env      string // RANKPOOL_BACKEND
	make     func(...futures.Option) (futures.Executor, error)
	shares   bool   // arguments and results are shared, closures allowed
	apart    bool   // workers are processes of their own
	replaces bool   // one that is lost is replaced, so one can be killed
	reports  string // what Backend says
	like     string // the backend that differs least, which is enough with -short

	slots   int               // how many a process has at most; 0: one
	workers int               // how many there are, whatever a test asks for; 0: as asked
	without map[string]string // tests that make no sense here, with the reason
}

var backends = []backend{
	{
		name: "thread pool", shares: true, reports: "threads", like: "threads",
		make: func(o ...futures.Option) (futures.Executor, error) { return futures.NewThreadPoolExecutor(o...) },
	},
	{
		name: "threads", env: "threads", reports: "threads",
		make: func(o ...futures.Option) (futures.Executor, error) { return futures.NewMPIPoolExecutor(o...) },
	},
	{
		name: "processes", env: "auto", apart: true, replaces: true, reports: "processes",
		make: func(o ...futures.Option) (futures.Executor, error) { return futures.NewMPIPoolExecutor(o...) },
	},
	{
		name: "process pool", env: "threads", apart: true, replaces: true, reports: "processes", like: "processes", // the class decides, not the variable
		make: func(o ...futures.Option) (futures.Executor, error) { return futures.NewProcessPoolExecutor(o...) },
	},
	{
		name: "processes × 4 slots", env: "processes", apart: true, replaces: true, reports: "processes", slots: 4,
		make: func(o ...futures.Option) (futures.Executor, error) { return futures.NewMPIPoolExecutor(o...) },
		without: map[string]string{
			"TestAVerbThatYieldsTellsOfEachElementInItsPlaceHoweverOthersFail": takesAlong,
			"TestAVerbThatReturnsAllGoesOnWithKeepGoing":                       takesAlong,
			"TestALostWorkerCostsOneElementOfAChunkHoweverLargeTheResults":     takesAlong,
		},
	},
}

// takesAlong is why a test is left out whose tasks end their process: see TestAProcessThatDiesCostsWhatItsSlotsRan.
const takesAlong = "a task that ends its process takes those along that other slots run"

// ran is where the tests of this run have run.
var ran testkit.Ran

// column is where docs/backends.md has what holds on this backend.
func (b backend) column() string {
	switch {
	case !b.apart:
		return "goroutines"
	case b.reports == "processes":
		return "processes"
	case b.workers > 0:
		return "world"
	}
	return "spawned"
}

// placed are the tests, whose end tells where they have run: a file that package modes has named, or who reads that docs/backends.md
// names a test which is left out.
type placed struct{ tests interface{ Run() int } }

// ranVariable names that file.
const ranVariable = "BEHAVIOUR_RAN"

func (c placed) Run() int {
	status := c.tests.Run()
	var err error
	if path := os.Getenv(ranVariable); path != "" {
		err = os.WriteFile(path, []byte(strings.Join(ran.Notes(), "\n")), 0o600)
	} else if status == 0 && testkit.Whole() && backends[0].name != "ranks" {
		err = ran.Missing("tests/behaviour", "goroutines", "processes")
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return status
}

// What a test can ask of a backend.
func apart(b backend) bool    { return b.apart }
func encodes(b backend) bool  { return !b.shares }
func inside(b backend) bool   { return !b.apart }
func replaces(b backend) bool { return b.replaces }
func alone(b backend) bool    { return b.workers <= 1 } // a test can have one worker

// each runs a test over every backend, or over those of which all of this holds.
func each(t *testing.T, test func(t *testing.T, b backend), where ...func(backend) bool) {
	t.Helper()
	for _, b := range backends {
		if slices.ContainsFunc(where, func(holds func(backend) bool) bool { return !holds(b) }) {
			continue
		}
		t.Run(b.name, func(t *testing.T) {
			if b.env != "" {
				t.Setenv("RANKPOOL_BACKEND", b.env)
			}
			if testing.Short() && b.like != "" {
				t.Skipf("left out by -short: much like %s", b.like)
			}
			if why := b.without[strings.Split(t.Name(), "/")[0]]; why != "" {
				t.Skip(why)
			}
			ran.Note(t, b.column())
			test(t, b)
		})
	}
}

// on runs a test over every backend, with an executor of so many workers.
func on(t *testing.T, workers int, test func(t *testing.T, b backend, ex futures.Executor), opts ...futures.Option) {
	each(t, func(t *testing.T, b backend) { test(t, b, b.start(t, workers, opts...)) })
}

// start returns an executor that the end of the test closes.
func (b backend) start(t *testing.T, workers int, opts ...futures.Option) futures.Executor {
	t.Helper()
	if b.workers > 0 && workers != b.workers {
		t.Skipf("needs %d workers, and there are %d", workers, b.workers)
	}
	ex, err := b.make(append(b.sized(workers), opts...)...)
	if err != nil {
		t.Fatal(err)
	}
	t.TempDir() // made before, it is removed after the last task has ended that may write there
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), limit)
		defer cancel()
		if err := ex.Shutdown(ctx, futures.CancelFutures(), futures.InterruptTasks()); err != nil && !errors.Is(err, futures.ErrBroken) {
			t.Error(err)
		}
	})
	return ex
}

// sized are the options for so many workers: as many slots to a process as there may be and the number allows.
func (b backend) sized(workers int) []futures.Option {
	for n := min(b.slots, workers); n > 1; n-- {
		if workers%n == 0 {
			return []futures.Option{futures.WithMaxWorkers(workers / n), futures.WithSlots(n)}
		}
	}
	return []futures.Option{futures.WithMaxWorkers(workers)}
}

func within(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	t.Cleanup(cancel)
	return ctx
}

// submit submits and expects that it is taken.
func submit[A, R any](t *testing.T, ex futures.Executor, fn futures.Func[A, R], arg A, opts ...futures.TaskOption) *futures.Future[R] {
	t.Helper()
	f, err := futures.Submit(ex, fn, arg, opts...)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// result waits for a result and expects that there is one.
func result[R any](t *testing.T, f *futures.Future[R]) R {
	t.Helper()
	v, err := f.Result(within(t))
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// gate is a file that tasks wait for to go, in whatever process they are. Opening it twice is harmless.
type gate string

func newGate(t *testing.T) gate {
	f, err := os.CreateTemp(t.TempDir(), "gate")
	if err != nil {
		t.Fatal(err)
	}
	f.Close()
	g := gate(f.Name())
	t.Cleanup(g.open)
	return g
}

func (g gate) open() { os.Remove(string(g)) }

// pass waits for the gate to open, or for ctx to end.
func (g gate) pass(ctx context.Context) error {
	if g == "" {
		return nil
	}
	for end := time.Now().Add(limit); time.Now().Before(end); {
		if _, err := os.Stat(string(g)); err != nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(time.Millisecond):
		}
	}
	return fmt.Errorf("gate %s did not open within %v", g, limit)
}

// mustClose closes an executor within the limit.
func mustClose(t *testing.T, ex futures.Executor, opts ...futures.ShutdownOption) {
	t.Helper()
	if err := ex.Shutdown(within(t), opts...); err != nil {
		t.Fatal(err)
	}
}

// mayBeBroken closes an executor within the limit whose pool may have broken.
func mayBeBroken(t *testing.T, ex futures.Executor, opts ...futures.ShutdownOption) {
	t.Helper()
	if err := ex.Shutdown(within(t), opts...); err != nil && !errors.Is(err, futures.ErrBroken) {
		t.Fatal(err)
	}
}

// booted starts an executor and returns the processes of its workers.
func booted(t *testing.T, ex futures.Executor) []int {
	t.Helper()
	if err := ex.Bootup(within(t)); err != nil {
		t.Fatal(err)
	}
	return pids(ex)
}

// pids lists the processes of an executor's workers, as far as they have said which they are.
func pids(ex futures.Executor) []int {
	var all []int
	for _, w := range ex.Stats().Workers {
		if w.Pid != 0 {
			all = append(all, w.Pid)
		}
	}
	return all
}

// alive tells whether a process is there, be it one that nobody has waited for.
func alive(pid int) bool {
	p, err := os.FindProcess(pid)
	return err == nil && p.Signal(syscall.Signal(0)) == nil
}

// released waits until nothing of an executor is left: neither the processes of its workers nor more goroutines than
// there were before.
func released(t *testing.T, b backend, workers []int, goroutines int) {
	t.Helper()
	eventually(t, "everything of the executor is gone", func() bool {
		return runtime.NumGoroutine() <= goroutines && (!b.apart || !slices.ContainsFunc(workers, alive))
	})
}

// files counts the files in a directory.
func files(t *testing.T, dir string) int {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	return len(entries)
}

// eventually waits until a condition holds.
func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for end := time.Now().Add(limit); !holds(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not within %v: %s", limit, what)
		}
	}
}

// comesToRest returns when the workers have nothing left of what was submitted, and its results have been delivered. The queue is fair, so
// a later call alone says nothing: it may overtake a map. What one worker sends is taken in in order, so with one worker what came
// before the answer of a call that runs on the idle worker has been delivered.
func comesToRest(t *testing.T, ex futures.Executor) {
	t.Helper()
	eventually(t, "the workers are idle", func() bool { s := ex.Stats(); return s.Queued == 0 && s.Running == 0 })
	if got := result(t, submit(t, ex, square, 3)); got != 9 {
		t.Error(got)
	}
}

func TestMain(m *testing.M) {
	os.Setenv("GORACE", "atexit_sleep_ms=0") // workers that race-check would linger for a second each
	if run, ok := programs[os.Getenv(programVariable)]; ok {
		futures.Main(run, grace()...)
	}
	futures.TestMain(placed{testkit.Checked(m)})
}

// itself returns the program of the tests, for one that starts it again. In a rank there is no such test: what is started would join
// the job.
func itself(t *testing.T) string {
	t.Helper()
	if backends[0].name == "ranks" {
		t.Skip("it starts this binary again, which must not join this job")
	}
	this, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return this
}
