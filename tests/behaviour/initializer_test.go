package behaviour_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/rankpool/rankpool/futures"
)

func TestTheInitializerRunsOncePerProcessBeforeAnyTask(t *testing.T) {
	on(t, 4, func(t *testing.T, b backend, ex futures.Executor) {
		before := calls.Load()
		for range 20 {
			s := result(t, submit(t, ex, remembered, struct{}{}))
			if s.Arg != "hello" || b.apart && s.Calls != 1 {
				t.Errorf("%+v", s)
			}
		}
		want := int64(1) // here, whatever number of goroutines
		if b.apart {
			want = 0
		}
		if got := calls.Load() - before; got != want {
			t.Errorf("it ran %d times in this process, want %d", got, want)
		}
	}, futures.WithInitializer(remember, "hello"))
}

// An initializer fills what tasks read, as any program's does: without a lock.
var (
	filled    map[int]int
	fillTable = futures.Register("fillTable", func(g gate) (bool, error) {
		filled = map[int]int{}
		if err := g.pass(context.Background()); err != nil {
			return false, err
		}
		for i := range 100 {
			filled[i] = i * i
		}
		return true, nil
	})
	readFilled = futures.Register("readFilled", func(i int) (int, error) { return filled[i], nil })
)

func TestEveryWorkerStartsItsFirstTaskAfterTheInitializerHasEnded(t *testing.T) {
	each(t, func(t *testing.T, b backend) {
		for range 3 { // a new one each time, for another executor's initializer runs again
			g := newGate(t)
			ex := b.start(t, 4, futures.WithInitializer(fillTable, g))
			var fs []*futures.Future[int]
			for i := range 100 {
				fs = append(fs, submit(t, ex, readFilled, i))
			}
			g.open()
			for i, f := range fs {
				if got := result(t, f); got != i*i {
					t.Errorf("%d is %d", i, got)
				}
			}
			mustClose(t, ex)
		}
	})
}

// initializers that fail, by how they do.
var failingInitializer = futures.Register("failingInitializer", func(how string) (bool, error) {
	switch how {
	case "panic":
		panic("at start")
	case "exit":
		runtime.Goexit()
	}
	return false, &InputError{Value: 1, Why: how}
})

// place of a worker in an error's text
var anyWorker = regexp.MustCompile(`worker \d+ \([^)]*\)`)

func TestAFailingInitializerFailsThePoolInTheSameWordsOnEveryBackend(t *testing.T) {
	for how, says := range map[string]string{
		"error": "the pool is broken: initializer failingInitializer failed on worker N: 1 is error",
		"panic": "the pool is broken: initializer failingInitializer failed on worker N: panic: at start",
		"exit": "the pool is broken: initializer failingInitializer failed on worker N: runtime.Goexit was called, so there is no result: " +
			"return an error instead (FailNow, Fatal and SkipNow of package testing call it too)",
	} {
		t.Run(how, func(t *testing.T) {
			on(t, 3, func(t *testing.T, _ backend, ex futures.Executor) {
				_, err := submit(t, ex, square, 1).Result(within(t))
				if text := anyWorker.ReplaceAllString(fmt.Sprint(err), "worker N"); text != says {
					t.Errorf("%s\nwant %s", text, says)
				}
			}, futures.WithInitializer(failingInitializer, how))
		})
	}
}

func TestWorkersStartInTheOrderOfTheOriginal(t *testing.T) {
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

func TestAFailingInitializerBreaksTheExecutor(t *testing.T) {
	each(t, func(t *testing.T, b backend) {
		g := newGate(t)
		ex := b.start(t, 2, futures.WithInitializer(refuse, g))
		f := submit(t, ex, square, 1) // before the failure
		g.open()
		booted := ex.Bootup(within(t))
		n, counted := ex.NumWorkers(within(t))
		if n != 0 {
			t.Errorf("%d workers", n)
		}
		_, queued := f.Result(within(t))
		for _, err := range []error{booted, counted, queued, second(futures.Submit(ex, square, 1)), ex.Close()} {
			if !errors.Is(err, futures.ErrBroken) || !contains(err, "no licence") || !contains(err, "worker") {
				t.Errorf("%v", err)
			}
		}
		if _, err := futures.Submit(ex, square, 1); !errors.Is(err, futures.ErrBroken) {
			t.Errorf("broken is reported before shut down, not %v", err)
		}
	})
}

func TestABrokenPoolRefusesMapsWithTheCause(t *testing.T) {
	each(t, func(t *testing.T, b backend) {
		g := newGate(t)
		ex := b.start(t, 2, futures.WithInitializer(refuse, g))
		queued := futures.Map(within(t), ex, square, upTo(5))
		var fs []*futures.Future[int]
		for i := range 20 {
			fs = append(fs, submit(t, ex, square, i))
		}
		g.open()
		for _, f := range fs {
			if _, err := f.Result(within(t)); !errors.Is(err, futures.ErrBroken) {
				t.Errorf("a queued task: %v", err)
			}
		}
		for name, seq := range map[string]iter.Seq2[int, error]{
			"queued": queued, "slice": futures.Map(within(t), ex, square, upTo(5)),
			"sequence": futures.Map(within(t), ex, square, slices.Values(upTo(5))), "empty": futures.Map(within(t), ex, square, []int{}),
		} {
			got, err := gather(seq)
			if name == "empty" && err == nil {
				continue // nothing was asked of it
			}
			if len(got) != 0 || !errors.Is(err, futures.ErrBroken) || !contains(err, "no licence") {
				t.Errorf("%s: %v, %v", name, got, err)
			}
		}
	})
}

func TestTheCauseOfABrokenPoolKeepsItsTypeAndPlace(t *testing.T) {
	each(t, func(t *testing.T, b backend) {
		for _, how := range []string{"too slow", "panic"} {
			ex := b.start(t, 1, futures.WithInitializer(refuseAs, how))
			_, err := submit(t, ex, square, 1).Result(within(t))
			broken, input, panicked := new(futures.BrokenError), new(InputError), new(futures.PanicError)
			if !errors.Is(err, futures.ErrBroken) || !errors.As(err, &broken) || broken.Worker != 0 || broken.Host == "" {
				t.Errorf("%s: %#v", how, err)
			}
			switch how {
			case "panic":
				if !errors.As(err, &panicked) || panicked.Value != "at start" {
					t.Errorf("%+v", err)
				}
			default:
				if !errors.As(err, &input) || *input != (InputError{1, how}) {
					t.Errorf("%+v", err)
				}
			}
		}
	})
}

func TestAbandoningAPoolWhoseInitializerFailsReleasesEverything(t *testing.T) {
	each(t, func(t *testing.T, b backend) {
		before := runtime.NumGoroutine()
		for _, opts := range [][]futures.ShutdownOption{nil, {futures.NoWait()}, {futures.CancelFutures()}, {futures.NoWait(), futures.CancelFutures()}} {
			ex := b.start(t, 1, futures.WithInitializer(refuse, ""))
			if err := ex.Start(); err != nil {
				t.Fatal(err)
			}
			mayBeBroken(t, ex, opts...)
			released(t, b, pids(ex), before)
		}
		abandoned := b.start(t, 2, futures.WithInitializer(refuse, ""))
		if err := abandoned.Bootup(within(t)); !errors.Is(err, futures.ErrBroken) {
			t.Error(err)
		}
		released(t, b, pids(abandoned), before) // without any shutdown
	})
}
