package behaviour_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"testing"

	"github.com/rankpool/rankpool/futures"
	"github.com/rankpool/rankpool/internal/resultlog"
	"github.com/rankpool/rankpool/journal"
)

// loggedGang is a gang each of whose members notes that it has run.
type loggedGang struct {
	logged
	Broken string // as long as this file is there, the last member ends as How says, and the others run to their end
	How    string
}

// membersLogged gives each member as many values as X and its rank say.
var membersLogged = futures.RegisterContext("membersLogged", func(ctx context.Context, x loggedGang) ([]float64, error) {
	c, err := futures.CommWorkers(ctx)
	if err == nil {
		err = c.Barrier(ctx)
	}
	if err := errors.Join(err, x.note()); err != nil {
		return nil, err
	}
	if _, err := os.Stat(x.Broken); err == nil && c.Rank() == c.Size()-1 {
		if x.How == "is killed" {
			return nil, killItself()
		}
		return nil, ErrEmpty
	}
	values := make([]float64, x.X*(c.Rank()+1))
	for i := range values {
		values[i] = float64(i * c.Size())
	}
	return values, nil
})

// gangIn submits a gang with a journal.
func gangIn[A, R any](t *testing.T, ex futures.Executor, k int, j *journal.Journal, fn futures.Func[A, R], arg A) *futures.Future[[]R] {
	t.Helper()
	f, err := futures.SubmitEach(ex, fn, arg, futures.OnWorkers(k), futures.WithJournal(j))
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func TestAGangThatAJournalHasIsDeliveredWholeAndDoesNotRunAgain(t *testing.T) {
	on(t, 2, func(t *testing.T, _ backend, ex futures.Executor) {
		path, x := filepath.Join(t.TempDir(), "journal"), logged{File: filepath.Join(t.TempDir(), "runs"), X: 12}
		for round := range 3 {
			recorded(t, path, func(j *journal.Journal) {
				for _, k := range []int{2, 1, 2} { // another size is other work, and the third is a gang of its own
					f := gangIn(t, ex, k, j, squareLogged, x)
					called := make(chan int, 1)
					f.AddDoneCallback(func(f *futures.Future[[]int]) { v, _ := f.ResultWithin(0); called <- len(v) })
					if v := result(t, f); !slices.Equal(v, slices.Repeat([]int{144}, k)) || <-called != k {
						t.Errorf("a gang of %d gave %v", k, v)
					}
					if _, ran := f.Ran(); ran != (round == 0) {
						t.Errorf("round %d: it ran: %v", round, ran)
					}
				}
				if v := result(t, submit(t, ex, squareLogged, x, futures.WithJournal(j))); v != 144 { // a call is no gang
					t.Error(v)
				}
			})
			if n := runs(t, x.File); n != 2+1+2+1 || ex.Stats().Recalled != uint64(4*round) {
				t.Errorf("round %d: %d runs, %d recalled", round, n, ex.Stats().Recalled)
			}
		}
		info, err := resultlog.Inspect(path, true) // which the command shows
		if err != nil {
			t.Fatal(err)
		}
		var counts []int
		for _, f := range info.Functions {
			counts = append(counts, f.Results)
		}
		if !slices.Equal(counts, []int{2, 1, 1}) || len(info.Damaged) > 0 {
			t.Errorf("the journal has %v", info)
		}
		recorded(t, path, func(j *journal.Journal) {
			if _, err := futures.SubmitEach(ex, squareLogged, x, futures.WithJournal(j)); !contains(err, "OnWorkers") {
				t.Errorf("without a size: %v", err)
			}
		})
		f, err := futures.SubmitEach(ex, squareLogged, x, futures.WithJournal(nil))
		if err != nil || len(result(t, f)) != 2 || runs(t, x.File) != 8 {
			t.Error("without a journal:", err, runs(t, x.File))
		}
		nothingReserved(t, ex, 2)
	})
}

// A job that goes on with fewer workers still has what it computed with more.
func TestARecordedGangIsDeliveredToFewerWorkersThanItHas(t *testing.T) {
	each(t, func(t *testing.T, b backend) {
		path, x := filepath.Join(t.TempDir(), "journal"), logged{File: filepath.Join(t.TempDir(), "runs"), X: 3}
		for _, workers := range []int{3, 1} {
			ex := b.start(t, workers)
			if _, err := ex.NumWorkers(within(t)); err != nil {
				t.Fatal(err)
			}
			recorded(t, path, func(j *journal.Journal) {
				if v := result(t, gangIn(t, ex, 3, j, squareLogged, x)); !slices.Equal(v, []int{9, 9, 9}) {
					t.Errorf("on %d workers: %v", workers, v)
				}
			})
			if n := runs(t, x.File); n != 3 {
				t.Errorf("%d runs", n)
			}
		}
	}, func(b backend) bool { return b.workers == 0 })
}

// What a gang that is too large for the workers was to be recorded as is what the next equal one is recorded as.
func TestAGangThatIsRefusedTakesNoPlaceAmongEqualOnes(t *testing.T) {
	each(t, func(t *testing.T, b backend) {
		path, x := filepath.Join(t.TempDir(), "journal"), logged{File: filepath.Join(t.TempDir(), "runs"), X: 3}
		for round, workers := range []int{1, 3, 3} {
			few, ex := b.start(t, 1), b.start(t, workers)
			for _, ex := range []futures.Executor{few, ex} {
				if _, err := ex.NumWorkers(within(t)); err != nil {
					t.Fatal(err)
				}
			}
			recorded(t, path, func(j *journal.Journal) {
				if round < 2 { // nothing is recorded yet, so it is refused
					if _, err := futures.SubmitEach(few, squareLogged, x, futures.OnWorkers(3), futures.WithJournal(j)); !errors.Is(err, futures.ErrTooFewWorkers) {
						t.Errorf("on one worker: %v", err)
					}
				}
				if round > 0 {
					result(t, gangIn(t, ex, 3, j, squareLogged, x))
				}
			})
			if n := runs(t, x.File); n != min(round, 1)*3 {
				t.Errorf("round %d: %d runs", round, n)
			}
		}
	}, func(b backend) bool { return b.workers == 0 })
}

func TestEachMemberOfARecordedGangHasItsOwnResult(t *testing.T) {
	path, file := filepath.Join(t.TempDir(), "journal"), filepath.Join(t.TempDir(), "runs")
	sizes := []int{0, 1, 5_000, 40_000}
	onTalking(t, 2, func(t *testing.T, _ backend, ex futures.Executor) {
		recorded(t, path, func(j *journal.Journal) {
			for _, n := range sizes {
				all := result(t, gangIn(t, ex, 2, j, membersLogged, loggedGang{logged: logged{File: file, X: n}}))
				if len(all) != 2 {
					t.Fatalf("%d results", len(all))
				}
				for rank, values := range all {
					if len(values) != n*(rank+1) {
						t.Fatalf("rank %d has %d values for %d", rank, len(values), n)
					}
					for i := range values {
						if values[i] != float64(2*i) {
							t.Fatalf("value %d of rank %d is %v", i, rank, values[i])
						}
						values[i] = -1 // it is the reader's
					}
				}
			}
		})
		if n := runs(t, file); n != 2*len(sizes) { // on whatever kind of worker they ran first
			t.Errorf("%d runs", n)
		}
	})
}

func TestAGangOfWhichAMemberFailsIsRecordedAsFailedAndRunsAgainAsAWhole(t *testing.T) {
	onTalking(t, 2, func(t *testing.T, b backend, ex futures.Executor) {
		for _, how := range []string{"fails", "is killed"} {
			t.Run(how, func(t *testing.T) {
				if how == "is killed" && (b.reports != "processes" || b.slots > 1) {
					t.Skip(cannotBeKilled)
				}
				dir := t.TempDir()
				path, x := filepath.Join(dir, "journal"), loggedGang{logged{File: filepath.Join(dir, "runs"), X: 10}, filepath.Join(dir, "broken"), how}
				if err := os.WriteFile(x.Broken, nil, 0o600); err != nil {
					t.Fatal(err)
				}
				round := func(want int, opts ...journal.Option) (got [][]float64, err error) {
					t.Helper()
					recorded(t, path, func(j *journal.Journal) {
						got, err = gangIn(t, ex, 2, j, membersLogged, x).Result(within(t))
					}, opts...)
					if n := runs(t, x.File); n != want {
						t.Errorf("a member %s: %d runs, not %d: %v", how, n, want, err)
					}
					return got, err
				}
				broken := func(err error) bool {
					if how == "fails" {
						return errors.Is(err, ErrEmpty) && contains(err, "rank 1 of 2")
					}
					return errors.Is(err, futures.ErrBroken)
				}
				if _, err := round(2); !broken(err) {
					t.Errorf("a member %s: %v", how, err)
				}
				old, ran := new(futures.RecordedError), 2
				if how == "fails" {
					if _, err := round(ran, journal.SkipFailures()); !errors.As(err, &old) || !contains(err, "rank 1 of 2") {
						t.Errorf("skipped: %v", err)
					}
				} else { // the loss of a worker is not the gang's failure
					ran += 2
					if _, err := round(ran, journal.SkipFailures()); !broken(err) || errors.As(err, &old) {
						t.Errorf("after a loss: %v", err)
					}
				}
				ran += 2
				if _, err := round(ran); !broken(err) {
					t.Errorf("again: %v", err)
				}
				if err := os.Remove(x.Broken); err != nil {
					t.Fatal(err)
				}
				ran += 2
				for range 2 {
					if got, err := round(ran); err != nil || len(got) != 2 || len(got[0]) != 10 || len(got[1]) != 20 {
						t.Errorf("repaired: %v, %v", got, err)
					}
				}
			})
		}
	})
}

// leaver cannot be recorded: its encoder does not return.
type leaver struct{ N int }

func (l *leaver) MarshalBinary() ([]byte, error)    { runtime.Goexit(); return nil, nil }
func (l *leaver) UnmarshalBinary(text []byte) error { return nil }

var makesLeaver = futures.Register("makesLeaver", func(n int) (leaver, error) { return leaver{n}, nil })

func TestAGangWhoseResultsCannotBeRecordedEnds(t *testing.T) {
	each(t, func(t *testing.T, b backend) {
		ex := b.start(t, 2)
		recorded(t, filepath.Join(t.TempDir(), "journal"), func(j *journal.Journal) {
			if all := result(t, gangIn(t, ex, 2, j, makesLeaver, 3)); !slices.Equal(all, []leaver{{3}, {3}}) {
				t.Error(all)
			}
		})
	}, func(b backend) bool { return b.shares })
}
