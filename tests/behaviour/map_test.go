package behaviour_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"sync/atomic"
	"testing"
	"time"
	"weak"

	"github.com/google/go-cmp/cmp"

	"github.com/rankpool/rankpool/futures"
)

func upTo(n int) []int {
	xs := make([]int, n)
	for i := range xs {
		xs[i] = i
	}
	return xs
}

func squares(n int) []int {
	xs := upTo(n)
	for i := range xs {
		xs[i] *= i
	}
	return xs
}

// gather reads everything a Map yields, up to the first error.
func gather[R any](seq iter.Seq2[R, error]) (all []R, err error) {
	for v, err := range seq {
		if err != nil {
			return all, err
		}
		all = append(all, v)
	}
	return all, nil
}

func expect[R any](t *testing.T, want []R, seq iter.Seq2[R, error]) {
	t.Helper()
	got, err := gather(seq)
	if err != nil {
		t.Error(err)
	} else if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestMapEqualsTheBuiltinAndStopsAtTheShortest(t *testing.T) {
	on(t, 2, func(t *testing.T, _ backend, ex futures.Executor) {
		expect(t, squares(100), futures.Map(within(t), ex, square, upTo(100)))
		expect(t, squares(100), futures.Map(within(t), ex, square, slices.Values(upTo(100))))
		expect(t, nil, futures.Map(within(t), ex, square, []int{}))
		expect(t, nil, futures.Map(within(t), ex, square, slices.Values[[]int](nil)))
		pairs := futures.Zip([]int{1, 2, 3}, []int{10, 20})
		expect(t, []int{11, 22}, futures.Starmap(within(t), ex, add, pairs))
		expect(t, []int{11, 22}, futures.Starmap(within(t), ex, add, slices.Values(pairs)))
	})
}

func TestResultsComeInOrderWhateverTheChunks(t *testing.T) {
	on(t, 3, func(t *testing.T, _ backend, ex futures.Executor) {
		for _, chunk := range []int{1, 6, 40, 50} {
			before := ex.Stats().Submitted
			expect(t, squares(40), futures.Map(within(t), ex, square, upTo(40), futures.WithChunkSize(chunk)))
			if got, want := int(ex.Stats().Submitted-before), (40+chunk-1)/chunk; got != want {
				t.Errorf("chunk size %d: %d tasks, want %d", chunk, got, want)
			}
			before = ex.Stats().Submitted
			expect(t, squares(40), futures.Map(within(t), ex, square, slices.Values(upTo(40)), futures.WithChunkSize(chunk)))
			if got, want := int(ex.Stats().Submitted-before), (40+chunk-1)/chunk; got != want {
				t.Errorf("chunk size %d, of a sequence: %d tasks, want %d", chunk, got, want)
			}
		}
	})
}

func TestBadOptionsAreTheFirstAndOnlyErrorAndNothingIsDrawn(t *testing.T) {
	on(t, 1, func(t *testing.T, _ backend, ex futures.Executor) {
		var drawn atomic.Int64
		input := func(yield func(int) bool) { drawn.Add(1); yield(1) }
		for name, tc := range map[string]struct {
			opts []futures.MapOption
			want string
		}{
			"chunk":          {[]futures.MapOption{futures.WithChunkSize(0)}, "chunk size"},
			"negative chunk": {[]futures.MapOption{futures.WithChunkSize(-5)}, "chunk size"},
			"buffer":         {[]futures.MapOption{futures.WithBufferSize(0)}, "buffer size"},
			"both":           {[]futures.MapOption{futures.WithBufferSize(0), futures.WithChunkSize(0)}, "chunk size"},
		} {
			var errs []error
			for _, err := range futures.Map(within(t), ex, square, iter.Seq[int](input), tc.opts...) {
				errs = append(errs, err)
			}
			if len(errs) != 1 || errs[0] == nil || !contains(errs[0], tc.want) {
				t.Errorf("%s: %v", name, errs)
			}
		}
		if drawn.Load() != 0 {
			t.Errorf("the input was drawn %d times", drawn.Load())
		}
	})
}

func TestAFailureComesInItsPlaceAndTheMapGoesOn(t *testing.T) {
	on(t, 2, func(t *testing.T, _ backend, ex futures.Executor) {
		for _, chunk := range []int{1, 2, 3, 10} {
			for _, lazily := range []bool{false, true} {
				xs := []int{5, 6, -1, 7, 8, 9}
				opts := []futures.MapOption{futures.WithChunkSize(chunk)}
				if lazily {
					opts = append(opts, futures.WithBufferSize(2))
				}
				var got []int
				var errs []error
				for v, err := range futures.Map(within(t), ex, failOn, xs, opts...) {
					if err != nil {
						errs = append(errs, err)
						continue
					}
					got = append(got, v)
				}
				input := new(InputError)
				if diff := cmp.Diff([]int{5, 6, 7, 8, 9}, got); diff != "" || len(errs) != 1 || !errors.As(errs[0], &input) {
					t.Errorf("chunk %d: %v, %v", chunk, got, errs)
				}
			}
		}
	})
}

func TestUnorderedDeliversAsTheyComeAndTheQuickOnesBeforeADeadline(t *testing.T) {
	on(t, 2, func(t *testing.T, _ backend, ex futures.Executor) {
		got, err := gather(futures.Map(within(t), ex, square, upTo(200), futures.Unordered(), futures.WithChunkSize(7)))
		slices.Sort(got)
		if diff := cmp.Diff(squares(200), got); err != nil || diff != "" {
			t.Error(err, diff)
		}
		gates := []gate{newGate(t), "", "", ""}
		ctx, deadline := context.WithCancelCause(t.Context()) // a deadline that passes when the test says
		defer deadline(nil)
		quick := 0
		for ok, err := range futures.Map(ctx, ex, wait, gates, futures.Unordered()) {
			if err != nil {
				if quick != 3 || !errors.Is(err, futures.ErrTimeout) {
					t.Errorf("%d quick ones, then %v", quick, err)
				}
				break
			}
			if !ok {
				t.Error("a result was lost")
			}
			if quick++; quick == 3 {
				deadline(context.DeadlineExceeded)
			}
		}
	})
}

func TestADeadlineEndsAMapWithATimeOut(t *testing.T) {
	on(t, 1, func(t *testing.T, _ backend, ex futures.Executor) {
		for _, opts := range [][]futures.MapOption{nil, {futures.WithBufferSize(1)}, {futures.Unordered()}} {
			ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
			got, err := gather(futures.Map(ctx, ex, wait, []gate{newGate(t), ""}, opts...))
			cancel()
			if len(got) != 0 || !errors.Is(err, futures.ErrTimeout) || !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("%v, %v", got, err)
			}
		}
		ctx, deadline := context.WithCancelCause(t.Context())
		seq := futures.Map(ctx, ex, square, upTo(5))
		comesToRest(t, ex)
		deadline(context.DeadlineExceeded)
		expect(t, squares(5), seq) // what is there beats the deadline
	})
}

func TestUnorderedKeepsTheOrderInsideAChunk(t *testing.T) {
	on(t, 2, func(t *testing.T, _ backend, ex futures.Executor) {
		got, err := gather(futures.Map(within(t), ex, failOn, upTo(60), futures.Unordered(), futures.WithChunkSize(6)))
		if err != nil || len(got) != 60 {
			t.Fatal(err)
		}
		for c := range slices.Chunk(got, 6) {
			for i := range c {
				if c[i] != c[0]+i {
					t.Errorf("a chunk came apart: %v", c)
				}
			}
		}
	})
}

func TestUnorderedRaisesAFailureWhenItHappens(t *testing.T) {
	on(t, 2, func(t *testing.T, _ backend, ex futures.Executor) {
		held := scene{place: place{filepath.Join(t.TempDir(), "held"), newGate(t)}}
		// The first element stays out for good: an ordered map would wait for it.
		got, err := gather(futures.Map(within(t), ex, stage, []scene{held, {Fails: true}}, futures.Unordered()))
		if input := new(InputError); len(got) != 0 || !errors.As(err, &input) {
			t.Errorf("%v, %v", got, err)
		}
	})
}

func TestAFailureCancelsTheRestAndEndsWhatRuns(t *testing.T) {
	on(t, 1, func(t *testing.T, _ backend, ex futures.Executor) {
		for _, opts := range [][]futures.MapOption{nil, {futures.Unordered()}} {
			dir, g := t.TempDir(), newGate(t)
			scenes := []scene{{Fails: true}}
			for i := range 6 {
				scenes = append(scenes, scene{place: place{filepath.Join(dir, fmt.Sprint(i)), g}})
			}
			seq := futures.Map(within(t), ex, stage, scenes, opts...)
			eventually(t, "one has failed, one runs, the others wait", func() bool { return files(t, dir) == 1 && ex.Stats().Queued == 5 })
			if _, err := gather(seq); err == nil {
				t.Error("no error")
			}
			if got := result(t, submit(t, ex, square, 3)); got != 9 { // the gate is still shut
				t.Error(got)
			}
			if n := files(t, dir); n != 1 {
				t.Errorf("%d elements began after the failure", n-1)
			}
		}
	})
}

// Nobody reads the map, so nobody but the scheduler can keep the others from beginning.
func TestAfterAFailureThatEndsAMapNothingOfItBeginsAnyMore(t *testing.T) {
	on(t, 1, func(t *testing.T, _ backend, ex futures.Executor) {
		for _, chunk := range []int{1, 2} {
			dir, g := t.TempDir(), newGate(t)
			scenes := slices.Repeat([]scene{{Fails: true}}, chunk)
			for i := range 6 {
				scenes = append(scenes, scene{place: place{filepath.Join(dir, fmt.Sprint(i)), g}})
			}
			seq := futures.Map(within(t), ex, stage, scenes, futures.FailFast(), futures.WithChunkSize(chunk))
			comesToRest(t, ex)
			if n := files(t, dir); n != 0 {
				t.Errorf("chunks of %d: %d elements began after the failure", chunk, n)
			}
			if _, err := gather(seq); !errors.As(err, new(*InputError)) {
				t.Errorf("chunks of %d: the map ended with %v", chunk, err)
			}
		}
	})
}

func TestBufferAndChunkSizesInAnyCombination(t *testing.T) {
	on(t, 2, func(t *testing.T, _ backend, ex futures.Executor) {
		sizes := []int{1, 2, 9, 10, 11}
		for _, buffer := range sizes {
			for _, chunk := range sizes {
				opts := []futures.MapOption{futures.WithBufferSize(buffer), futures.WithChunkSize(chunk)}
				expect(t, squares(10), futures.Map(within(t), ex, square, upTo(10), opts...))
				expect(t, squares(10), futures.Map(within(t), ex, square, slices.Values(upTo(10)), opts...))
				pairs := futures.Zip(upTo(10), upTo(10))
				got, err := gather(futures.Starmap(within(t), ex, add, pairs, opts...))
				if err != nil || len(got) != 10 || got[9] != 18 {
					t.Error(got, err)
				}
				if got, err := gather(futures.Starmap(within(t), ex, pid, make([]struct{}, 10), opts...)); err != nil || len(got) != 10 {
					t.Errorf("no arguments: %v, %v", got, err)
				}
			}
		}
	})
}

func TestAShutdownWithCancelUnderAnOpenMapEndsItWithCancelled(t *testing.T) {
	on(t, 1, func(t *testing.T, _ backend, ex futures.Executor) {
		g := newGate(t)
		seq := futures.Map(within(t), ex, wait, []gate{"", g, "", ""})
		next, stop := iter.Pull2(seq)
		defer stop()
		if _, err, _ := next(); err != nil {
			t.Fatal(err)
		}
		eventually(t, "the second element runs", func() bool { return ex.Stats().Running == 1 && ex.Stats().Done == 1 })
		if err := ex.Shutdown(within(t), futures.NoWait(), futures.CancelFutures()); err != nil {
			t.Fatal(err)
		}
		g.open()
		if _, err, ok := next(); err != nil || !ok {
			t.Errorf("the running element: %v", err)
		}
		if _, err, _ := next(); !errors.Is(err, futures.ErrCancelled) {
			t.Errorf("the first cancelled element: %v", err)
		}
		if _, _, ok := next(); ok {
			t.Error("there was more after the error")
		}
	})
}

func TestResultsAreSinglePass(t *testing.T) {
	on(t, 1, func(t *testing.T, _ backend, ex futures.Executor) {
		for _, opts := range [][]futures.MapOption{nil, {futures.WithBufferSize(2)}} {
			seq := futures.Map(within(t), ex, square, upTo(5), opts...)
			expect(t, squares(5), seq)
			for _, err := range seq {
				if !errors.Is(err, futures.ErrInvalidState) {
					t.Errorf("read again: %v", err)
				}
			}
		}
	})
}

func TestAReaderThatStopsCancelsTheRestAndEndsWhatRuns(t *testing.T) {
	on(t, 1, func(t *testing.T, _ backend, ex futures.Executor) {
		g := newGate(t)
		for _, err := range futures.Map(within(t), ex, wait, []gate{"", g, g, g}) {
			if err != nil {
				t.Fatal(err)
			}
			break
		}
		// The gate stays shut: the one that ran was ended by its context, the others never began.
		if got := result(t, submit(t, ex, square, 3)); got != 9 {
			t.Error(got)
		}
	})
}

// leaveMark adds a byte to a file, and works for as long as a task that is sent ahead with others.
var leaveMark = futures.Register("behaviour.leaveMark", func(file string) (int, error) {
	f, err := os.OpenFile(file, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	_, err = f.Write([]byte{1})
	for begin := time.Now(); time.Since(begin) < 20*time.Microsecond; {
		continue
	}
	return 1, err
})

func TestAfterAMapHasEndedNothingThatWasSentAheadBegins(t *testing.T) {
	on(t, 1, func(t *testing.T, _ backend, ex futures.Executor) {
		name := filepath.Join(t.TempDir(), "marks")
		marks := func() int64 {
			info, err := os.Stat(name)
			if err != nil {
				t.Fatal(err)
			}
			return info.Size()
		}
		files := slices.Repeat([]string{name}, 2000)
		if _, err := gather(futures.Map(within(t), ex, leaveMark, files)); err != nil { // the function is short: many are sent at once
			t.Fatal(err)
		}
		for _, opts := range [][]futures.MapOption{nil, {futures.WithBufferSize(1000)}} {
			for range 10 {
				read := 0
				for _, err := range futures.Map(within(t), ex, leaveMark, files, opts...) {
					if err != nil {
						t.Fatal(err)
					}
					if read++; read == 50 {
						break
					}
				}
				begun := marks()
				comesToRest(t, ex)
				if now := marks(); now > begun+1 {
					t.Fatalf("%d tasks have begun since the map ended, beside the one that ran", now-begun-1)
				}
			}
		}
	})
}

func TestWhatASequenceYieldsAfterItsMapHasEndedIsNotSubmitted(t *testing.T) {
	on(t, 1, func(t *testing.T, _ backend, ex futures.Executor) {
		ended, over := make(chan struct{}), make(chan struct{})
		var input iter.Seq[int] = func(yield func(int) bool) {
			defer close(over)
			for i := range 3 {
				if !yield(i) {
					return
				}
			}
			<-ended // as if the next element took long to find
			yield(3)
		}
		for _, err := range futures.Map(within(t), ex, square, input) {
			if err != nil {
				t.Fatal(err)
			}
			break
		}
		before := ex.Stats().Submitted
		close(ended)
		<-over
		if got := ex.Stats().Submitted; got != before {
			t.Errorf("%d tasks were submitted after the map had ended", got-before)
		}
		result(t, submit(t, ex, square, 3))
	})
}

func TestTasksThatDoNotBeginBecauseTheirMapHasEndedCountAsCancelled(t *testing.T) {
	on(t, 1, func(t *testing.T, _ backend, ex futures.Executor) {
		xs := make([]int, 4000)
		for range 20 {
			read := 0
			for _, err := range futures.Map(within(t), ex, square, xs) {
				if err != nil {
					t.Fatal(err)
				}
				if read++; read == 50 {
					break
				}
			}
		}
		comesToRest(t, ex)
		s := ex.Stats()
		if s.Failed != 0 || s.Submitted != s.Done+s.Cancelled {
			t.Errorf("%d submitted, %d done, %d cancelled, %d failed", s.Submitted, s.Done, s.Cancelled, s.Failed)
		}
	})
}

func TestTheEndOfTheContextEndsAMapAndItsTasks(t *testing.T) {
	on(t, 1, func(t *testing.T, _ backend, ex futures.Executor) {
		g := newGate(t)
		ctx, cancel := context.WithCancel(t.Context())
		seq := futures.Map(ctx, ex, wait, []gate{g, g})
		eventually(t, "a task runs", func() bool { return ex.Stats().Running == 1 })
		cancel()
		if _, err := gather(seq); !errors.Is(err, context.Canceled) {
			t.Errorf("the map ended with %v", err)
		}
		if got := result(t, submit(t, ex, square, 3)); got != 9 {
			t.Error(got)
		}
	})
}

func TestAMapThatIsNeverReadStillRuns(t *testing.T) {
	on(t, 2, func(t *testing.T, _ backend, ex futures.Executor) {
		futures.Map(within(t), ex, square, upTo(50))
		if err := ex.Close(); err != nil {
			t.Fatal(err)
		}
		if s := ex.Stats(); s.Done != 50 {
			t.Errorf("stats %+v", s)
		}
	})
}

func TestMapAfterShutdownIsRefused(t *testing.T) {
	on(t, 1, func(t *testing.T, _ backend, ex futures.Executor) {
		result(t, submit(t, ex, square, 1))
		if err := ex.Close(); err != nil {
			t.Fatal(err)
		}
		for _, seq := range []iter.Seq2[int, error]{
			futures.Map(within(t), ex, square, upTo(3)),
			futures.Map(within(t), ex, square, slices.Values(upTo(3))),
		} {
			if _, err := gather(seq); !errors.Is(err, futures.ErrShutdown) {
				t.Error(err)
			}
		}
	})
}

func TestLargeElementsOfAMapKeepTheirBuffers(t *testing.T) {
	on(t, 2, func(t *testing.T, _ backend, ex futures.Executor) {
		var xs [][]float64
		for i := range 9 {
			x := make([]float64, 10+i*20000) // some below the threshold, some above
			x[0] = float64(i)
			xs = append(xs, x)
		}
		for _, chunk := range []int{1, 4} {
			got, err := gather(futures.Map(within(t), ex, double, xs, futures.WithChunkSize(chunk)))
			if err != nil || len(got) != len(xs) {
				t.Fatal(len(got), err)
			}
			for i, y := range got {
				if len(y) != len(xs[i]) || y[0] != 2*float64(i) {
					t.Errorf("element %d came back with %d numbers, the first %v", i, len(y), y[0])
				}
			}
		}
	})
}

func TestAMillionTinyElements(t *testing.T) {
	n := 1_000_000
	if testing.Short() || raceDetector {
		n = 100_000
	}
	on(t, 2, func(t *testing.T, _ backend, ex futures.Executor) {
		i := 0
		for v, err := range futures.Map(within(t), ex, square, upTo(n)) {
			if err != nil || v != i*i {
				t.Fatal(i, v, err)
			}
			i++
		}
		if i != n {
			t.Error(i)
		}
	})
}

func TestAShutdownUnderABufferedMapEndsItAfterWhatWasDrawn(t *testing.T) {
	on(t, 1, func(t *testing.T, _ backend, ex futures.Executor) {
		next, stop := iter.Pull2(futures.Map(within(t), ex, square, upTo(10), futures.WithBufferSize(3)))
		defer stop()
		if v, err, ok := next(); v != 0 || err != nil || !ok {
			t.Fatal(v, err, ok)
		}
		eventually(t, "three elements are drawn", func() bool { return ex.Stats().Submitted == 3 })
		mustClose(t, ex, futures.NoWait())
		for want := 1; want <= 2; want++ {
			if v, err, ok := next(); v != want*want || err != nil || !ok {
				t.Errorf("element %d was drawn before the shutdown: %d, %v, %v", want, v, err, ok)
			}
		}
		if _, err, ok := next(); !ok || !errors.Is(err, futures.ErrShutdown) {
			t.Errorf("the next pull: %v, %v", err, ok)
		}
		if _, _, ok := next(); ok {
			t.Error("there was more after the error")
		}
	})
}

func TestAMapDoesNotRetainWhatItHasDelivered(t *testing.T) {
	on(t, 1, func(t *testing.T, _ backend, ex futures.Executor) {
		for name, opts := range map[string][]futures.MapOption{
			"ordered": nil, "unordered": {futures.Unordered()}, "chunks": {futures.WithChunkSize(4)}, "buffered": {futures.WithBufferSize(2)},
		} {
			next, stop := iter.Pull2(futures.Map(within(t), ex, block, upTo(4), opts...))
			var delivered weak.Pointer[Block]
			if b, err, _ := next(); err != nil {
				t.Fatal(err)
			} else {
				delivered = weak.Make(b)
			}
			if _, err, _ := next(); err != nil {
				t.Fatal(err)
			}
			eventually(t, "the first result is let go: "+name, func() bool { // the goroutine that has settled it may be about to
				runtime.GC()
				return delivered.Value() == nil
			})
			stop()
		}
	})
}

func TestManyMapsAreReadInTurns(t *testing.T) {
	on(t, 2, func(t *testing.T, _ backend, ex futures.Executor) {
		var nexts []func() (int, error, bool)
		for range 8 {
			next, stop := iter.Pull2(futures.Map(within(t), ex, square, slices.Values(upTo(20))))
			defer stop()
			nexts = append(nexts, next)
		}
		for i := range 20 {
			for k, next := range nexts {
				if v, err, ok := next(); v != i*i || err != nil || !ok {
					t.Fatalf("map %d, element %d: %d, %v, %v", k, i, v, err, ok)
				}
			}
		}
	})
}
