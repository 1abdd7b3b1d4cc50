package behaviour_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/rankpool/rankpool/futures"
)

var (
	where = futures.RegisterContext("where", func(ctx context.Context, _ int) (futures.WorkerInfo, error) { return futures.Worker(ctx) })
	// whereInCall asks in a goroutine of the task, with a context made of the task's.
	whereInCall = futures.RegisterContext("whereInCall", func(ctx context.Context, _ int) (futures.WorkerInfo, error) {
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		var w futures.WorkerInfo
		var err error
		done := make(chan struct{})
		go func() { w, err = futures.Worker(ctx); close(done) }()
		<-done
		return w, err
	})
	setUpAt = futures.RegisterContext("setUpAt", func(ctx context.Context, _ int) (bool, error) {
		w, err := futures.Worker(ctx)
		whenSetUp = w
		return true, err
	})
	wasSetUpAt = futures.Register("wasSetUpAt", func(int) (futures.WorkerInfo, error) { return whenSetUp, nil })
	identity   = futures.Register("identity", func(int) (Identity, error) { return identify() })
	// whereSecondTime ends its worker at the first run.
	whereSecondTime = futures.RegisterContext("whereSecondTime", func(ctx context.Context, mark string) (futures.WorkerInfo, error) {
		if f, err := os.OpenFile(mark, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600); err == nil {
			_ = f.Close()
			os.Exit(3)
		}
		return futures.Worker(ctx)
	})
)

var whenSetUp futures.WorkerInfo

// Identity is what a process shows to others, and what its program saw before Main.
type Identity struct {
	Name, Early, Comm, Line string
	Numbers                 [4]string
}

// What package-level code sees of the process.
var (
	earlyName    = os.Args[0]
	earlyNumbers = numbers()
)

func numbers() (n [4]string) {
	for i, end := range []string{"INDEX", "COUNT", "HOST_INDEX", "HOST_COUNT"} {
		n[i] = os.Getenv("RANKPOOL_WORKER_" + end)
	}
	return n
}

func identify() (Identity, error) {
	line, err := os.ReadFile("/proc/self/cmdline")
	if err != nil {
		return Identity{}, err
	}
	short, err := os.ReadFile("/proc/self/comm")
	name, _, _ := strings.Cut(string(line), "\x00")
	return Identity{os.Args[0], earlyName, strings.TrimSuffix(string(short), "\n"), name, earlyNumbers}, err
}

// expected is what the task on the worker with that index is told, as far as it can be known here.
func expected(ex futures.Executor, index int) futures.WorkerInfo {
	all := ex.Stats().Workers
	w := futures.WorkerInfo{Index: index, Count: len(all), Host: all[index].Host, Pid: all[index].Pid, Attempt: 1}
	for i, v := range all {
		if v.Host == w.Host {
			w.HostCount++
			if i < index {
				w.HostIndex++
			}
		}
		if v.Pid == w.Pid {
			w.Slots++
			if i < index {
				w.Slot++
			}
		}
	}
	return w
}

func TestATaskIsToldWhichWorkerRunsIt(t *testing.T) {
	on(t, 3, func(t *testing.T, b backend, ex futures.Executor) {
		for _, fn := range []futures.Func[int, futures.WorkerInfo]{where, whereInCall} {
			f, err := futures.SubmitEach(ex, fn, 0)
			if err != nil {
				t.Fatal(err)
			}
			for i, got := range result(t, f) {
				want := expected(ex, i)
				switch b.column() {
				case "world":
					want.Rank = i/want.Slots + 1 // the master is 0
				case "spawned":
					want.Rank = i / want.Slots
				default:
					want.Rank = -1
				}
				if diff := cmp.Diff(want, got); diff != "" {
					t.Errorf("worker %d (-want +got):\n%s", i, diff)
				}
			}
		}
	})
}

func TestAnInitializerIsToldWhichWorkerItSetsUp(t *testing.T) {
	on(t, 3, func(t *testing.T, b backend, ex futures.Executor) {
		f, err := futures.SubmitEach(ex, wasSetUpAt, 0)
		if err != nil {
			t.Fatal(err)
		}
		for i, got := range result(t, f) {
			want := expected(ex, i)
			want = expected(ex, i-want.Slot) // once for all of a process
			want.Rank = got.Rank
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("worker %d (-want +got):\n%s", i, diff)
			}
		}
	}, futures.WithInitializer(setUpAt, 0))
}

func TestOutsideOfTasksThereIsNoWorkerToTellOf(t *testing.T) {
	for _, ctx := range []context.Context{t.Context(), context.Background()} {
		if w, err := futures.Worker(ctx); err == nil || w != (futures.WorkerInfo{}) || !contains(err, "RegisterContext") {
			t.Errorf("%+v, %v", w, err)
		}
	}
}

func TestAWorkerThatTakesThePlaceOfAnotherHasItsNumber(t *testing.T) {
	each(t, func(t *testing.T, b backend) {
		ex := b.start(t, 2, futures.WithMaxTasksPerChild(1))
		processes := map[int]map[int]bool{0: {}, 1: {}}
		for range 3 {
			f, err := futures.SubmitEach(ex, where, 0)
			if err != nil {
				t.Fatal(err)
			}
			for i, w := range result(t, f) {
				if w.Index != i || w.HostIndex != i || w.Count != 2 || w.HostCount != 2 {
					t.Errorf("worker %d is told %+v", i, w)
				}
				processes[w.Index][w.Pid] = true
			}
		}
		for i, pids := range processes {
			if len(pids) != 3 {
				t.Errorf("worker %d was %d processes, want 3", i, len(pids))
			}
		}
	}, replaces)
}

func TestAWorkerThatTakesThePlaceOfOneThatWasKilledHasItsNumber(t *testing.T) {
	each(t, func(t *testing.T, b backend) {
		ex := b.start(t, 3)
		booted(t, ex)
		for i := range 3 {
			pid := 0
			eventually(t, "the worker is there", func() bool { pid = ex.Stats().Workers[i].Pid; return pid != 0 })
			p, err := os.FindProcess(pid)
			if err != nil {
				t.Fatal(err)
			}
			if err := p.Kill(); err != nil {
				t.Fatal(err)
			}
			eventually(t, "the worker is replaced", func() bool {
				w := ex.Stats().Workers[i]
				return w.Pid != 0 && w.Pid != pid
			})
		}
		f, err := futures.SubmitEach(ex, where, 0)
		if err != nil {
			t.Fatal(err)
		}
		for i, got := range result(t, f) {
			want := expected(ex, i)
			want.Rank = -1
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("worker %d (-want +got):\n%s", i, diff)
			}
		}
	}, replaces)
}

func TestATaskThatRunsAgainIsToldHowOftenItHasRun(t *testing.T) {
	each(t, func(t *testing.T, b backend) {
		ex := b.start(t, 1)
		mark := filepath.Join(t.TempDir(), "mark")
		if w := result(t, submit(t, ex, whereSecondTime, mark, futures.WithRetries(2))); w.Attempt != 2 || w.Index != 0 {
			t.Errorf("at the second run it is told %+v", w)
		}
		if w := result(t, submit(t, ex, where, 0)); w.Attempt != 1 {
			t.Errorf("another task on that worker is told %+v", w)
		}
	}, replaces) // a rank that ends may take the job along
}

func TestALocalWorkerHasANameAndItsNumbersBeforeItsProgramBegins(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("needs /proc")
	}
	each(t, func(t *testing.T, b backend) {
		ex := b.start(t, 2)
		f, err := futures.SubmitEach(ex, identity, 0)
		if err != nil {
			t.Fatal(err)
		}
		for i, got := range result(t, f) {
			number, count := i, 2
			if b.slots > 0 { // then it is the process that has them
				number, count = 0, 1
			}
			end := fmt.Sprint(":", number)
			base := filepath.Base(os.Args[0])
			want := Identity{
				Name: os.Args[0], Early: os.Args[0], Line: os.Args[0] + end, Comm: base[:min(len(base), 15-len(end))] + end,
				Numbers: [4]string{strconv.Itoa(number), strconv.Itoa(count), strconv.Itoa(number), strconv.Itoa(count)},
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("worker %d (-want +got):\n%s", i, diff)
			}
		}
		if v := result(t, submit(t, ex, myself, struct{}{})); v.Path != thisProgram(t) {
			t.Errorf("os.Executable in a task says %s", v.Path)
		}
	}, replaces) // a rank has what mpiexec gives it
}

func thisProgram(t *testing.T) string {
	t.Helper()
	this, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return this
}
