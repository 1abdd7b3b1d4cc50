package pool_test

import (
	"context"
	"errors"
	"iter"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/rankpool/rankpool/futures"
	"github.com/rankpool/rankpool/pool"
)

func TestEveryFormEqualsTheBuiltin(t *testing.T) {
	eachForm(t, func(t *testing.T, p *pool.Pool, f form) {
		for _, n := range []int{1, 2, 9, 100} {
			for _, chunk := range []int{-1, 1, 20, 1000} {
				var opts []futures.AnyMapOption
				if chunk > 0 {
					opts = append(opts, pool.WithChunkSize(chunk))
				}
				in := jobs(n)
				for name, xs := range map[string]any{"slice": in, "sequence": slices.Values(in)} {
					ys, err := f.run(within(t), p, work, xs, opts...)
					if err != nil {
						t.Fatal(err)
					}
					if diff := cmp.Diff(squares(n), f.sorted(ys)); diff != "" {
						t.Errorf("%s of %d, chunk size %d:\n%s", name, n, chunk, diff)
					}
				}
			}
		}
	})
}

func TestAnEmptyInputGivesNothing(t *testing.T) {
	eachForm(t, func(t *testing.T, p *pool.Pool, f form) {
		for name, xs := range map[string]any{
			"empty slice": []job{}, "nil slice": []job(nil), "empty sequence": slices.Values([]job{}),
		} {
			ys, err := f.run(within(t), p, work, xs)
			if err != nil || len(ys) != 0 || f.list && ys == nil {
				t.Errorf("%s: %v, %v", name, ys, err)
			}
		}
	})
}

func TestStarFormsSpreadTheirArguments(t *testing.T) {
	on(t, func(t *testing.T, p *pool.Pool) {
		ctx := within(t)
		in := futures.Zip([]int{1, 2, 3}, []int{10, 20, 30})
		want := []int{11, 22, 33}
		check := func(verb string, got []int, err error) {
			if diff := cmp.Diff(want, got); diff != "" || err != nil {
				t.Errorf("%s: %v\n%s", verb, err, diff)
			}
		}
		got, err := pool.Starmap(ctx, p, add, in)
		check("Starmap", got, err)
		r, err := pool.StarmapAsync(ctx, p, add, slices.Values(in))
		if err != nil {
			t.Fatal(err)
		}
		got, err = r.Get(ctx)
		check("StarmapAsync", got, err)
		got, err = drain(pool.Istarmap(ctx, p, add, in))
		check("Istarmap", got, err)
		got, err = drain(pool.IstarmapUnordered(ctx, p, add, in))
		slices.Sort(got)
		check("IstarmapUnordered", got, err)
	})
}

// drain reads results to their end.
func drain[R any](results iter.Seq2[R, error]) (all []R, err error) {
	for r, err := range results {
		if err != nil {
			return all, err
		}
		all = append(all, r)
	}
	return all, nil
}

func TestApplyReturnsResultsAndErrors(t *testing.T) {
	on(t, func(t *testing.T, p *pool.Pool) {
		if y, err := pool.Apply(within(t), p, work, job{X: 7}); y != 49 || err != nil {
			t.Error(y, err)
		}
		r, err := pool.ApplyAsync(p, work, job{X: 8})
		if err != nil {
			t.Fatal(err)
		}
		if y, err := r.Get(within(t)); y != 64 || err != nil {
			t.Error(y, err)
		}
		_, err = pool.Apply(within(t), p, work, job{X: -3})
		if input := new(InputError); !errors.As(err, &input) || input.X != -3 {
			t.Errorf("Apply failed with %v, want the InputError", err)
		}
		if r, err = pool.ApplyAsync(p, work, job{X: -4}); err != nil {
			t.Fatal(err)
		}
		_, err = r.Get(within(t))
		if input := new(InputError); !errors.As(err, &input) || input.X != -4 {
			t.Errorf("Get failed with %v, want the InputError", err)
		}
	})
}

// The results before the failing element come first where they come one by one, and nothing comes after it.
func TestAFailingElementEndsEveryForm(t *testing.T) {
	const n = 30
	eachForm(t, func(t *testing.T, p *pool.Pool, f form) {
		for _, at := range []int{0, n / 2, n - 1} {
			for _, chunk := range []int{1, 7, 100} {
				in := jobs(n)
				in[at].X = -1 - at
				ys, err := f.run(within(t), p, work, in, pool.WithChunkSize(chunk))
				if input := new(InputError); !errors.As(err, &input) || input.X != -1-at {
					t.Fatalf("element %d fails, chunk size %d: error %v", at, chunk, err)
				}
				switch {
				case f.list && ys != nil:
					t.Errorf("element %d fails, chunk size %d: a list came with the error", at, chunk)
				case !f.list && !f.unordered:
					if diff := cmp.Diff(squares(at), ys, cmpopts.EquateEmpty()); diff != "" {
						t.Errorf("element %d fails, chunk size %d: %s", at, chunk, diff)
					}
				}
			}
		}
		if ys, err := f.run(within(t), p, work, jobs(3)); err != nil || len(ys) != 3 {
			t.Errorf("afterwards: %v, %v", ys, err)
		}
	})
}

func TestAChunkSizeBelowOneIsRefusedBeforeAnythingIsDrawn(t *testing.T) {
	eachForm(t, func(t *testing.T, p *pool.Pool, f form) {
		m := newMarks(t)
		var drawn atomic.Int64
		var seq iter.Seq[job] = func(yield func(job) bool) { drawn.Add(1); yield(job{Marks: m}) }
		for _, opt := range []futures.AnyMapOption{pool.WithChunkSize(0), pool.WithChunkSize(-1), futures.WithChunkSize(0)} {
			for _, xs := range []any{seq, waiting(3, m, "")} {
				_, err := f.run(within(t), p, work, xs, opt)
				if err == nil || !strings.Contains(err.Error(), "pool: "+f.name+": the chunk size is") {
					t.Errorf("error %v", err)
				}
			}
		}
		if drawn.Load() > 0 || m.count(t) > 0 {
			t.Errorf("drawn %d times, %d tasks ran", drawn.Load(), m.count(t))
		}
	})
}

func TestOptionsOfTheExecutorsMapAreTakenToo(t *testing.T) {
	eachForm(t, func(t *testing.T, p *pool.Pool, f form) {
		var opts []futures.AnyMapOption
		if !f.unordered {
			opts = append(opts, futures.WithBufferSize(2))
		}
		ys, err := f.run(within(t), p, work, jobs(20), append(opts, futures.WithChunkSize(3), nil)...)
		if diff := cmp.Diff(squares(20), f.sorted(ys)); diff != "" || err != nil {
			t.Errorf("%v\n%s", err, diff)
		}
		if _, err := f.run(within(t), p, work, jobs(3), futures.WithChunkSize(0)); err == nil {
			t.Error("no error for futures.WithChunkSize(0)")
		}
		_, err = f.run(within(t), p, work, waiting(3, "", newGate(t)), futures.WithTaskTimeout(10*time.Millisecond))
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("after a task's time-out: %v", err)
		}
	})
}

func TestTheEndOfTheContextEndsEveryVerb(t *testing.T) {
	on(t, func(t *testing.T, p *pool.Pool) {
		if _, err := p.Executor().NumWorkers(within(t)); err != nil {
			t.Fatal(err)
		}
		for _, f := range forms {
			t.Run(f.name, func(t *testing.T) {
				g := newGate(t)
				ctx, cancel := context.WithTimeout(context.Background(), 20*time.Millisecond)
				defer cancel()
				if _, err := f.run(ctx, p, work, waiting(5, "", g)); !errors.Is(err, context.DeadlineExceeded) {
					t.Errorf("after the deadline: %v", err)
				}
				stop := errors.New("stop")
				cause, cancelCause := context.WithCancelCause(context.Background())
				cancelCause(stop)
				if _, err := f.run(cause, p, work, waiting(5, "", g)); !errors.Is(err, stop) {
					t.Errorf("already cancelled: %v", err)
				}
			})
		}
		t.Run("Apply", func(t *testing.T) {
			g, m := newGate(t), newMarks(t)
			block, err := pool.MapAsync(within(t), p, work, waiting(workers, m, g), pool.WithChunkSize(1))
			if err != nil {
				t.Fatal(err)
			}
			eventually(t, "all workers are busy", func() bool { return m.count(t) == workers })
			ctx, cancel := context.WithTimeout(context.Background(), 20*time.Millisecond)
			defer cancel()
			_, err = pool.Apply(ctx, p, work, job{X: 99, Marks: m})
			if !errors.Is(err, futures.ErrTimeout) || !errors.Is(err, context.DeadlineExceeded) {
				t.Error(err)
			}
			g.open()
			if _, err := block.Get(within(t)); err != nil {
				t.Error(err)
			}
			if _, err := pool.Map(within(t), p, work, jobs(4)); err != nil {
				t.Error(err)
			}
			if m.count(t) != workers {
				t.Error("a call ran that nobody waited for any more")
			}
		})
	})
}

// naturals is an endless sequence that counts how far it was drawn.
func naturals(drawn *atomic.Int64) iter.Seq[job] {
	return func(yield func(job) bool) {
		for yield(job{X: int(drawn.Add(1)) - 1}) {
		}
	}
}

func TestAnEndlessSequenceIsDrawnAWindowAhead(t *testing.T) {
	eachForm(t, func(t *testing.T, p *pool.Pool, f form) {
		var drawn atomic.Int64
		if f.list { // it is read to its end, which does not come: the context ends that
			ctx, cancel := context.WithTimeout(context.Background(), 20*time.Millisecond)
			defer cancel()
			if _, err := f.run(ctx, p, work, naturals(&drawn)); !errors.Is(err, context.DeadlineExceeded) {
				t.Error(err)
			}
			return
		}
		var results iter.Seq2[int, error]
		switch f.name {
		case "Imap":
			results = pool.Imap(within(t), p, work, naturals(&drawn))
		case "Istarmap":
			results = pool.Istarmap(within(t), p, work, naturals(&drawn))
		case "ImapUnordered":
			results = pool.ImapUnordered(within(t), p, work, naturals(&drawn))
		default:
			results = pool.IstarmapUnordered(within(t), p, work, naturals(&drawn))
		}
		if drawn.Load() != 0 {
			t.Error("drawn before it was read")
		}
		n := 0
		for _, err := range results {
			if err != nil {
				t.Fatal(err)
			}
			if n++; n == 50 {
				break
			}
		}
		if n := drawn.Load(); n < 50 || n > 50+300*workers {
			t.Errorf("%d were drawn for 50 results", n)
		}
		for y, err := range results {
			if err == nil {
				t.Errorf("the results could be read again: %v", y)
			}
		}
	})
}

func TestAPanicInTheInputReachesTheCaller(t *testing.T) {
	eachForm(t, func(t *testing.T, p *pool.Pool, f form) {
		var seq iter.Seq[job] = func(yield func(job) bool) {
			for _, j := range jobs(20) {
				if !yield(j) {
					return
				}
			}
			panic("half way")
		}
		func() {
			defer func() {
				if v := recover(); v != "half way" {
					t.Errorf("recovered %v", v)
				}
			}()
			ys, err := f.run(within(t), p, work, seq)
			t.Errorf("it returned %v, %v", ys, err)
		}()
		if ys, err := f.run(within(t), p, work, jobs(3)); err != nil || len(ys) != 3 {
			t.Errorf("afterwards: %v, %v", ys, err)
		}
	})
}

func TestAReaderThatStopsEarlyEndsTheRest(t *testing.T) {
	on(t, func(t *testing.T, p *pool.Pool) {
		for name, imap := range map[string]func(context.Context, []job) iter.Seq2[int, error]{
			"Imap": func(ctx context.Context, js []job) iter.Seq2[int, error] { return pool.Imap(ctx, p, work, js) },
			"ImapUnordered": func(ctx context.Context, js []job) iter.Seq2[int, error] {
				return pool.ImapUnordered(ctx, p, work, js)
			},
			"Imap of a sequence": func(ctx context.Context, js []job) iter.Seq2[int, error] {
				return pool.Imap(ctx, p, work, slices.Values(js))
			},
		} {
			t.Run(name, func(t *testing.T) {
				g, m := newGate(t), newMarks(t)
				in := append(jobs(1), waiting(100, m, g)...)
				for y, err := range imap(within(t), in) {
					if y != 0 || err != nil {
						t.Fatal(y, err)
					}
					break
				}
				// The gate stays shut: the workers are free again because their tasks' contexts have ended.
				if _, err := pool.Map(within(t), p, work, jobs(5)); err != nil {
					t.Fatal(err)
				}
				if n := m.count(t); n > workers {
					t.Errorf("%d of 100 tasks began after the reader had stopped", n)
				}
			})
		}
	})
}

func TestQuickResultsComeFirstWithoutOrder(t *testing.T) {
	on(t, func(t *testing.T, p *pool.Pool) {
		g := newGate(t)
		in := jobs(6)
		in[0].Gate = g
		var got []int
		for y, err := range pool.ImapUnordered(within(t), p, work, in) {
			if err != nil {
				t.Fatal(err)
			}
			if got = append(got, y); len(got) == 5 {
				g.open()
			}
		}
		if len(got) != 6 || got[5] != 0 {
			t.Errorf("%v: the one that waits is not last", got)
		}
	})
}

func TestOnlyTheDefaultChunkStartsWorkers(t *testing.T) {
	each(t, func(t *testing.T, b backend) {
		m := newMarks(t)
		p := b.start(t, pool.WithInitializer(initialize, job{Marks: m}))
		pool.Imap(within(t), p, work, slices.Values(jobs(3))) // not read
		if _, err := pool.Map(within(t), p, work, []job{}); err != nil {
			t.Error(err)
		}
		join(t, p)
		if n := m.count(t); n != 0 {
			t.Errorf("%d workers started for nothing", n)
		}
		m = newMarks(t)
		p = b.start(t, pool.WithInitializer(initialize, job{Marks: m}))
		if _, err := pool.MapAsync(within(t), p, work, jobs(3)); err != nil {
			t.Fatal(err)
		}
		if m.count(t) == 0 {
			t.Error("the default chunk was computed without workers")
		}
	})
}

func TestTheDefaultChunksAreFourPerWorker(t *testing.T) {
	on(t, func(t *testing.T, p *pool.Pool) {
		n, err := p.Executor().NumWorkers(within(t))
		if err != nil {
			t.Fatal(err)
		}
		before := p.Executor().Stats().Submitted
		if _, err := pool.Map(within(t), p, work, jobs(40*n)); err != nil {
			t.Fatal(err)
		}
		if got := p.Executor().Stats().Submitted - before; got != uint64(4*n) {
			t.Errorf("%d chunks for %d workers", got, n)
		}
		before = p.Executor().Stats().Submitted
		if _, err := drain(pool.Imap(within(t), p, work, jobs(7))); err != nil {
			t.Fatal(err)
		}
		if got := p.Executor().Stats().Submitted - before; got != 7 {
			t.Errorf("Imap made %d tasks of 7 elements", got)
		}
	})
}

func TestABrokenPoolSaysWhyToEveryVerb(t *testing.T) {
	each(t, func(t *testing.T, b backend) {
		p := b.start(t, pool.WithInitializer(initialize, job{X: -5}))
		check := func(verb string, err error) {
			if input := new(InputError); !errors.Is(err, futures.ErrBroken) || !errors.As(err, &input) || input.X != -5 {
				t.Errorf("%s: %v, want ErrBroken with the initializer's error", verb, err)
			}
		}
		for _, f := range forms {
			_, err := f.run(within(t), p, work, jobs(3))
			check(f.name, err)
		}
		_, err := pool.Apply(within(t), p, work, job{})
		check("Apply", err)
		_, err = pool.ApplyAsync(p, work, job{})
		check("ApplyAsync", err)
		p.Terminate()
		check("Join", p.Join(within(t)))
	})
}

func TestAMistakeInTheOptionsShowsAtNew(t *testing.T) {
	each(t, func(t *testing.T, b backend) {
		for _, n := range []int{0, -1} {
			if p, err := b.make(pool.WithProcesses(n)); err == nil || p != nil {
				t.Errorf("%d processes: %v, %v", n, p, err)
			}
		}
		_, err := b.make(pool.WithProcesses(0), nil, futures.WithStartTimeout(-1), pool.WithInitializer(futures.Func[int, int]{}, 1))
		for _, word := range []string{"(0)", "WithStartTimeout", "WithInitializer"} {
			if err == nil || !strings.Contains(err.Error(), word) {
				t.Errorf("%q is not in %v", word, err)
			}
		}
	})
}

func TestAFunctionThatIsNotRegisteredIsAnErrorOfEveryVerb(t *testing.T) {
	on(t, func(t *testing.T, p *pool.Pool) {
		var none futures.Func[job, int]
		for _, f := range forms {
			if _, err := f.run(within(t), p, none, jobs(2)); err == nil {
				t.Errorf("%s: no error", f.name)
			}
		}
		if _, err := pool.ApplyAsync(p, none, job{}); err == nil {
			t.Error("ApplyAsync: no error")
		}
	})
}

func TestAWorkerThatIsKilledFailsOneTaskOfEachVerb(t *testing.T) {
	each(t, func(t *testing.T, b backend) {
		if !b.mortal {
			t.Skip("these workers cannot be killed alone")
		}
		p := b.start(t)
		check := func(verb string, err error) {
			broken := new(futures.BrokenError)
			if !errors.Is(err, futures.ErrBroken) || !errors.As(err, &broken) || broken.Pid == 0 {
				t.Errorf("%s: %v, want a BrokenError with the process", verb, err)
			}
			if y, err := pool.Apply(within(t), p, work, job{X: 5}); y != 25 || err != nil {
				t.Errorf("after %s: %v, %v", verb, y, err)
			}
		}
		for _, f := range forms {
			in := jobs(20)
			in[10].Die = true
			_, err := f.run(within(t), p, work, in)
			check(f.name, err)
		}
		_, err := pool.Apply(within(t), p, work, job{Die: true})
		check("Apply", err)
		r, err := pool.ApplyAsync(p, work, job{Die: true})
		if err != nil {
			t.Fatal(err)
		}
		_, err = r.Get(within(t))
		check("ApplyAsync", err)
	})
}

func TestInitializersRunBeforeTheFirstTask(t *testing.T) {
	each(t, func(t *testing.T, b backend) {
		m := newMarks(t)
		p := b.start(t, pool.WithInitializer(initialize, job{Marks: m}))
		n, err := p.Executor().NumWorkers(within(t))
		if err != nil {
			t.Fatal(err)
		}
		if b.reports == "threads" {
			n = 1 // all workers are of one process
		}
		if got := m.count(t); got != n {
			t.Errorf("it ran %d times, want %d", got, n)
		}
	})
}
