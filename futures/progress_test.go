package futures_test

import (
	"context"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rankpool/rankpool/futures"
)

// eightSeconds takes as long for each element, and fails below zero.
var eightSeconds = futures.Local(func(_ context.Context, x int) (int, error) {
	time.Sleep(8 * time.Second)
	if x < 0 {
		return 0, errors.New("below zero")
	}
	return x, nil
})

// oneThread starts an executor of one goroutine.
func oneThread(t *testing.T) *futures.ThreadPoolExecutor {
	t.Helper()
	ex, err := futures.NewThreadPoolExecutor(futures.WithMaxWorkers(1))
	if err != nil {
		t.Fatal(err)
	}
	return ex
}

func shut(t *testing.T, ex futures.Executor) {
	t.Helper()
	if err := ex.Close(); err != nil {
		t.Error(err)
	}
}

func TestTheProgressOfAMapHasANameAndCountsWhatHasFailed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ex := oneThread(t)
		var out strings.Builder
		for _, err := range futures.Map(t.Context(), ex, eightSeconds, []int{1, -1, 3}, futures.WithProgress(&out, "spectra")) {
			_ = err // it is the output that counts
		}
		shut(t, ex)
		want := "spectra: 0/3 (0%), 0.0/s, 5s elapsed\n" +
			"spectra: 1/3 (33%), 0.1/s, 10s elapsed, 20s left\n" +
			"spectra: 1/3 (33%), 0.1/s, 15s elapsed, 30s left\n" +
			"spectra: 2/3 (66%), 1 failed, 0.1/s, 20s elapsed, 10s left\n" +
			"spectra: 3/3 (100%), 1 failed, 0.1/s, 24s elapsed\n"
		if diff := cmp.Diff(want, out.String()); diff != "" {
			t.Error(diff)
		}
	})
}

func TestWithoutANameTheProgressHasThatOfTheVerb(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ex := oneThread(t)
		var out strings.Builder
		for _, err := range futures.Starmap(t.Context(), ex, eightSeconds, []int{}, futures.WithProgress(io.Discard, "x"), futures.WithProgress(&out, "")) {
			_ = err // it is the output that counts
		}
		shut(t, ex)
		if got := out.String(); !strings.HasPrefix(got, "Starmap: 0/0 (100%), ") {
			t.Errorf("%q", got)
		}
	})
}

func TestTheProgressOfFuturesEndsWithTheLastOfThem(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		good, bad, gone := futures.NewPromise[int](), futures.NewPromise[int](), futures.NewPromise[int]()
		fs := []*futures.Future[int]{good.Future(), nil, bad.Future(), gone.Future(), good.Future()}
		var out strings.Builder
		stop := futures.ShowProgress(&out, "fits", fs)
		time.Sleep(7 * time.Second)
		if err := good.SetResult(1); err != nil {
			t.Error(err)
		}
		if err := bad.SetError(errors.New("bad")); err != nil {
			t.Error(err)
		}
		time.Sleep(4 * time.Second)
		gone.Future().Cancel()
		synctest.Wait() // nobody has called stop
		want := "fits: 1/4 (25%), 1 failed, 0.2/s, 5s elapsed, 15s left\n" +
			"fits: 3/4 (75%), 2 failed, 0.3/s, 10s elapsed, 3s left\n" +
			"fits: 4/4 (100%), 3 failed, 0.4/s, 11s elapsed\n"
		if diff := cmp.Diff(want, out.String()); diff != "" {
			t.Error(diff)
		}
		stop()
		stop()
		if out.String() != want {
			t.Errorf("after the end: %q", out.String())
		}
	})
}

func TestTheProgressOfFuturesEndsWhenItIsStopped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := futures.NewPromise[int]()
		var out strings.Builder
		stop := futures.ShowProgress(&out, "fits", []*futures.Future[int]{p.Future()})
		time.Sleep(time.Second)
		stop()
		if want := "fits: 0/1 (0%), 0.0/s, 1s elapsed\n"; out.String() != want {
			t.Errorf("%q, want %q", out.String(), want)
		}
		if err := p.SetResult(1); err != nil {
			t.Error(err)
		}
		futures.ShowProgress(nil, "", []*futures.Future[int]{p.Future()})()
	})
}

func TestTwoMapsShareAWriter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		one, two := oneThread(t), oneThread(t)
		var out strings.Builder
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			for _, err := range futures.Map(t.Context(), one, eightSeconds, []int{1, 2, 3}, futures.WithProgress(&out, "one")) {
				_ = err // it is the output that counts
			}
		}()
		for _, err := range futures.Map(t.Context(), two, eightSeconds, []int{1, 2, 3}, futures.WithProgress(&out, "two")) {
			_ = err // it is the output that counts
		}
		<-ended
		shut(t, one)
		shut(t, two)
		got := strings.SplitAfter(strings.TrimSuffix(out.String(), "\n"), "\n")
		slices.Sort(got)
		for i, line := range got {
			if want := []string{"one: ", "two: "}[i/5]; len(got) != 10 || !strings.HasPrefix(line, want) {
				t.Fatalf("%q", got)
			}
		}
	})
}

func TestTheProgressEndsWithTheContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ex := oneThread(t)
		ctx, cancel := context.WithTimeout(t.Context(), 12*time.Second)
		defer cancel()
		var out strings.Builder
		for _, err := range futures.Map(ctx, ex, eightSeconds, []int{1, 2, 3}, futures.WithProgress(&out, "")) {
			_ = err // it is the output that counts
		}
		want := "Map: 0/3 (0%), 0.0/s, 5s elapsed\nMap: 1/3 (33%), 0.1/s, 10s elapsed, 20s left\nMap: 1/3 (33%), 0.1/s, 12s elapsed, 24s left\n"
		if diff := cmp.Diff(want, out.String()); diff != "" {
			t.Error(diff)
		}
		shut(t, ex)
		if out.String() != want {
			t.Errorf("after the end: %q", out.String())
		}
	})
}

func TestANameOfProgressIsOneLine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ex := oneThread(t)
		var out strings.Builder
		for _, err := range futures.Map(t.Context(), ex, eightSeconds, []int{1}, futures.WithProgress(&out, "two\nlines\x1b[J")) {
			_ = err // it is the output that counts
		}
		shut(t, ex)
		if !strings.HasPrefix(out.String(), "two lines [J: 0/1 (0%), ") {
			t.Errorf("%q", out.String())
		}
	})
}

// hanging is a writer that does not return before it is released.
type hanging struct{ release chan struct{} }

func (h hanging) Write(b []byte) (int, error) { <-h.release; return len(b), nil }

func (h hanging) Fd() uintptr { <-h.release; return 0 }

func TestAWriterThatHangsStopsNothingButTheProgress(t *testing.T) {
	type onlyWriter struct{ io.Writer } // without Fd, which hangs before anything is written
	for name, wrap := range map[string]func(hanging) io.Writer{
		"Write": func(h hanging) io.Writer { return onlyWriter{h} }, "Fd": func(h hanging) io.Writer { return h },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h, next := hanging{make(chan struct{})}, hanging{make(chan struct{})}
				ex := oneThread(t)
				begin, n := time.Now(), 0
				for _, err := range futures.Map(t.Context(), ex, eightSeconds, []int{1, 2, 3}, futures.WithProgress(wrap(h), "")) {
					if n++; err != nil || time.Since(begin) != time.Duration(8*n)*time.Second {
						t.Errorf("element %d: %v after %v", n, err, time.Since(begin))
					}
				}
				if took := time.Since(begin); n != 3 || took != 25*time.Second { // a second for the last line
					t.Errorf("%d elements after %v", n, took)
				}
				f, err := futures.Submit(ex, eightSeconds, 1)
				if err != nil {
					t.Fatal(err)
				}
				begin = time.Now()
				stop := futures.ShowProgress(wrap(next), "", []*futures.Future[int]{f})
				if _, err := f.Result(t.Context()); err != nil || time.Since(begin) != 8*time.Second {
					t.Errorf("%v after %v", err, time.Since(begin))
				}
				stop()
				if took := time.Since(begin); took != 9*time.Second {
					t.Errorf("stop returned after %v", took)
				}
				shut(t, ex)
				close(h.release)
				close(next.release)
			})
		})
	}
}

// panicking is a writer that panics, and counts how often.
type panicking struct{ n int }

func (p *panicking) Write([]byte) (int, error) { p.n++; panic("no disk") }

func TestAWriterThatPanicsIsNotUsedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ex := oneThread(t)
		var out panicking
		n := 0
		for _, err := range futures.Map(t.Context(), ex, eightSeconds, []int{1, 2, 3}, futures.WithProgress(&out, "")) {
			if n++; err != nil {
				t.Error(err)
			}
		}
		shut(t, ex)
		if n != 3 || out.n != 1 {
			t.Errorf("%d elements; the writer was used %d times", n, out.n)
		}
	})
}
