package behaviour_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rankpool/rankpool/futures"
)

// diary is where states note what happens to them: a folder with a file for each event, in whatever process it is.
type diary string

var diaryGlobal = futures.RegisterGlobal[diary]("state.diary")

func (d diary) note(event string) {
	f, err := os.CreateTemp(string(d), strings.ReplaceAll(event, "/", "_")+".*")
	if err != nil {
		panic(err)
	}
	f.Close()
}

// count returns how many events there were of this name.
func (d diary) count(t *testing.T, event string) int {
	t.Helper()
	all, err := filepath.Glob(filepath.Join(string(d), event+".*"))
	if err != nil {
		t.Fatal(err)
	}
	return len(all)
}

// desk is a worker's own: not safe for two tasks at once, as most models are not.
type desk struct {
	d       diary
	scratch []int
	serial  string
}

var opened atomic.Int64

var deskState = futures.RegisterState("state.desk", func(ctx context.Context) (*desk, error) {
	d, _ := diaryGlobal.Get(ctx)
	d.note("open")
	return &desk{d: d, scratch: make([]int, 100), serial: fmt.Sprint(os.Getpid(), "-", opened.Add(1))}, nil
}, func(k *desk) error {
	k.d.note("close")
	return nil
})

var useDesk = futures.RegisterContext("state.useDesk", func(ctx context.Context, x int) (futures.Pair[string, int], error) {
	k, err := deskState.Get(ctx)
	if err != nil {
		return futures.Pair[string, int]{}, err
	}
	for i := range k.scratch {
		k.scratch[i] = i * x
	}
	runtime.Gosched()
	time.Sleep(100 * time.Microsecond)
	sum := 0
	for _, v := range k.scratch {
		sum += v
	}
	return futures.Pair[string, int]{First: k.serial, Second: sum}, nil
})

func withDiary(t *testing.T) (diary, futures.Option) {
	d := diary(t.TempDir())
	return d, futures.WithGlobal(diaryGlobal, d)
}

func TestEachWorkerHasAStateOfItsOwnWhichIsClosedAtTheEnd(t *testing.T) {
	each(t, func(t *testing.T, b backend) {
		d, global := withDiary(t)
		ex := b.start(t, 4, global)
		serials := map[string]int{}
		i := 0
		for r, err := range futures.Map(within(t), ex, useDesk, upTo(200)) {
			if err != nil {
				t.Fatal(err)
			}
			if r.Second != 4950*i {
				t.Errorf("task %d computed %d, want %d", i, r.Second, 4950*i)
			}
			serials[r.First]++
			i++
		}
		if n := len(serials); n < 1 || n > 4 || d.count(t, "open") != n {
			t.Errorf("%d workers with a state, %d opened: %v", n, d.count(t, "open"), serials)
		}
		if n := d.count(t, "close"); n != 0 {
			t.Errorf("%d were closed before the end", n)
		}
		mustClose(t, ex)
		if n := d.count(t, "close"); n != len(serials) {
			t.Errorf("%d were closed, want %d", n, len(serials))
		}
	})
}

func TestTwoExecutorsDoNotShareAState(t *testing.T) {
	each(t, func(t *testing.T, b backend) {
		d1, global1 := withDiary(t)
		d2, global2 := withDiary(t)
		one, two := b.start(t, 1, global1), b.start(t, 1, global2)
		first := result(t, submit(t, one, useDesk, 1)).First
		second := result(t, submit(t, two, useDesk, 1)).First
		if first == second {
			t.Errorf("both have %s", first)
		}
		mustClose(t, one)
		if d1.count(t, "close") != 1 || d2.count(t, "close") != 0 {
			t.Errorf("closed: %d of the first, %d of the second", d1.count(t, "close"), d2.count(t, "close"))
		}
		if again := result(t, submit(t, two, useDesk, 1)).First; again != second {
			t.Errorf("the second had %s and has %s", second, again)
		}
		mustClose(t, two)
		if d2.count(t, "close") != 1 {
			t.Error("the second was not closed")
		}
	})
}

func TestAStateIsClosedWhenItsWorkerIsReplacedOnPurpose(t *testing.T) {
	each(t, func(t *testing.T, b backend) {
		if b.name == "ranks" {
			t.Skip("ranks are not replaced")
		}
		d, global := withDiary(t)
		ex := b.start(t, 1, global, futures.WithMaxTasksPerChild(2))
		var serials []string
		for i := range 6 {
			s := result(t, submit(t, ex, useDesk, i)).First
			if !slices.Contains(serials, s) {
				serials = append(serials, s)
			}
		}
		if len(serials) != 3 {
			t.Errorf("%d states for 6 tasks of 2 a worker: %v", len(serials), serials)
		}
		mustClose(t, ex)
		if o, c := d.count(t, "open"), d.count(t, "close"); o != 3 || c != 3 {
			t.Errorf("%d opened, %d closed", o, c)
		}
	})
}

// picky opens and closes as the global says.
var pickyGlobal = futures.RegisterGlobal[string]("state.picky")

var tries atomic.Int64

var picky = futures.RegisterState("state.picky", func(ctx context.Context) (string, error) {
	how, _ := pickyGlobal.Get(ctx)
	switch how {
	case "open fails":
		if tries.Add(1)%2 == 1 {
			return "", &InputError{Value: 1, Why: "not open yet"}
		}
	case "open panics":
		if tries.Add(1)%2 == 1 {
			panic("while it opens")
		}
	case "open exits":
		if tries.Add(1)%2 == 1 {
			runtime.Goexit()
		}
	}
	return how, nil
}, func(how string) error {
	switch how {
	case "close fails":
		return &InputError{Value: 2, Why: "unsaved"}
	case "close panics":
		panic("while it closes")
	case "close exits":
		runtime.Goexit()
	case "":
	default: // it hangs until the gate opens
		return gate(how).pass(context.Background())
	}
	return nil
})

var usePicky = futures.RegisterContext("state.usePicky", func(ctx context.Context, _ int) (string, error) { return picky.Get(ctx) })

func TestAFailedOpenIsTheErrorOfThatGetAndIsTriedAgainAtTheNext(t *testing.T) {
	each(t, func(t *testing.T, b backend) {
		for how, says := range map[string]string{
			"open fails":  `state "state.picky": cannot be opened: 1 is not open yet`,
			"open panics": `state "state.picky": cannot be opened: panic: while it opens`,
			"open exits":  `state "state.picky": cannot be opened: runtime.Goexit was called`,
		} {
			tries.Store(0)
			ex := b.start(t, 1, futures.WithGlobal(pickyGlobal, how))
			_, err := submit(t, ex, usePicky, 1).Result(within(t))
			if !contains(err, says) {
				t.Errorf("%s: %v", how, err)
			}
			if in := new(InputError); how == "open fails" && !errors.As(err, &in) {
				t.Errorf("%s: the error has lost its type: %#v", how, err)
			}
			if got := result(t, submit(t, ex, usePicky, 1)); got != how {
				t.Errorf("%s: the second time it is %q", how, got)
			}
			mustClose(t, ex)
		}
	})
}

func TestWhatACloseReturnsReachesTheCloseOfTheExecutor(t *testing.T) {
	each(t, func(t *testing.T, b backend) {
		for how, says := range map[string]string{
			"close fails":  `close of state "state.picky" failed on worker 0 (`,
			"close panics": `: panic: while it closes`,
			"close exits":  `: runtime.Goexit was called`,
			"close hangs":  `: it has not returned within 50ms and is abandoned`,
		} {
			t.Run(how, func(t *testing.T) {
				g := newGate(t)
				opts := []futures.Option{futures.WithMaxWorkers(1), futures.WithGlobal(pickyGlobal, how)}
				if how == "close hangs" {
					opts = append(opts, futures.WithGlobal(pickyGlobal, string(g)), futures.WithStopTimeout(50*time.Millisecond))
				}
				if b.workers > 1 {
					t.Skip("needs one worker")
				}
				ex, err := b.make(opts...)
				if err != nil {
					t.Fatal(err)
				}
				result(t, submit(t, ex, usePicky, 1))
				err = ex.Shutdown(within(t))
				if !contains(err, says) || !contains(err, `state "state.picky"`) || !contains(err, "worker 0") {
					t.Errorf("%v", err)
				}
				if in := new(InputError); how == "close fails" && (!errors.As(err, &in) || in.Value != 2) {
					t.Errorf("the error has lost its type: %#v", err)
				}
				if p := new(futures.PanicError); how == "close panics" && !errors.As(err, &p) {
					t.Errorf("no panic: %#v", err)
				}
			})
		}
	})
}

// outer is opened by means of inner, and both note the order of their ends.
var (
	inner = futures.RegisterState("state.inner", func(ctx context.Context) (diary, error) {
		d, _ := diaryGlobal.Get(ctx)
		d.note("inner opens")
		return d, nil
	}, func(d diary) error {
		if all, _ := filepath.Glob(filepath.Join(string(d), "outer closes.*")); len(all) == 0 {
			return errors.New("it is closed before what was opened by means of it")
		}
		d.note("inner closes")
		return nil
	})
	outer = futures.RegisterState("state.outer", func(ctx context.Context) (diary, error) {
		d, err := inner.Get(ctx)
		d.note("outer opens")
		return d, err
	}, func(d diary) error {
		d.note("outer closes")
		return nil
	})
	useOuter = futures.RegisterContext("state.useOuter", func(ctx context.Context, _ int) (bool, error) {
		_, err := outer.Get(ctx)
		if err == nil {
			_, err = inner.Get(ctx)
		}
		return err == nil, err
	})

	ouroboros futures.State[int]
	_         = func() bool {
		ouroboros = futures.RegisterState("state.ouroboros", func(ctx context.Context) (int, error) { return ouroboros.Get(ctx) }, nil)
		return true
	}()
	useOuroboros = futures.RegisterContext("state.useOuroboros", func(ctx context.Context, _ int) (int, error) { return ouroboros.Get(ctx) })
)

func TestStatesAreClosedInTheReverseOrderOfTheirOpening(t *testing.T) {
	each(t, func(t *testing.T, b backend) {
		d, global := withDiary(t)
		ex := b.start(t, 1, global)
		result(t, submit(t, ex, useOuter, 1))
		mustClose(t, ex)
		for _, event := range []string{"inner opens", "outer opens", "outer closes", "inner closes"} {
			if n := d.count(t, event); n != 1 {
				t.Errorf("%s: %d times", event, n)
			}
		}
	})
}

func TestAStateThatIsOpenedByMeansOfItselfIsAnErrorAndNoDeadlock(t *testing.T) {
	on(t, 1, func(t *testing.T, _ backend, ex futures.Executor) {
		if _, err := submit(t, ex, useOuroboros, 1).Result(within(t)); !contains(err, "its open function asks for the state itself") {
			t.Error(err)
		}
	})
}

var stateInInitializer = futures.RegisterContext("state.inInitializer", func(ctx context.Context, _ int) (bool, error) {
	_, err := deskState.Get(ctx)
	return true, err
})

func TestAStateOutsideOfATaskIsAnError(t *testing.T) {
	if _, err := deskState.Get(t.Context()); !errors.Is(err, futures.ErrNotInTask) || !contains(err, "state.desk") {
		t.Error(err)
	}
	if _, err := (futures.State[int]{}).Get(t.Context()); !contains(err, "not registered") {
		t.Error(err)
	}
	each(t, func(t *testing.T, b backend) {
		ex := b.start(t, 1, futures.WithInitializer(stateInInitializer, 1))
		if _, err := submit(t, ex, square, 1).Result(within(t)); !contains(err, "an initializer runs once per process") {
			t.Error(err)
		}
	})
}

// A task that goes on after its time keeps its state; it is closed when the task returns.
var keepsDesk = futures.RegisterContext("state.keepsDesk", func(ctx context.Context, p place) (bool, error) {
	k, err := deskState.Get(context.WithoutCancel(ctx)) // its time may be over before it is open
	if err != nil {
		return false, err
	}
	if err := os.WriteFile(p.Begun, nil, 0o600); err != nil {
		return false, err
	}
	if err := p.Gate.pass(context.Background()); err != nil {
		return false, err
	}
	if all, _ := filepath.Glob(filepath.Join(string(k.d), "close.*")); len(all) > 0 {
		k.d.note("used after its end")
	}
	k.d.note("last use")
	return true, nil
})

func TestATaskThatIsLeftBehindKeepsItsState(t *testing.T) {
	each(t, func(t *testing.T, b backend) {
		d, global := withDiary(t)
		g := newGate(t)
		ex := b.start(t, 1, global)
		f := submit(t, ex, keepsDesk, place{filepath.Join(t.TempDir(), "begun"), g}, futures.WithTaskTimeout(time.Millisecond))
		if _, err := f.Result(within(t)); !errors.Is(err, context.DeadlineExceeded) {
			t.Fatal(err)
		}
		mustClose(t, ex)
		if d.count(t, "close") != 0 {
			t.Error("it was closed under the task")
		}
		g.open()
		eventually(t, "the task has returned", func() bool { return d.count(t, "last use") == 1 })
		eventually(t, "its state is closed", func() bool { return d.count(t, "close") == 1 })
		if d.count(t, "used after its end") > 0 {
			t.Error("it was closed before the task had returned")
		}
	}, inside)
}

func TestATaskThatRunsWhileAnotherOneWaitsHasAnotherState(t *testing.T) {
	d, global := withDiary(t)
	ex, err := futures.NewThreadPoolExecutor(futures.WithMaxWorkers(1), global)
	if err != nil {
		t.Fatal(err)
	}
	fn := futures.Local(func(ctx context.Context, _ int) (bool, error) {
		mine, err := deskState.Get(ctx)
		if err != nil {
			return false, err
		}
		f, err := futures.Submit(ex, useDesk, 1)
		if err != nil {
			return false, err
		}
		r, err := f.Result(ctx)
		return r.First != mine.serial, err
	})
	if !result(t, submit(t, ex, fn, 1)) {
		t.Error("both tasks had the same one")
	}
	mustClose(t, ex)
	if o, c := d.count(t, "open"), d.count(t, "close"); o != 2 || c != 2 {
		t.Errorf("%d opened, %d closed", o, c)
	}
}
