package behaviour_test

import (
	"errors"
	"iter"
	"path/filepath"
	"runtime"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/rankpool/rankpool/futures"
)

func TestTheInitializerRunsOncePerWorkerBeforeAnyTask_C078_C085(t *testing.T) {
	on(t, 2, func(t *testing.T, b backend, ex futures.Executor) {
		before := calls.Load()
		for range 20 {
			s := result(t, submit(t, ex, remembered, struct{}{}))
			if s.Arg != "hello" || b.apart && s.Calls != 1 {
				t.Errorf("%+v", s)
			}
		}
		want := int64(2)
		switch {
		case b.apart:
			want = 0
		case b.shares:
			want = 1 // once for the pool
		}
		if got := calls.Load() - before; got != want {
			t.Errorf("it ran %d times in this process, want %d", got, want)
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

func TestABrokenPoolRefusesMapsWithTheCause_C079(t *testing.T) {
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

func TestTheCauseOfABrokenPoolKeepsItsTypeAndPlace_C084(t *testing.T) {
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

func TestAbandoningAPoolWhoseInitializerFailsReleasesEverything_C083(t *testing.T) {
	each(t, func(t *testing.T, b backend) {
		before := runtime.NumGoroutine()
		for _, opts := range [][]futures.ShutdownOption{nil, {futures.NoWait()}, {futures.CancelFutures()}, {futures.NoWait(), futures.CancelFutures()}} {
			ex := b.start(t, 1, futures.WithInitializer(refuse, ""))
			if err := ex.Start(); err != nil {
				t.Fatal(err)
			}
			mustClose(t, ex, opts...)
			released(t, b, pids(ex), before)
		}
		abandoned := b.start(t, 2, futures.WithInitializer(refuse, ""))
		workers := booted(t, abandoned) // without any shutdown
		released(t, b, workers, before)
	})
}
