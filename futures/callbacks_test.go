package futures_test

import (
	"bytes"
	"context"
	"errors"
	"iter"
	"log/slog"
	"math"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/rankpool/rankpool/futures"
)

// captureLog sends the package's log to a buffer for the length of a test.
func captureLog(t *testing.T) *capturedLog {
	b := new(capturedLog)
	futures.SetLogger(slog.New(slog.NewTextHandler(&b.text, nil)))
	t.Cleanup(func() { futures.FlushLog(); futures.SetLogger(nil) })
	return b
}

type capturedLog struct{ text bytes.Buffer }

func (b *capturedLog) String() string {
	futures.FlushLog()
	return b.text.String()
}

// ends are the three ways the future of a promise ends.
var ends = map[string]func(*futures.Promise[int]){
	"success": func(p *futures.Promise[int]) { _ = p.SetResult(1) },
	"failure": func(p *futures.Promise[int]) { _ = p.SetError(errBoom) },
	"cancel":  func(p *futures.Promise[int]) { p.Future().Cancel() },
}

func TestACallbackRunsOnceWithTheFutureHoweverItEnds(t *testing.T) {
	for name, end := range ends {
		t.Run(name, func(t *testing.T) {
			p, calls := futures.NewPromise[int](), 0
			f := p.Future()
			f.AddDoneCallback(func(g *futures.Future[int]) {
				if g != f || !g.Done() {
					t.Errorf("called with %p, done: %v", g, g.Done())
				}
				calls++
			})
			end(p)
			end(p)
			if calls != 1 {
				t.Errorf("called %d times when the end returned", calls)
			}
		})
	}
}

func TestCallbacksRunInTheOrderOfRegistrationAndTwiceWhenRegisteredTwice(t *testing.T) {
	f := new(futures.Future[int])
	var got []int
	note := func(i int) func(*futures.Future[int]) { return func(*futures.Future[int]) { got = append(got, i) } }
	twice := note(7)
	for _, fn := range []func(*futures.Future[int]){note(1), twice, note(2), twice, note(3)} {
		f.AddDoneCallback(fn)
	}
	set(t, f, 0)
	if diff := cmp.Diff([]int{1, 7, 2, 7, 3}, got); diff != "" {
		t.Error(diff)
	}
}

func TestALateCallbackRunsBeforeTheRegistrationReturns(t *testing.T) {
	for name, end := range ends {
		p, called := futures.NewPromise[int](), false
		end(p)
		p.Future().AddDoneCallback(func(*futures.Future[int]) { called = true })
		if !called {
			t.Errorf("after %s it did not", name)
		}
	}
}

func TestAPanicInACallbackIsLoggedAndTheOthersRun(t *testing.T) {
	for _, value := range []any{"oops", errBoom, nil} {
		log := captureLog(t)
		f, calls := new(futures.Future[int]), 0
		f.AddDoneCallback(func(*futures.Future[int]) { panic(value) })
		f.AddDoneCallback(func(*futures.Future[int]) { calls++ })
		set(t, f, 1)
		f.AddDoneCallback(func(*futures.Future[int]) { panic(value) })
		if calls != 1 || strings.Count(log.String(), "level=ERROR") != 2 {
			t.Errorf("after panic(%v) %d callbacks ran, and the log is %q", value, calls, log)
		}
	}
}

func TestALoggerThatPanicsStrandsNoCallback(t *testing.T) {
	futures.SetLogger(slog.New(panickingHandler{}))
	defer futures.SetLogger(nil)
	f, calls := new(futures.Future[int]), 0
	f.AddDoneCallback(func(*futures.Future[int]) { panic("oops") })
	f.AddDoneCallback(func(*futures.Future[int]) { calls++ })
	set(t, f, 1)
	if calls != 1 {
		t.Error("the second callback did not run")
	}
}

type panickingHandler struct{ slog.Handler }

func TestGoexitInACallbackStrandsNeitherWaitersNorTheOtherCallbacks(t *testing.T) {
	log := captureLog(t)
	f := new(futures.Future[int])
	released := f.DoneChan()
	var wg sync.WaitGroup
	var got []int
	for i := range 4 {
		f.AddDoneCallback(func(*futures.Future[int]) {
			<-released
			got = append(got, i)
			if i%2 == 0 {
				runtime.Goexit()
			}
		})
	}
	survived := false
	wg.Go(func() {
		f.Settle(1, nil)()
		survived = true
	})
	wg.Wait()
	if diff := cmp.Diff([]int{0, 1, 2, 3}, got); diff != "" {
		t.Error(diff)
	}
	if survived {
		t.Error("Goexit did not end the goroutine")
	}
	if got := strings.Count(log.String(), "Goexit"); got != 2 {
		t.Errorf("Goexit was logged %d times", got)
	}
	wantResult(t, f, 1, nil)
}

func TestACallbackMayUseItsFuture(t *testing.T) {
	p, inner := futures.NewPromise[int](), 0
	p.Future().AddDoneCallback(func(f *futures.Future[int]) {
		wantResult(t, f, 1, nil)
		f.AddDoneCallback(func(*futures.Future[int]) { inner++ })
		if err := p.SetResult(2); !errors.Is(err, futures.ErrInvalidState) {
			t.Errorf("error is %v", err)
		}
		f.Cancel()
	})
	if err := p.SetResult(1); err != nil {
		t.Error(err)
	}
	if inner != 1 {
		t.Errorf("the callback of the callback ran %d times", inner)
	}
}

func TestANilCallbackIsRefusedAtOnce(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("it was taken")
		}
	}()
	new(futures.Future[int]).AddDoneCallback(nil)
}

// A late callback used to overtake those that waited behind another future's slow one.
func TestCallbacksRunInTheOrderOfAddingAlsoWhenSomeAreAddedAfterTheEnd(t *testing.T) {
	ex, err := futures.NewThreadPoolExecutor(futures.WithMaxWorkers(1))
	if err != nil {
		t.Fatal(err)
	}
	id := futures.Local(func(_ context.Context, x int) (int, error) { return x, nil })
	hold, added := make(chan struct{}), make(chan struct{})
	slow, err := futures.Submit(ex, futures.Local(func(context.Context, int) (int, error) { <-added; return 0, nil }), 0)
	if err != nil {
		t.Fatal(err)
	}
	slow.AddDoneCallback(func(*futures.Future[int]) { <-hold }) // before it is done: else it would run here
	close(added)
	f, err := futures.Submit(ex, id, 1)
	if err != nil {
		t.Fatal(err)
	}
	var got []int
	add := func(i int) { f.AddDoneCallback(func(*futures.Future[int]) { got = append(got, i) }) }
	add(0)
	if y, err := f.Result(t.Context()); y != 1 || err != nil {
		t.Fatal(y, err)
	}
	for i := 1; i < 5; i++ {
		add(i)
	}
	f.AddDoneCallback(func(*futures.Future[int]) { add(9) })
	add(5)
	close(hold)
	if err := ex.Close(); err != nil {
		t.Error(err)
	}
	if diff := cmp.Diff([]int{0, 1, 2, 3, 4, 5, 9}, got); diff != "" {
		t.Error(diff)
	}
}

func TestCallbacksOfAPromiseAddedWhileOthersRunComeAfterThem(t *testing.T) {
	p := futures.NewPromise[int]()
	f := p.Future()
	running, hold := make(chan struct{}), make(chan struct{})
	var got []int
	f.AddDoneCallback(func(*futures.Future[int]) { close(running); <-hold; got = append(got, 0) })
	over := make(chan struct{})
	go func() { defer close(over); _ = p.SetResult(1) }()
	<-running
	for i := 1; i < 4; i++ {
		f.AddDoneCallback(func(*futures.Future[int]) { got = append(got, i) })
	}
	close(hold)
	<-over
	if diff := cmp.Diff([]int{0, 1, 2, 3}, got); diff != "" {
		t.Error(diff)
	}
}

// Close used to return while another Shutdown was still telling the futures that it had cancelled.
func TestCloseBesideAShutdownThatCancelsWaitsForEveryFutureAndCallback(t *testing.T) {
	ex, err := futures.NewThreadPoolExecutor(futures.WithMaxWorkers(1))
	if err != nil {
		t.Fatal(err)
	}
	hold := make(chan struct{})
	id := futures.Local(func(_ context.Context, x int) (int, error) { <-hold; return x, nil })
	const n = 100_000
	var called atomic.Int64
	fs := make([]*futures.Future[int], n)
	for i := range fs {
		if fs[i], err = futures.Submit(ex, id, i); err != nil {
			t.Fatal(err)
		}
		fs[i].AddDoneCallback(func(*futures.Future[int]) { called.Add(1) })
	}
	close(hold)
	over := make(chan error)
	go func() { over <- ex.Shutdown(context.Background(), futures.NoWait(), futures.CancelFutures()) }()
	if err := ex.Close(); err != nil {
		t.Error(err)
	}
	undone := 0
	for _, f := range fs {
		if !f.Done() {
			undone++
		}
	}
	if undone > 0 || called.Load() != n {
		t.Errorf("after Close %d futures are not done, and %d of %d callbacks have run", undone, called.Load(), n)
	}
	if err := <-over; err != nil {
		t.Error(err)
	}
}

func TestAnyChunkSizeWorks(t *testing.T) {
	ex, err := futures.NewThreadPoolExecutor(futures.WithMaxWorkers(1))
	if err != nil {
		t.Fatal(err)
	}
	defer ex.Close()
	id := futures.Local(func(_ context.Context, x int) (int, error) { return x, nil })
	for _, size := range []int{1, 3, math.MaxInt >> 2, math.MaxInt} {
		for _, opts := range [][]futures.MapOption{nil, {futures.WithBufferSize(1)}, {futures.Unordered()}} {
			n := 0
			for x, err := range futures.Map(t.Context(), ex, id, []int{0, 1, 2, 3}, append(opts, futures.WithChunkSize(size))...) {
				if x != n || err != nil {
					t.Fatal(size, x, err)
				}
				n++
			}
			var seq iter.Seq[int] = slices.Values([]int{0, 1, 2, 3})
			for x, err := range futures.Map(t.Context(), ex, id, seq, append(opts, futures.WithChunkSize(size))...) {
				if err != nil {
					t.Fatal(size, x, err)
				}
				n++
			}
			if n != 8 {
				t.Errorf("chunks of %d: %d results", size, n)
			}
		}
	}
}

// Close used to take the callback for one of its own executor, for which it cannot wait.
func TestACallbackThatClosesAnotherExecutorWaitsForTheCallbacksOfThat(t *testing.T) {
	ex, other := goroutines(t, 1), goroutines(t, 1)
	added := make(chan struct{}) // before the task ends, so that the callback does not run where it is added
	task := futures.Local(func(_ context.Context, x int) (int, error) { <-added; return x, nil })
	call := func(ex futures.Executor, callback func()) {
		f, err := futures.Submit(ex, task, 1)
		if err != nil {
			t.Fatal(err)
		}
		f.AddDoneCallback(func(*futures.Future[int]) { callback() })
		added <- struct{}{}
	}
	began, release := make(chan struct{}), make(chan struct{})
	var over atomic.Bool
	call(other, func() {
		close(began)
		<-release
		over.Store(true)
	})
	<-began
	closed := make(chan error, 1)
	call(ex, func() {
		ended, cancel := context.WithCancel(context.Background())
		cancel()
		for range 10_000 { // until its workers have left, and longer
			if other.Shutdown(ended) == nil {
				t.Error("Shutdown with an ended context did not wait for a callback that ran")
				break
			}
			runtime.Gosched()
		}
		close(release)
		err := other.Close()
		if !over.Load() {
			t.Error("Close returned before the callback")
		}
		closed <- err
	})
	if err := <-closed; err != nil {
		t.Error(err)
	}
}
