package behaviour_test

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/rankpool/rankpool/futures"
	"github.com/rankpool/rankpool/journal"
)

// Choosy is a value that this process refuses to decode while refusing is set.
type Choosy struct{ X int }

var (
	refusing  atomic.Bool
	errChoosy = errors.New("not this one")
)

// MarshalBinary encodes one byte.
func (c Choosy) MarshalBinary() ([]byte, error) { return []byte{byte(c.X)}, nil }

// UnmarshalBinary may refuse.
func (c *Choosy) UnmarshalBinary(b []byte) error {
	if refusing.Load() {
		return errChoosy
	}
	c.X = int(b[0])
	return nil
}

// ringed is a value with a pointer.
type ringed struct {
	N    int
	Self *ringed
}

var (
	choosy     = futures.Register("feeding.choosy", func(x int) (Choosy, error) { return Choosy{x}, nil })
	chosen     = futures.Register("feeding.chosen", func(c Choosy) (int, error) { return c.X, nil })
	rings      = futures.Register("feeding.rings", func(n int) (*ringed, error) { r := &ringed{N: n}; r.Self = r; return r, nil })
	onward     = futures.Register("feeding.onward", func(r *ringed) (*ringed, error) { r.N++; return r, nil })
	around     = futures.Register("feeding.around", func(r *ringed) (bool, error) { return r.Self == r, nil })
	trying     = futures.Register("feeding.trying", func(x int) (trial, error) { return trial{}, fmt.Errorf("%d", x) })
	triesOn    = futures.Register("feeding.tries", func(x trial) (trial, error) { return x, nil })
	lateSeries = futures.RegisterContext("feeding.late", func(ctx context.Context, g gate) ([]float64, error) {
		if err := g.pass(ctx); err != nil {
			return nil, err
		}
		xs := make([]float64, 100_000)
		for i := range xs {
			xs[i] = float64(i)
		}
		return xs, nil
	})
	logging = futures.Register("feeding.logging", func(x logged) (logged, error) { x.X++; return x, nil })
)

// fed has a call of fn begin when its argument is set, so that calls can follow it before it has a result.
func fed[A, R any](t *testing.T, ex futures.Executor, fn futures.Func[A, R]) (f *futures.Future[R], begin func(A)) {
	t.Helper()
	p := futures.NewPromise[A]()
	return after(t, ex, fn, p.Future()), func(arg A) {
		if err := p.SetResult(arg); err != nil {
			t.Fatal(err)
		}
	}
}

func TestAResultThatOnlyFeedsCallsIsNeitherDecodedNorEncodedByTheMaster(t *testing.T) {
	on(t, 2, func(t *testing.T, b backend, ex futures.Executor) {
		first, begin := fed(t, ex, hook)
		second := after(t, ex, hooked, first)
		third, other := after(t, ex, hooked, second), after(t, ex, hooked, second)
		begin(1)
		want := Hooked{N: 3, Encoded: 3, Decoded: 3} // once on each way
		if b.shares {
			want = Hooked{N: 3}
		}
		if one, two := result(t, third), result(t, other); one != want || two != want {
			t.Errorf("%+v and %+v, want %+v", one, two, want)
		}
		if got := result(t, after(t, ex, hooked, second)); got != want { // it has come before, and nobody has asked for it
			t.Errorf("a call that takes it later: %+v, want %+v", got, want)
		}
		if !first.Done() || !second.Done() || first.Running() || first.Cancel() || first.Cancelled() {
			t.Errorf("%v, %v", first, second)
		}
		for range 2 {
			if got := result(t, second); got.N != 2 || !b.shares && (got.Encoded != 2 || got.Decoded != 2) {
				t.Errorf("whoever asks for it has %+v", got)
			}
		}
		if _, ok := second.Ran(); !ok {
			t.Error("nobody knows where the call ran")
		}
	})
}

func TestAResultThatHasFedCallsIsTheSameForAllWhoAsk(t *testing.T) {
	onCoded(t, 2, func(t *testing.T, _ backend, ex futures.Executor) {
		first, begin := fed(t, ex, rings)
		next := after(t, ex, onward, first)
		is := after(t, ex, around, next)
		begin(1)
		if !result(t, is) {
			t.Error("a pointer leads elsewhere")
		}
		if _, ran := first.Ran(); !ran || !strings.Contains(first.String(), "not decoded") {
			t.Errorf("%v has been decoded, and nobody has asked", first)
		}
		ended, cancel := context.WithCancel(t.Context())
		cancel()
		var all [12]*ringed
		var both sync.WaitGroup
		for i := range all {
			both.Go(func() {
				var err error
				switch i % 6 {
				case 0:
					all[i], err = first.Result(t.Context())
				case 1:
					all[i], err = first.Result(ended) // what is done answers
				case 2:
					all[i], err = first.ResultWithin(0)
				case 3:
					var some []*ringed
					if some, err = futures.Collect(first).Result(t.Context()); err == nil {
						all[i] = some[0]
					}
				case 4:
					all[i], err = futures.Then(first, func(r *ringed) (*ringed, error) { return r, nil }, nil).Result(t.Context())
				case 5:
					in := struct{ R *ringed }{}
					v, failed := futures.Assemble(&in, futures.Field(&in.R, first)).Result(t.Context())
					all[i], err = v.R, failed
				}
				if err != nil {
					t.Error(err)
				}
			})
		}
		both.Wait()
		for i, r := range all {
			if r != all[0] || r == nil || r.N != 1 || r.Self != r {
				t.Errorf("%d has %p, and the first %p", i, r, all[0])
			}
		}
		if strings.Contains(first.String(), "not decoded") {
			t.Errorf("%v", first)
		}
		called := make(chan *ringed, 1)
		next.AddDoneCallback(func(f *futures.Future[*ringed]) { r, _ := f.ResultWithin(0); called <- r })
		if r := <-called; r == nil || r.N != 2 {
			t.Errorf("a callback has %+v", r)
		}
		if got := result(t, after(t, ex, onward, first)); got.N != 2 { // it is decoded by now, and encoded again
			t.Errorf("%+v", got)
		}
	})
}

func TestAResultThatHasFedCallsAndCannotBeDecodedFailsWhoeverAsksForIt(t *testing.T) {
	onCoded(t, 2, func(t *testing.T, _ backend, ex futures.Executor) {
		defer refusing.Store(false)
		for _, look := range []func(f *futures.Future[Choosy]) error{
			func(f *futures.Future[Choosy]) error { _, err := f.Result(within(t)); return err },
			func(f *futures.Future[Choosy]) error { _, err := f.ResultWithin(0); return err },
			func(f *futures.Future[Choosy]) error { err, _ := f.Exception(within(t)); return err },
			func(f *futures.Future[Choosy]) error { _, err := futures.Collect(f).Result(within(t)); return err },
			func(f *futures.Future[Choosy]) error { _, err := futures.Join(f, f).Result(within(t)); return err },
			func(f *futures.Future[Choosy]) error {
				_, err := futures.Compose[Choosy, Choosy](f, nil, nil).Result(within(t))
				return err
			},
			func(f *futures.Future[Choosy]) error {
				never := futures.NewFuture[Choosy]()
				if done, _, err := futures.Wait(within(t), []*futures.Future[Choosy]{f, never}, futures.FirstException); err != nil || len(done) != 1 {
					t.Errorf("to fail to be decoded is to fail: %v, %v", done, err)
				}
				_, err := f.ResultWithin(0)
				return err
			},
		} {
			input, begin := fed(t, ex, choosy)
			f := after(t, ex, chosen, input)
			begin(5)
			if got := result(t, f); got != 5 {
				t.Fatal(got)
			}
			refusing.Store(true)
			if err := look(input); err == nil || !strings.Contains(err.Error(), "the result of feeding.choosy cannot be decoded") || !strings.Contains(err.Error(), errChoosy.Error()) {
				t.Errorf("the error is %v", err)
			}
			refusing.Store(false)
			_, first := input.Result(within(t))
			_, second := input.Result(within(t))
			if first == nil || first != second { //nolint:errorlint // the same one
				t.Errorf("%v, and then %v", first, second)
			}
			failed := new(futures.InputError)
			if _, err := after(t, ex, chosen, input).Result(within(t)); !errors.As(err, &failed) || failed.Err != first { //nolint:errorlint // the same one
				t.Errorf("a call that takes it later has %v", err)
			}
		}
		s := ex.Stats()
		if s.Submitted != s.Done+s.Failed || s.Failed != 7 {
			t.Errorf("%+v", s)
		}
	})
}

func TestWhatACallWasFedStaysWhoeverWritesToTheResult(t *testing.T) {
	onCoded(t, 1, func(t *testing.T, _ backend, ex futures.Executor) {
		for _, opts := range [][]futures.TaskOption{{futures.WithSnapshot()}, nil} {
			first, second := newGate(t), newGate(t)
			xs := submit(t, ex, lateSeries, first)
			held := submit(t, ex, wait, second) // its turn is before that of the call behind the result
			m := after(t, ex, mean, xs, opts...)
			first.open()
			refill(result(t, xs), 7)
			second.open()
			result(t, held)
			if v, err := m.Result(within(t)); opts != nil {
				if err != nil || v != 99_999./2 {
					t.Errorf("with a snapshot: %v, %v", v, err)
				}
			} else {
				changed(t, "mean", err)
			}
		}
	})
}

func TestAJournalKnowsACallByItsArgumentHoweverThatHasCome(t *testing.T) {
	on(t, 2, func(t *testing.T, _ backend, ex futures.Executor) {
		path, file := filepath.Join(t.TempDir(), "journal"), filepath.Join(t.TempDir(), "runs")
		x := logged{File: file, X: 4, Labels: map[string]int{"a": 1, "b": 2, "c": 3, "d": 4}}
		recorded(t, path, func(j *journal.Journal) {
			in, begin := fed(t, ex, logging)
			other := after(t, ex, logging, in)
			f := after(t, ex, squareLogged, in, futures.WithJournal(j))
			begin(x)
			if got := result(t, f); got != 25 {
				t.Errorf("%d, want 25", got)
			}
			if got := result(t, other); got.X != 6 {
				t.Errorf("%d, want 6", got.X)
			}
		})
		recorded(t, path, func(j *journal.Journal) {
			x := x
			x.X = 5
			if got := result(t, submit(t, ex, squareLogged, x, futures.WithJournal(j))); got != 25 {
				t.Errorf("%d, want 25", got)
			}
		})
		if n := runs(t, file); n != 1 || ex.Stats().Recalled != 1 {
			t.Errorf("%d runs, %d recalled", n, ex.Stats().Recalled)
		}
	})
}

func TestACallThatIsRunAgainHasWhatItWasFed(t *testing.T) {
	on(t, 2, func(t *testing.T, b backend, ex futures.Executor) {
		how := ""
		if b.replaces && b.slots == 0 {
			how = "exit"
		}
		x := trial{Dir: t.TempDir(), Fails: 2, How: how}
		in, begin := fed(t, ex, triesOn)
		f := after(t, ex, try, in, futures.WithRetries(3, futures.RetryIf(busy)))
		begin(x)
		if n := result(t, f); n != 3 {
			t.Errorf("%d runs, want 3", n)
		}
		if got := result(t, in); got != x {
			t.Errorf("%+v", got)
		}
	})
}

func TestCallsOfSeveralExecutorsAreFedByOneResult(t *testing.T) {
	on(t, 2, func(t *testing.T, _ backend, ex futures.Executor) {
		other, err := futures.NewThreadPoolExecutor(futures.WithMaxWorkers(1))
		if err != nil {
			t.Fatal(err)
		}
		defer mustClose(t, other)
		in, begin := fed(t, ex, rings)
		here, there := after(t, ex, around, in), after(t, other, around, in)
		gone := after(t, ex, around, in)
		gone.Cancel()
		begin(3)
		if !result(t, here) || !result(t, there) || !gone.Cancelled() {
			t.Errorf("%v, %v, %v", here, there, gone)
		}
		blocked(t, ex, 0)

		bad, begin := fed(t, ex, trying)
		f := after(t, ex, triesOn, bad)
		begin(9)
		failed := new(futures.InputError)
		if _, err := f.Result(within(t)); !errors.As(err, &failed) || !strings.Contains(err.Error(), "9") {
			t.Error(err)
		}
	})
}

func TestAfterAShutdownWhatHasFedCallsCanStillBeAskedFor(t *testing.T) {
	each(t, func(t *testing.T, b backend) {
		ex := b.start(t, 2)
		in, begin := fed(t, ex, hook)
		f := after(t, ex, hooked, in)
		begin(1)
		mustClose(t, ex)
		if v, err := f.ResultWithin(0); v.N != 2 || err != nil {
			t.Errorf("%+v, %v", v, err)
		}
		if v, err := in.ResultWithin(0); v.N != 1 || err != nil {
			t.Errorf("%+v, %v", v, err)
		}
	})
}
