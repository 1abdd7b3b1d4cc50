package behaviour_test

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/rankpool/rankpool/futures"
	"github.com/rankpool/rankpool/journal"
)

// measured is an argument that is made of several results.
type measured struct {
	Name   string
	Mean   float64
	Values []float64
	Fails  []bool
}

var (
	series = futures.Register("after.series", func(n int) ([]float64, error) {
		xs := make([]float64, n)
		for i := range xs {
			xs[i] = float64(i)
		}
		return xs, nil
	})
	mean = futures.Register("after.mean", func(xs []float64) (float64, error) {
		s, err := sumOf(xs)
		return s / float64(len(xs)), err
	})
	describe = futures.Register("after.describe", func(m measured) (string, error) {
		return fmt.Sprint(m.Name, " ", len(m.Values), " ", m.Mean, " ", m.Fails), nil
	})
	ending = futures.RegisterContext("after.ending", func(ctx context.Context, _ bool) (bool, error) {
		<-ctx.Done()
		return false, ctx.Err()
	})
	hook   = futures.Register("after.hook", func(x int) (Hooked, error) { return Hooked{N: x}, nil })
	trials = futures.Register("after.trials", func(x trial) (trial, error) { return x, nil })
	logs   = futures.Register("after.logs", func(x logged) (logged, error) { return x, nil })
)

// after submits a call that waits for an input and expects that it is taken.
func after[A, R any](t *testing.T, ex futures.Executor, fn futures.Func[A, R], input *futures.Future[A], opts ...futures.TaskOption) *futures.Future[R] {
	t.Helper()
	f, err := futures.SubmitAfter(ex, fn, input, opts...)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// blocked waits until so many calls wait for their inputs.
func blocked(t *testing.T, ex futures.Executor, n int) {
	t.Helper()
	eventually(t, fmt.Sprint(n, " calls wait for their inputs"), func() bool { return ex.Stats().Blocked == n })
}

func TestACallRunsWithTheResultOfItsInput(t *testing.T) {
	on(t, 2, func(t *testing.T, _ backend, ex futures.Executor) {
		for _, n := range []int{10, 200_000} { // the latter travels beside the message
			xs := submit(t, ex, series, n)
			m, total, twice := after(t, ex, mean, xs), after(t, ex, sum, xs), after(t, ex, sum, after(t, ex, double, xs)) // several have one input
			if got, want := result(t, m), float64(n-1)/2; got != want {
				t.Errorf("the mean is %v, want %v", got, want)
			}
			if one, two := result(t, total), result(t, twice); 2*one != two {
				t.Errorf("the sum is %v, and of the doubled ones %v", one, two)
			}
			in := &measured{Name: "all", Fails: make([]bool, 2)}
			text := after(t, ex, describe, futures.Assemble(in, futures.Field(&in.Mean, m), futures.Field(&in.Values, xs),
				futures.Field(&in.Fails[1], after(t, ex, wait, done(t, gate(""))))))
			if got, want := result(t, text), fmt.Sprint("all ", n, " ", float64(n-1)/2, " [false true]"); got != want {
				t.Errorf("%q, want %q", got, want)
			}
		}
		three, four := submit(t, ex, plusOne, 2), submit(t, ex, square, 2)
		if got := result(t, after(t, ex, add, futures.Join(three, four))); got != 7 {
			t.Errorf("a join of 3 and 4 gives %d", got)
		}
		var all []*futures.Future[float64]
		for i := range 4 {
			all = append(all, after(t, ex, mean, submit(t, ex, series, 2*i+1)))
		}
		if got := result(t, after(t, ex, sum, futures.Collect(all...))); got != 6 {
			t.Errorf("the sum of 0, 1, 2 and 3 is %v", got)
		}
		if got := result(t, after(t, ex, hooked, after(t, ex, hook, submit(t, ex, plusOne, 1)))); got.N != 3 {
			t.Errorf("a type that encodes itself: %d", got.N)
		}
		s := ex.Stats()
		if s.Blocked != 0 || s.Queued != 0 || s.Failed != 0 || s.Cancelled != 0 || s.Submitted != s.Done {
			t.Errorf("%+v", s)
		}
	})
}

// done returns a future that is done.
func done[T any](t *testing.T, v T) *futures.Future[T] {
	t.Helper()
	p := futures.NewPromise[T]()
	if err := p.SetResult(v); err != nil {
		t.Fatal(err)
	}
	return p.Future()
}

func TestAnInputMayBeAnyFuture(t *testing.T) {
	on(t, 2, func(t *testing.T, _ backend, ex futures.Executor) {
		other, err := futures.NewThreadPoolExecutor(futures.WithMaxWorkers(1))
		if err != nil {
			t.Fatal(err)
		}
		defer mustClose(t, other)
		p := futures.NewPromise[int]()
		fs := []*futures.Future[int]{
			after(t, ex, square, submit(t, other, plusOne, 1)),
			after(t, other, square, submit(t, ex, plusOne, 1)),
			after(t, ex, square, futures.Then(submit(t, ex, plusOne, 0), func(x int) (int, error) { return x + 1, nil }, nil)),
			after(t, ex, square, p.Future()),
			after(t, ex, square, done(t, 2)),
		}
		each, err := futures.SubmitEach(ex, plusOne, 1)
		if err != nil {
			t.Fatal(err)
		}
		fs = append(fs, after(t, ex, square, futures.Then(each, func(all []int) (int, error) { return all[len(all)-1], nil }, nil)))
		if err := p.SetResult(2); err != nil {
			t.Fatal(err)
		}
		for i, f := range fs {
			if got := result(t, f); got != 4 {
				t.Errorf("call %d has %d", i, got)
			}
		}
	})
}

func TestACallWhoseInputFailsDoesNotRunAndSaysWhichItWas(t *testing.T) {
	on(t, 2, func(t *testing.T, _ backend, ex futures.Executor) {
		good, bad := submit(t, ex, failOn, 1), submit(t, ex, failOn, -7)
		direct := after(t, ex, square, bad)
		both := after(t, ex, add, futures.Join(good, bad))
		next := after(t, ex, plusOne, both)
		for _, c := range []struct {
			f             *futures.Future[int]
			name          string
			index, inputs int
		}{{direct, "square", 0, 1}, {both, "add", 1, 2}, {next, "plusOne", 0, 1}} {
			_, err := c.f.Result(within(t))
			input, cause := new(futures.InputError), new(InputError)
			if !errors.As(err, &input) || input.Func != c.name || input.Index != c.index || input.Inputs != c.inputs {
				t.Errorf("%s: %#v", c.name, err)
			}
			if !errors.As(err, &cause) || cause.Value != -7 {
				t.Errorf("%s has lost the cause: %v", c.name, err)
			}
			if text := fmt.Sprint(err); !strings.Contains(text, c.name+" did not run") || !strings.Contains(text, "-7 is negative") {
				t.Errorf("%s says %q", c.name, text)
			}
			if _, ran := c.f.Ran(); ran {
				t.Errorf("%s ran", c.name)
			}
		}
		if got := result(t, after(t, ex, square, good)); got != 1 {
			t.Error(got)
		}
		eventually(t, "all is counted", func() bool {
			s := ex.Stats()
			return s.Blocked == 0 && s.Failed == 4 && s.Done == 2 && s.Submitted == 6
		})
		odd := after(t, ex, takes, submit(t, ex, stubborn, 1)) // its encoder fails, or the decoder
		input := new(futures.InputError)
		if _, err := odd.Result(within(t)); err != nil && !errors.As(err, &input) { // goroutines encode nothing
			t.Error(err)
		}
	})
}

func TestACallWhoseInputIsCancelledIsCancelledAndNotTheOtherWayRound(t *testing.T) {
	on(t, 2, func(t *testing.T, _ backend, ex futures.Executor) {
		p := futures.NewPromise[int]()
		first := after(t, ex, square, p.Future())
		other := after(t, ex, square, p.Future())
		next := after(t, ex, add, futures.Join(first, other))
		blocked(t, ex, 3)
		called := make(chan error, 1)
		next.AddDoneCallback(func(f *futures.Future[int]) { _, err := f.ResultWithin(0); called <- err })
		if !first.Cancel() || p.Future().Done() || other.Done() {
			t.Error("Cancel of a call that waits for its input does not cancel it, and nothing else")
		}
		input := new(futures.InputError)
		if err := <-called; !next.Cancelled() || !errors.Is(err, futures.ErrCancelled) || !errors.As(err, &input) || input.Index != 0 || input.Inputs != 2 {
			t.Errorf("%v, %v", next, err)
		}
		blocked(t, ex, 1)
		if !other.Interrupt() || !other.Cancelled() {
			t.Error("Interrupt of a call that waits for its input does not cancel it")
		}
		blocked(t, ex, 0)
		if s := ex.Stats(); s.Cancelled != 3 || s.Failed != 0 || s.Done != 0 {
			t.Errorf("%+v", s)
		}
		last := after(t, ex, square, p.Future())
		if !p.Future().Cancel() {
			t.Error("the promise cannot be cancelled")
		}
		if _, err := last.Result(within(t)); !errors.Is(err, futures.ErrCancelled) || !last.Cancelled() {
			t.Error(err)
		}
		if _, err := after(t, ex, square, p.Future()).Result(within(t)); !errors.Is(err, futures.ErrCancelled) { // cancelled before the call
			t.Error(err)
		}
	})
}

func TestThousandsOfCallsThatWaitForTheirInputsHaveNoGoroutines(t *testing.T) {
	const n = 5_000
	on(t, 2, func(t *testing.T, _ backend, ex futures.Executor) {
		result(t, submit(t, ex, square, 1))
		before := runtime.NumGoroutine()
		p := futures.NewPromise[int]()
		fs := []*futures.Future[int]{after(t, ex, plusOne, p.Future())}
		for i := 1; i < n; i++ { // a third of them in a chain
			input := p.Future()
			if i%3 == 0 {
				input = fs[i-3]
			}
			fs = append(fs, after(t, ex, plusOne, input))
		}
		if now := runtime.NumGoroutine(); now > before+20 {
			t.Errorf("%d goroutines, and %d before", now, before)
		}
		blocked(t, ex, n)
		if s := ex.Stats(); s.Queued != 0 || s.Submitted != n+1 {
			t.Errorf("%+v", s)
		}
		if err := p.SetResult(0); err != nil {
			t.Fatal(err)
		}
		for i, f := range fs {
			want := 1
			if i%3 == 0 {
				want = i/3 + 1
			}
			if got := result(t, f); got != want {
				t.Fatalf("call %d has %d, want %d", i, got, want)
			}
		}
		blocked(t, ex, 0)
	})
}

func TestALongChainOfCallsWhoseFirstInputFailsFailsToItsEnd(t *testing.T) {
	on(t, 2, func(t *testing.T, _ backend, ex futures.Executor) {
		p := futures.NewPromise[int]()
		f := after(t, ex, plusOne, p.Future())
		for range 2_000 {
			f = after(t, ex, plusOne, f)
		}
		cancelled := after(t, ex, plusOne, f)
		cancelled.Cancel()
		if err := p.SetError(&InputError{1, "odd"}); err != nil {
			t.Fatal(err)
		}
		cause := new(InputError)
		if _, err := f.Result(within(t)); !errors.As(err, &cause) || cause.Why != "odd" {
			t.Errorf("%.300v", err)
		}
		blocked(t, ex, 0)
	})
}

func TestAShutdownWaitsForCallsThatWaitForInputsOrCancelsThem(t *testing.T) {
	each(t, func(t *testing.T, b backend) {
		ex := b.start(t, 2)
		g := newGate(t)
		passed := after(t, ex, wait, submit(t, ex, gates, g)) // while the executor stops its input comes, and it is submitted
		p := futures.NewPromise[int]()
		last := after(t, ex, square, after(t, ex, plusOne, p.Future()))
		called := make(chan struct{})
		last.AddDoneCallback(func(*futures.Future[int]) { close(called) })
		if err := ex.Shutdown(t.Context(), futures.NoWait()); err != nil {
			t.Fatal(err)
		}
		if _, err := futures.SubmitAfter(ex, square, p.Future()); !errors.Is(err, futures.ErrShutdown) {
			t.Error(err)
		}
		short, cancel := context.WithCancel(t.Context())
		cancel()
		if err := ex.Shutdown(short); !errors.As(err, new(*futures.ShutdownError)) {
			t.Errorf("a shutdown whose context has ended waits for no input: %v", err)
		}
		g.open()
		if err := p.SetResult(2); err != nil {
			t.Fatal(err)
		}
		mustClose(t, ex)
		select {
		case <-called:
		default:
			t.Error("a callback has not run")
		}
		if v, err := last.ResultWithin(0); v != 9 || err != nil {
			t.Errorf("%d, %v", v, err)
		}
		if v, err := passed.ResultWithin(0); !v || err != nil {
			t.Errorf("%v, %v", v, err)
		}

		ex = b.start(t, 2)
		never := futures.NewFuture[int]()
		first := after(t, ex, square, never)
		next := after(t, ex, square, first)
		mustClose(t, ex, futures.CancelFutures())
		for _, f := range []*futures.Future[int]{first, next} {
			if _, err := f.ResultWithin(0); !errors.Is(err, futures.ErrCancelled) || !f.Cancelled() {
				t.Errorf("%v, %v", f, err)
			}
		}
		if s := ex.Stats(); s.Blocked != 0 || s.Cancelled != 2 || never.Done() {
			t.Errorf("%+v, %v", s, never)
		}
	})
}

// gates hands a gate on when it is open.
var gates = futures.RegisterContext("after.gates", func(ctx context.Context, g gate) (gate, error) { return g, g.pass(ctx) })

func TestACallThatWaitsForItsInputFailsWithAPoolThatBreaks(t *testing.T) {
	each(t, func(t *testing.T, b backend) {
		g := newGate(t)
		ex := b.start(t, 2, futures.WithInitializer(refuse, g))
		f := after(t, ex, square, futures.NewFuture[int]())
		blocked(t, ex, 1)
		g.open()
		if _, err := f.Result(within(t)); !errors.Is(err, futures.ErrBroken) {
			t.Error(err)
		}
		if _, err := futures.SubmitAfter(ex, square, f); !errors.Is(err, futures.ErrBroken) {
			t.Error(err)
		}
	})
}

func TestTheOptionsOfACallHoldForOneThatWaitsForItsInput(t *testing.T) {
	on(t, 2, func(t *testing.T, _ backend, ex futures.Executor) {
		p := futures.NewPromise[int]()
		ctx, cancel := context.WithCancelCause(t.Context())
		bound := after(t, ex, square, p.Future(), futures.WithContext(ctx))
		blocked(t, ex, 1)
		cause := errors.New("enough")
		cancel(cause)
		if _, err := bound.Result(within(t)); !errors.Is(err, cause) || !errors.Is(err, futures.ErrCancelled) || p.Future().Done() {
			t.Errorf("%v", err)
		}
		blocked(t, ex, 0)
		if f := after(t, ex, square, p.Future(), futures.WithContext(ctx)); !f.Cancelled() {
			t.Error("a call whose context had ended before waits")
		}

		x := trial{Dir: t.TempDir(), Fails: 1}
		if n := result(t, after(t, ex, try, submit(t, ex, trials, x), futures.WithRetries(2, futures.RetryIf(busy)))); n != 2 {
			t.Errorf("%d runs, want 2", n)
		}
		late := after(t, ex, ending, after(t, ex, wait, done(t, gate(""))), futures.WithTaskTimeout(time.Millisecond))
		if _, err := late.Result(within(t)); !errors.Is(err, context.DeadlineExceeded) {
			t.Error(err)
		}
		xs := submit(t, ex, series, 100_000)
		if got := result(t, after(t, ex, mean, xs, futures.WithSnapshot(), futures.WithPriority(3))); got != 99_999./2 {
			t.Error(got)
		}

		path, file := filepath.Join(t.TempDir(), "journal"), filepath.Join(t.TempDir(), "runs")
		for range 2 {
			recorded(t, path, func(j *journal.Journal) {
				f := after(t, ex, squareLogged, submit(t, ex, logs, logged{File: file, X: 5}), futures.WithJournal(j))
				g := after(t, ex, plusOne, f)
				if got := result(t, g); got != 26 {
					t.Errorf("%d, want 26", got)
				}
			})
		}
		if n := runs(t, file); n != 1 || ex.Stats().Recalled != 1 {
			t.Errorf("%d runs, %d recalled", n, ex.Stats().Recalled)
		}
		blocked(t, ex, 0)
	})
}

func TestATaskMayWaitForCallsThatWaitForOthersOfItsPool(t *testing.T) {
	each(t, func(t *testing.T, b backend) {
		ex := b.start(t, 1)
		outer := futures.Local(func(ctx context.Context, depth int) (int, error) {
			last, err := futures.Submit(ex, square, 2)
			for range depth {
				if err == nil {
					last, err = futures.SubmitAfter(ex, plusOne, last)
				}
			}
			if err != nil {
				return 0, err
			}
			in, err := futures.SubmitAfter(ex, add, futures.Join(last, last))
			if err != nil {
				return 0, err
			}
			return in.Result(ctx)
		})
		fs := make([]*futures.Future[int], 4)
		for i := range fs {
			fs[i] = submit(t, ex, outer, i)
		}
		for i, f := range fs {
			if got := result(t, f); got != 2*(4+i) {
				t.Errorf("task %d has %d", i, got)
			}
		}
	}, func(b backend) bool { return b.shares })
}

func TestAFutureThatWouldWaitForItselfByWayOfACallSaysSo(t *testing.T) {
	on(t, 1, func(t *testing.T, _ backend, ex futures.Executor) {
		for name, through := range map[string]func(*futures.Future[int]) *futures.Future[int]{
			"SubmitAfter": func(f *futures.Future[int]) *futures.Future[int] { return after(t, ex, square, f) },
			"Join": func(f *futures.Future[int]) *futures.Future[int] {
				return after(t, ex, add, futures.Join(f, done(t, 1)))
			},
			"Collect": func(f *futures.Future[int]) *futures.Future[int] {
				return futures.Then(futures.Collect(done(t, 1), f), func(xs []int) (int, error) { return xs[0], nil }, nil)
			},
		} {
			p := futures.NewPromise[int]()
			var around *futures.Future[int]
			chain := futures.ThenChain(p.Future(), func(int) (*futures.Future[int], error) { return around, nil }, nil)
			around = through(chain)
			if err := p.SetResult(1); err != nil {
				t.Fatal(err)
			}
			if _, err := chain.Result(within(t)); !errors.Is(err, futures.ErrChainCycle) {
				t.Errorf("%s: %v", name, err)
			}
			if _, err := around.Result(within(t)); !errors.Is(err, futures.ErrChainCycle) {
				t.Errorf("%s, behind it: %v", name, err)
			}
		}
	})
}

func TestAnInputThatIsNotThereIsRefused(t *testing.T) {
	on(t, 1, func(t *testing.T, b backend, ex futures.Executor) {
		if _, err := futures.SubmitAfter[int, int](ex, square, nil); err == nil || !strings.Contains(err.Error(), "square") || !strings.Contains(err.Error(), "nil") {
			t.Error(err)
		}
		if _, err := futures.SubmitAfter(ex, square, done(t, 1), futures.WithTaskTimeout(-1)); err == nil || !strings.Contains(err.Error(), "SubmitAfter") {
			t.Error(err)
		}
		if !b.shares {
			local := futures.Local(func(_ context.Context, x int) (int, error) { return x, nil })
			if _, err := futures.SubmitAfter(ex, local, done(t, 1)); err == nil {
				t.Error("a Local function is taken")
			}
		}
		if _, err := after(t, ex, add, futures.Join(done(t, 1), (*futures.Future[int])(nil))).Result(within(t)); err == nil || !strings.Contains(err.Error(), "the future is nil") {
			t.Error(err)
		}
		if n := ex.Stats().Submitted; n != 1 {
			t.Errorf("%d calls were submitted", n)
		}
	})
}
