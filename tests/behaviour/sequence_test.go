package behaviour_test

import (
	"context"
	"errors"
	"iter"
	"runtime"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rankpool/rankpool/futures"
)

// countsDrawn is an endless sequence that counts what is drawn.
func countsDrawn(drawn *atomic.Int64) iter.Seq[int] {
	return func(yield func(int) bool) {
		for i := 0; yield(i); i++ {
			drawn.Add(1)
		}
	}
}

func TestAnEndlessSequenceIsDrawnAWindowAheadOnly(t *testing.T) {
	on(t, 2, func(t *testing.T, _ backend, ex futures.Executor) {
		var drawn atomic.Int64
		endless, read := countsDrawn(&drawn), 0
		for v, err := range futures.Map(within(t), ex, square, endless) {
			if err != nil || v != read*read {
				t.Fatal(v, err)
			}
			if read++; read == 1000 {
				break
			}
		}
		if n := drawn.Load(); n > 1000+8*256 { // at most 256 tiny ones for each of at most 8 workers
			t.Errorf("%d elements were drawn for 1000 results", n)
		}
		drawn.Store(0)
		for _, err := range futures.Map(within(t), ex, square, endless, futures.WithBufferSize(3)) {
			if err != nil {
				t.Error(err)
			}
			break
		}
		if n := drawn.Load(); n > 3 {
			t.Errorf("%d elements were drawn ahead of the first result, the buffer is 3", n)
		}
	})
}

// lasting takes 300 µs.
var lasting = futures.Register("lasting", func(x int) (int, error) {
	for begin := time.Now(); time.Since(begin) < 300*time.Microsecond; {
	}
	return x, nil
})

// What waits costs its memory, and is drawn in vain if the loop ends.
func TestASequenceOfShortTasksIsDrawnAsFarAheadAsTheyTakeTime(t *testing.T) {
	on(t, 2, func(t *testing.T, _ backend, ex futures.Executor) {
		var drawn atomic.Int64
		endless, read, most := countsDrawn(&drawn), 0, int64(0)
		for v, err := range futures.Map(within(t), ex, lasting, endless) {
			if err != nil || v != read {
				t.Fatal(v, err)
			}
			read++
			if most = max(most, drawn.Load()-int64(read)); read == 1000 {
				break
			}
		}
		if most > 8*4*4 { // for each of at most 8 workers four batches of a millisecond
			t.Errorf("%d elements were drawn that had no result", most)
		}
	})
}

func TestASequenceThatPanicsDoesSoInTheReaderAfterTheResultsBeforeIt(t *testing.T) {
	on(t, 1, func(t *testing.T, _ backend, ex futures.Executor) {
		input := func(yield func(int) bool) {
			yield(1)
			yield(2)
			panic("input")
		}
		var got []int
		func() {
			defer func() {
				if v := recover(); v != "input" {
					t.Errorf("recovered %v", v)
				}
			}()
			for v, err := range futures.Map(within(t), ex, square, iter.Seq[int](input)) {
				if err != nil {
					t.Errorf("the reader got %v", err)
				}
				got = append(got, v)
			}
			t.Error("the map ended without the panic")
		}()
		if !slices.Equal(got, []int{1, 4}) {
			t.Errorf("before the panic came %v", got)
		}
		if got := result(t, submit(t, ex, square, 3)); got != 9 {
			t.Error(got)
		}
	})
}

func TestASequenceThatEndsItsGoroutineEndsTheReaders(t *testing.T) {
	on(t, 1, func(t *testing.T, _ backend, ex futures.Executor) {
		ended := make(chan []int)
		go func() {
			var got []int
			defer func() { ended <- got }()
			for v, err := range futures.Map(within(t), ex, square, iter.Seq[int](func(yield func(int) bool) {
				yield(2)
				runtime.Goexit()
			})) {
				if err != nil {
					t.Error(err)
				}
				got = append(got, v)
			}
			got = nil
		}()
		if got := <-ended; !slices.Equal(got, []int{4}) {
			t.Errorf("before the end came %v", got)
		}
	})
}

func TestResultsAreReadWhileTheSequenceWaits(t *testing.T) {
	on(t, 1, func(t *testing.T, _ backend, ex futures.Executor) {
		for name, opts := range map[string][]futures.MapOption{"ordered": nil, "unordered": {futures.Unordered()}} {
			next := make(chan int, 1)
			next <- 1 // each further element is the last result: a loop through the map
			var got []int
			for v, err := range futures.Map(within(t), ex, plusOne, iter.Seq[int](func(yield func(int) bool) {
				for x := range next {
					if !yield(x) {
						return
					}
				}
			}), opts...) {
				if err != nil {
					t.Fatal(name, err)
				}
				if got = append(got, v); len(got) == 20 {
					close(next)
				} else {
					next <- v
				}
			}
			if len(got) != 20 || got[19] != 21 {
				t.Error(name, got)
			}
		}
	})
}

func TestASequenceThatNeverGoesOnDoesNotHoldTheEndOfTheContextUp(t *testing.T) {
	on(t, 1, func(t *testing.T, _ backend, ex futures.Executor) {
		ctx, cancel := context.WithCancel(within(t))
		defer cancel()
		over := make(chan struct{})
		left := make(chan struct{})
		n := 0
		for v, err := range futures.Map(ctx, ex, square, iter.Seq[int](func(yield func(int) bool) {
			defer close(left)
			if !yield(3) { // the map was faster
				return
			}
			<-over
			if yield(4) {
				t.Error("the sequence was drawn after the end")
			}
		})) {
			switch n++; {
			case n == 1 && v == 9 && err == nil:
				cancel()
			case n == 2 && errors.Is(err, context.Canceled):
			default:
				t.Errorf("result %d: %v, %v", n, v, err)
			}
		}
		if n != 2 {
			t.Errorf("%d results", n)
		}
		close(over)
		<-left
	})
}

func TestAReaderThatStopsLetsTheSequenceCleanUpFirst(t *testing.T) {
	on(t, 1, func(t *testing.T, _ backend, ex futures.Executor) {
		full, clean := make(chan struct{}), false
		for _, err := range futures.Map(within(t), ex, square, iter.Seq[int](func(yield func(int) bool) {
			defer func() { clean = true }()
			yield(0)
			close(full)
			for yield(1) {
			}
		}), futures.WithBufferSize(2)) {
			if err != nil {
				t.Fatal(err)
			}
			<-full
			eventually(t, "two elements are drawn", func() bool { return ex.Stats().Submitted == 2 })
			break
		}
		if !clean {
			t.Error("the sequence has not cleaned up")
		}
	})
}

// Gated is an argument whose encoding waits, or ends its goroutine.
type Gated struct{ N int }

var mayEncode chan struct{} // what the encoding of 0 waits for; of a test's process only

// MarshalBinary waits until it may.
func (g Gated) MarshalBinary() ([]byte, error) {
	switch {
	case g.N < 0:
		runtime.Goexit()
	case g.N == 0 && mayEncode != nil:
		<-mayEncode
	}
	return []byte{byte(g.N)}, nil
}

// UnmarshalBinary decodes one byte.
func (g *Gated) UnmarshalBinary(b []byte) error { g.N = int(b[0]); return nil }

var numberOfGated = futures.Register("numberOfGated", func(g Gated) (int, error) { return g.N, nil })

func TestASequenceIsDrawnWhileWhatItGaveIsEncoded(t *testing.T) {
	for _, chunk := range []int{1, 3} {
		on(t, 1, func(t *testing.T, _ backend, ex futures.Executor) {
			mayEncode = make(chan struct{})
			defer func() { mayEncode = nil }()
			var drawn atomic.Int64
			open := make(chan struct{})
			go func() {
				defer close(open)
				defer close(mayEncode)
				eventually(t, "the window is drawn", func() bool { return drawn.Load() == int64(20*chunk) })
			}()
			n := 0
			for v, err := range futures.Map(within(t), ex, numberOfGated, iter.Seq[Gated](func(yield func(Gated) bool) {
				for i := range 100 {
					drawn.Add(1)
					if !yield(Gated{i}) {
						return
					}
				}
			}), futures.WithBufferSize(20), futures.WithChunkSize(chunk)) {
				if n == 0 {
					<-open
				}
				if err != nil || v != n {
					t.Fatal(n, v, err)
				}
				n++
			}
			if n != 100 {
				t.Errorf("%d results", n)
			}
		})
	}
}

func TestAnArgumentWhoseEncodingEndsItsGoroutineEndsThatOfTheReaderAfterTheResultsBeforeIt(t *testing.T) {
	on(t, 1, func(t *testing.T, b backend, ex futures.Executor) {
		if b.shares {
			return // nothing is encoded
		}
		var got []int
		returned := false
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			for v, err := range futures.Map(within(t), ex, numberOfGated, iter.Seq[Gated](func(yield func(Gated) bool) {
				for i := 1; yield(Gated{i % 3}) && i < 2; i++ {
				}
				eventually(t, "what came before is submitted", func() bool { return ex.Stats().Submitted == 2 })
				for yield(Gated{-1}) {
				}
			})) {
				if err != nil {
					t.Error(err)
				}
				got = append(got, v)
			}
			returned = true
		}()
		<-ended
		if returned || !slices.Equal(got, []int{1, 2}) {
			t.Errorf("returned %v after %v", returned, got)
		}
	})
}
