package behaviour_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/rankpool/rankpool/futures"
	"github.com/rankpool/rankpool/journal"
	"github.com/rankpool/rankpool/pool"
)

// logged is a task that notes that it has run.
type logged struct {
	File   string // gets a byte for each run
	X      int
	Labels map[string]int
	Fails  bool
}

func (x logged) note() error {
	f, err := os.OpenFile(x.File, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = f.WriteString("x")
	return errors.Join(err, f.Close())
}

// factor is a global on which results depend.
var factor = futures.RegisterGlobal[map[string]int]("journal.factor")

var (
	squareLogged = futures.RegisterContext("squareLogged", func(ctx context.Context, x logged) (int, error) {
		if x.Fails {
			return 0, errors.Join(x.note(), &InputError{x.X, "odd"})
		}
		f, err := factor.Get(ctx)
		if errors.Is(err, futures.ErrGlobalNotSet) {
			f, err = map[string]int{"by": 1}, nil
		}
		return x.X * x.X * f["by"], errors.Join(err, x.note())
	}, futures.WithVersion("1"))
	spread = futures.Register("spread", func(x logged) ([]float64, error) {
		values := make([]float64, x.X)
		for i := range values {
			values[i] = float64(i * x.X)
		}
		return values, x.note()
	})
	secondTime = futures.Register("secondTime", func(x logged) (int, error) { // the first call of each argument fails
		_, err := os.Stat(x.File)
		if errors.Is(err, os.ErrNotExist) {
			return 0, errors.Join(x.note(), ErrEmpty)
		}
		return x.X * x.X, errors.Join(err, x.note())
	})
	pidLogged = futures.Register("pidLogged", func(x logged) (string, error) { // of which no two are alike
		st, err := os.Stat(x.File)
		size := int64(0)
		if err == nil {
			size = st.Size()
		}
		return fmt.Sprint(os.Getpid(), size), x.note()
	})
)

// runs is how often tasks have run that note it in a file.
func runs(t *testing.T, file string) int {
	t.Helper()
	st, err := os.Stat(file)
	if errors.Is(err, os.ErrNotExist) {
		return 0
	}
	if err != nil {
		t.Fatal(err)
	}
	return int(st.Size())
}

// recorded opens a journal for the time of a part of a test.
func recorded(t *testing.T, path string, part func(j *journal.Journal), opts ...journal.Option) {
	t.Helper()
	j, err := journal.Open(path, opts...)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { // also when the part skips the test
		if err := j.Close(); err != nil {
			t.Error(err)
		}
	}()
	part(j)
}

func TestWhatAJournalHasIsDeliveredInItsPlaceAndDoesNotRunAgain(t *testing.T) {
	on(t, 2, func(t *testing.T, _ backend, ex futures.Executor) {
		path, file := filepath.Join(t.TempDir(), "journal"), filepath.Join(t.TempDir(), "runs")
		input := func(n int) (xs []logged) {
			for i := range n {
				labels := map[string]int{}
				for k := range 10 {
					labels[fmt.Sprint("label ", k)] = k * i
				}
				xs = append(xs, logged{File: file, X: i, Labels: labels})
			}
			return xs
		}
		check := func(xs []logged, j *journal.Journal, opts ...futures.MapOption) {
			t.Helper()
			var came atomic.Int64
			var got []int
			for v, err := range futures.Map(within(t), ex, squareLogged, xs, append(opts, futures.WithJournal(j), futures.WithArrivalCount(&came))...) {
				if err != nil {
					t.Fatal(err)
				}
				got = append(got, v)
			}
			slices.Sort(got) // where the order is another one
			for i, v := range got {
				if v != i*i {
					t.Fatalf("result %d is %d", i, v)
				}
			}
			if len(got) != len(xs) || int(came.Load()) != len(xs) {
				t.Errorf("%d results, %d have come", len(got), came.Load())
			}
		}
		some := input(200)
		for i := 1; i < len(some); i += 2 { // every other one, in another order
			some[i/2], some[i] = some[i], some[i/2]
		}
		recorded(t, path, func(j *journal.Journal) {
			for _, err := range futures.Starmap(within(t), ex, squareLogged, some[:100], futures.WithJournal(j), futures.WithChunkSize(7), futures.Unordered()) {
				if err != nil {
					t.Fatal(err)
				}
			}
		})
		if n := runs(t, file); n != 100 || ex.Stats().Recalled != 0 {
			t.Errorf("%d runs for 100 elements, %d recalled", n, ex.Stats().Recalled)
		}
		for i, opts := range [][]futures.MapOption{{}, {futures.WithChunkSize(9)}, {futures.Unordered()}, {futures.WithBufferSize(3)}} {
			recorded(t, path, func(j *journal.Journal) { check(input(200), j, opts...) })
			if n, want := runs(t, file), 200; n != want || ex.Stats().Recalled != uint64(100+200*i) {
				t.Errorf("round %d: %d runs, %d recalled", i, n, ex.Stats().Recalled)
			}
		}
	})
}

func TestACallThatAJournalHasIsDoneAtOnceAndHasItsCallbacks(t *testing.T) {
	on(t, 1, func(t *testing.T, _ backend, ex futures.Executor) {
		path, x := filepath.Join(t.TempDir(), "journal"), logged{File: filepath.Join(t.TempDir(), "runs"), X: 12}
		for round := range 3 {
			recorded(t, path, func(j *journal.Journal) {
				f := submit(t, ex, squareLogged, x, futures.WithJournal(j))
				called := make(chan int, 1)
				f.AddDoneCallback(func(f *futures.Future[int]) { v, _ := f.ResultWithin(0); called <- v })
				if v := result(t, f); v != 144 || <-called != 144 {
					t.Error(v)
				}
				if _, ran := f.Ran(); ran != (round == 0) {
					t.Errorf("round %d: it ran: %v", round, ran)
				}
			})
		}
		if n := runs(t, x.File); n != 1 {
			t.Errorf("%d runs", n)
		}
		f, err := futures.Submit(ex, squareLogged, x, futures.WithJournal(nil))
		if err != nil || result(t, f) != 144 || runs(t, x.File) != 2 {
			t.Error("without a journal:", err, runs(t, x.File))
		}
	})
}

func TestEqualArgumentsStayAsManyResults(t *testing.T) {
	on(t, 2, func(t *testing.T, _ backend, ex futures.Executor) {
		path := filepath.Join(t.TempDir(), "journal")
		xs := slices.Repeat([]logged{{File: filepath.Join(t.TempDir(), "runs")}}, 100)
		var all [2][]string
		for round := range all {
			recorded(t, path, func(j *journal.Journal) {
				for v, err := range futures.Map(within(t), ex, pidLogged, xs, futures.WithJournal(j)) {
					if err != nil {
						t.Fatal(err)
					}
					all[round] = append(all[round], v)
				}
			})
		}
		if n := runs(t, xs[0].File); n != 100 || !slices.Equal(all[0], all[1]) {
			t.Errorf("%d runs; %q and %q", n, all[0], all[1])
		}
	})
}

func TestLargeResultsOfAJournalAreWholeWhateverTheThreshold(t *testing.T) {
	each(t, func(t *testing.T, b backend) {
		path, file := filepath.Join(t.TempDir(), "journal"), filepath.Join(t.TempDir(), "runs")
		var xs []logged
		for _, n := range []int{0, 1, 100, 20_000, 400_000} {
			xs = append(xs, logged{File: file, X: n})
		}
		for _, threshold := range []int{0, 1 << 30} {
			ex := b.start(t, 1, futures.WithOutOfBandThreshold(threshold))
			recorded(t, path, func(j *journal.Journal) {
				i := 0
				for v, err := range futures.Map(within(t), ex, spread, xs, futures.WithJournal(j)) {
					if err != nil || len(v) != xs[i].X {
						t.Fatal(len(v), err)
					}
					for k := range v {
						if v[k] != float64(k*len(v)) {
							t.Fatalf("value %d of %d is %v", k, len(v), v[k])
						}
						v[k] = -1 // it is the reader's
					}
					i++
				}
			})
			if n := runs(t, file); n != len(xs) {
				t.Errorf("%d runs of %d", n, len(xs))
			}
			_ = ex.Close()
		}
	}, func(b backend) bool { return alone(b) })
}

func TestAFailureInAJournalRunsAgainUnlessItIsToBeSkipped(t *testing.T) {
	on(t, 1, func(t *testing.T, _ backend, ex futures.Executor) {
		path, file := filepath.Join(t.TempDir(), "journal"), filepath.Join(t.TempDir(), "runs")
		xs := []logged{{File: file, X: 1}, {File: file, X: 2, Fails: true}, {File: file, X: 3}}
		for round, want := range []int{3, 4, 4} {
			var opts []journal.Option
			if round == 2 {
				opts = append(opts, journal.SkipFailures())
			}
			recorded(t, path, func(j *journal.Journal) {
				var got []error
				for _, err := range futures.Map(within(t), ex, squareLogged, xs, futures.WithJournal(j)) {
					got = append(got, err)
				}
				var element *futures.ElementError
				var old *futures.RecordedError
				if len(got) != 3 || got[0] != nil || got[2] != nil || !errors.As(got[1], &element) || element.Index != 1 {
					t.Fatalf("round %d: %v", round, got)
				}
				if errors.As(got[1], &old) != (round == 2) {
					t.Errorf("round %d: %v", round, got[1])
				}
			}, opts...)
			if n := runs(t, file); n != want {
				t.Errorf("round %d: %d runs, not %d", round, n, want)
			}
		}
	})
}

func TestWhatAnExecutorGivesItsWorkersIsPartOfWhatAJournalGoesBy(t *testing.T) {
	each(t, func(t *testing.T, b backend) {
		path, file := filepath.Join(t.TempDir(), "journal"), filepath.Join(t.TempDir(), "runs")
		set := func(by int) futures.Option {
			m := map[string]int{}
			for _, k := range []string{"a", "b", "c"} {
				m[k] = 1
			}
			m["by"] = by
			return futures.WithGlobal(factor, m)
		}
		for i, by := range []int{2, 2, 3, 2} {
			ex := b.start(t, 1, set(by))
			recorded(t, path, func(j *journal.Journal) {
				if v := result(t, submit(t, ex, squareLogged, logged{File: file, X: 5}, futures.WithJournal(j))); v != 25*by {
					t.Errorf("with %d: %d", by, v)
				}
			})
			if n := runs(t, file); n != []int{1, 1, 2, 2}[i] {
				t.Errorf("%d runs in round %d", n, i)
			}
			_ = ex.Close()
		}
	}, func(b backend) bool { return alone(b) })
}

// Each kind of thing that an executor gives its workers makes another call of one that is equal otherwise.
func TestAJournalGoesByTheInitializersArgumentTheDirectoryAndTheVariables(t *testing.T) {
	each(t, func(t *testing.T, b backend) {
		here, there := t.TempDir(), t.TempDir()
		for what, opts := range map[string][2]futures.Option{
			"the initializer's argument": {futures.WithInitializer(remember, "a"), futures.WithInitializer(remember, "b")},
			"the directory":              {futures.WithDir(here), futures.WithDir(there)},
			"a variable":                 {futures.WithEnv(map[string]string{"A": "1"}), futures.WithEnv(map[string]string{"A": "2"})},
		} {
			t.Run(what, func(t *testing.T) {
				if !b.apart && what != "the initializer's argument" {
					t.Skip("goroutines have no directory and no environment of their own, so there these options are refused")
				}
				path, file := filepath.Join(t.TempDir(), "journal"), filepath.Join(t.TempDir(), "runs")
				for round, which := range []int{0, 0, 1, 0, 1} {
					ex := b.start(t, 1, opts[which], futures.WithLogger(slog.New(slog.DiscardHandler)))
					recorded(t, path, func(j *journal.Journal) {
						if v := result(t, submit(t, ex, squareLogged, logged{File: file, X: 5}, futures.WithJournal(j))); v != 25 {
							t.Errorf("round %d: %d", round, v)
						}
					})
					if n, want := runs(t, file), []int{1, 1, 2, 2, 2}[round]; n != want {
						t.Errorf("round %d: %d runs, not %d", round, n, want)
					}
					_ = ex.Close()
				}
			})
		}
	}, func(b backend) bool { return alone(b) })
}

// A call that is tried again is one entry, with the result of its last try.
func TestWhatATryThatFailsHasLeftInAJournalIsReplacedByTheOneThatSucceeds(t *testing.T) {
	on(t, 2, func(t *testing.T, _ backend, ex futures.Executor) {
		path, dir := filepath.Join(t.TempDir(), "journal"), t.TempDir()
		xs := make([]logged, 8)
		for i := range xs {
			xs[i] = logged{File: filepath.Join(dir, fmt.Sprint("runs ", i)), X: i}
		}
		always := futures.RetryIf(func(error) bool { return true })
		for round := range 3 {
			recorded(t, path, func(j *journal.Journal) {
				i := 0
				for v, err := range futures.Map(within(t), ex, secondTime, xs, futures.WithJournal(j), futures.WithRetries(3, always)) {
					if v != i*i || err != nil {
						t.Errorf("round %d: element %d is %d, %v", round, i, v, err)
					}
					i++
				}
				if i != len(xs) {
					t.Errorf("round %d: %d elements", round, i)
				}
			}, journal.SkipFailures())
			for i, x := range xs {
				if n := runs(t, x.File); n != 2 {
					t.Errorf("round %d: element %d ran %d times, not 2", round, i, n)
				}
			}
		}
	})
}

func TestAJournalSaysOnceWhichOfAFunctionsResultsAreNotUsedAndWhy(t *testing.T) {
	each(t, func(t *testing.T, b backend) {
		path, file := filepath.Join(t.TempDir(), "journal"), filepath.Join(t.TempDir(), "runs")
		for round, by := range []int{2, 2, 3} {
			var log lockedText
			futures.SetLogger(slog.New(slog.NewTextHandler(&log, nil)))
			ex := b.start(t, 1, futures.WithGlobal(factor, map[string]int{"by": by}))
			recorded(t, path, func(j *journal.Journal) {
				for x := range 3 {
					result(t, submit(t, ex, squareLogged, logged{File: file, X: x}, futures.WithJournal(j)))
				}
				result(t, submit(t, ex, spread, logged{File: file, X: 1}, futures.WithJournal(j)))
			})
			_ = ex.Close()
			futures.SetLogger(nil)
			said := func(what string) int { return strings.Count(log.String(), what) }
			if round == 2 {
				eventually(t, "the journal says what is not used", func() bool {
					return said("it has 3 entries of squareLogged") == 1 && said("it has 1 entry of spread") == 1 && said("what its workers are given has changed") == 2
				})
			} else if n := said("do not match"); n != 0 {
				t.Errorf("round %d: it says %d times that something is not used", round, n)
			}
		}
	}, func(b backend) bool { return alone(b) })
}

func TestALocalFunctionIsNotRecorded(t *testing.T) {
	ran.Note(t, "goroutines")
	ex, err := futures.NewThreadPoolExecutor()
	if err != nil {
		t.Fatal(err)
	}
	defer ex.Close()
	local := futures.Local(func(context.Context, int) (int, error) { return 1, nil })
	recorded(t, filepath.Join(t.TempDir(), "journal"), func(j *journal.Journal) {
		if _, err := futures.Submit(ex, local, 1, futures.WithJournal(j)); err == nil {
			t.Error("it was submitted")
		}
		for _, err := range futures.Map(within(t), ex, local, []int{1}, futures.WithJournal(j)) {
			if err == nil {
				t.Error("it was mapped")
			}
		}
	})
}

func TestOneJournalServesEveryKindOfWorkerAndTheVerbsOfAPool(t *testing.T) {
	path, file := filepath.Join(t.TempDir(), "journal"), filepath.Join(t.TempDir(), "runs")
	xs := make([]logged, 50)
	for i := range xs {
		xs[i] = logged{File: file, X: i}
	}
	each(t, func(t *testing.T, b backend) {
		if b.workers > 0 {
			t.Skip("a pool of these workers is made in another way")
		}
		p, err := pool.New(pool.WithProcesses(2))
		if err != nil {
			t.Fatal(err)
		}
		defer p.Terminate()
		recorded(t, path, func(j *journal.Journal) {
			ys, err := pool.Map(within(t), p, squareLogged, xs, futures.WithJournal(j))
			if err != nil || len(ys) != 50 || ys[49] != 49*49 {
				t.Error(ys, err)
			}
			y, err := pool.Apply(within(t), p, squareLogged, logged{File: file, X: 1000}, futures.WithJournal(j))
			if err != nil || y != 1_000_000 {
				t.Error(y, err)
			}
		})
		if n := runs(t, file); n != 51 {
			t.Errorf("%d runs", n)
		}
	})
}
