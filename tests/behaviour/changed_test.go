package behaviour_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/rankpool/rankpool/futures"
)

// frail is a task that takes its worker along the first time it runs.
type frail struct {
	place
	Field []float64
}

var (
	firstOf = futures.Register("firstOf", func(xs []float64) (float64, error) { return xs[0], nil })
	dieOnce = futures.RegisterContext("dieOnce", func(ctx context.Context, f frail) (float64, error) {
		if _, err := os.Stat(f.Begun); err == nil {
			return f.Field[0], nil
		}
		if _, err := announceAndWait(ctx, f.place); err != nil {
			return 0, err
		}
		os.Exit(3)
		return 0, nil
	})
)

// onFull is on where values are encoded, with one worker that is busy until the gate opens.
func onFull(t *testing.T, test func(t *testing.T, ex futures.Executor, g gate)) {
	t.Helper()
	onCoded(t, 1, func(t *testing.T, _ backend, ex futures.Executor) {
		g := newGate(t)
		eventually(t, "the worker is busy", submit(t, ex, wait, g).Running) // else what follows may leave in one message with it
		test(t, ex, g)
	})
}

// changed checks that an error says of a function that its argument was written to.
func changed(t *testing.T, name string, err error) {
	t.Helper()
	if !errors.Is(err, futures.ErrArgumentChanged) || !strings.Contains(err.Error(), name) || !strings.Contains(err.Error(), "WithSnapshot") {
		t.Errorf("got %v, want an error about the argument of %s that names WithSnapshot", err, name)
	}
}

// refill writes where others may read, which the race detector is not to see: tests/negative has what it says.
//
//go:norace
func refill(xs []float64, x float64) {
	for i := range xs {
		xs[i] = x
	}
}

func TestSlicesThatAreFilledAgainBeforeTheyHaveLeftFailTheirTask(t *testing.T) {
	for _, c := range []struct {
		n      int
		socket string // RANKPOOL_PROC_SOCKET
	}{{32 << 10, "0"}, {1 << 17, "0"}, {1 << 17, "1"}, {5<<20/8 + 3, "0"}, {5<<20/8 + 3, "1"}} {
		t.Setenv("RANKPOOL_PROC_SOCKET", c.socket)
		onFull(t, func(t *testing.T, ex futures.Executor, g gate) {
			xs := make([]float64, c.n)
			f, copied := submit(t, ex, firstOf, xs), submit(t, ex, firstOf, xs, futures.WithSnapshot())
			refill(xs, 1)
			after := submit(t, ex, firstOf, xs)
			g.open()
			_, err := f.Result(within(t))
			changed(t, "firstOf", err)
			if x := result(t, copied); x != 0 {
				t.Errorf("the snapshot begins with %v, want 0", x)
			}
			if x := result(t, after); x != 1 {
				t.Errorf("the next task was given %v, want 1", x)
			}
		})
	}
}

func TestElementsThatAreFilledAgainBeforeTheyHaveLeftFailTheirMap(t *testing.T) {
	for _, chunk := range []int{1, 3} {
		onFull(t, func(t *testing.T, ex futures.Executor, g gate) {
			var xs [][]float64
			for i := range 9 {
				xs = append(xs, make([]float64, 1<<16))
				refill(xs[i], float64(i))
			}
			results := futures.Map(within(t), ex, firstOf, xs, futures.WithChunkSize(chunk))
			refill(xs[6], 100)
			g.open()
			n := 0.0
			for x, err := range results {
				if err != nil {
					changed(t, "firstOf", err)
					break
				}
				if x != n {
					t.Errorf("result %v is %v", n, x)
				}
				n++
			}
			if n != 6 {
				t.Errorf("%v results came before the error, want 6", n)
			}
		})
	}
}

func TestSlicesThatAreFilledAgainFailTheTaskOfEveryWorker(t *testing.T) {
	each(t, func(t *testing.T, b backend) {
		ex, g := b.start(t, 2), newGate(t)
		eventually(t, "a worker is busy", submit(t, ex, wait, g).Running)
		xs := make([]float64, 1<<17)
		f, err := futures.SubmitEach(ex, firstOf, xs)
		if err != nil {
			t.Fatal(err)
		}
		refill(xs, 1)
		g.open()
		_, err = f.Result(within(t))
		changed(t, "firstOf", err)
	}, encodes)
}

func TestSlicesThatAreFilledAgainBetweenTwoRunsFailTheSecond(t *testing.T) {
	each(t, func(t *testing.T, b backend) {
		ex, g := b.start(t, 1), newGate(t)
		begun := filepath.Join(t.TempDir(), "begun")
		xs := make([]float64, 1<<17)
		f := submit(t, ex, dieOnce, frail{place{begun, g}, xs}, futures.WithRetries(1))
		for end := time.Now().Add(limit); ; time.Sleep(time.Millisecond) {
			if _, err := os.Stat(begun); err == nil {
				break
			}
			if time.Now().After(end) {
				t.Fatal("the task does not begin")
			}
		}
		refill(xs, 1)
		g.open()
		_, err := f.Result(within(t))
		changed(t, "dieOnce", err)
	}, apart)
}

// With the race detector the elements are read while they are under way. It must not report what is written after the map has ended,
// however that came about.
func TestTheElementsAreTheCallersAgainOnceAMapHasEnded(t *testing.T) {
	onFull(t, func(t *testing.T, ex futures.Executor, _ gate) {
		xs := make([][]float64, 20)
		for i := range xs {
			xs[i] = make([]float64, 32<<10)
		}
		for range 50 {
			ctx, cancel := context.WithCancel(within(t))
			ended := make(chan struct{})
			before := ex.Stats().Submitted
			go func() {
				defer close(ended)
				for ex.Stats().Submitted == before {
					runtime.Gosched()
				}
				cancel()
			}()
			for _, err := range futures.Map(ctx, ex, firstOf, xs) {
				if err == nil {
					t.Error("a worker that is busy has run it")
				}
			}
			<-ended
			for _, x := range xs {
				for i := range x {
					x[i]++
				}
			}
		}
	})
}
