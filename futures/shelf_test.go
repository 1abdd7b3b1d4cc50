package futures

import (
	"math/rand/v2"
	"runtime"
	"testing"
)

func TestAShelfGivesBackWhatWasPutThereInAnyOrder(t *testing.T) {
	for _, unordered := range []bool{false, true} {
		rnd := rand.New(rand.NewPCG(1, 2))
		s := shelf{chunk: 1, unordered: unordered}
		var all []incoming
		first := 0
		for range 5000 {
			a := incoming{first: first, n: 1 + rnd.IntN(3), local: rnd.IntN(10) == 0}
			if rnd.IntN(20) == 0 {
				a.n = 100
			}
			a.units = a.n
			if !a.local {
				a.data = make([]byte, rnd.IntN(40))
				if rnd.IntN(100) == 0 {
					a.data = make([]byte, rnd.IntN(largestShelf))
				}
				if rnd.IntN(200) == 0 {
					a.data = make([]byte, largestShelf+rnd.IntN(2))
				}
				for i := range a.data {
					a.data[i] = byte(rnd.Uint32())
				}
			}
			first += a.n
			all = append(all, a)
		}
		numbers := make([]int, len(all))
		for i, a := range all {
			if numbers[i] = a.first; unordered {
				numbers[i] = i
			}
		}
		// As workers answer: almost in order, some far ahead.
		order := rnd.Perm(len(all))
		for i := range order {
			if rnd.IntN(3) > 0 {
				order[i] = -1
			}
		}
		done := make([]bool, len(all))
		put := func(i int) {
			if i >= 0 && !done[i] {
				done[i] = true
				given := all[i]
				given.data = append([]byte(nil), given.data...)
				if s.put(numbers[i], given) {
					clear(given.data) // the frame is used again
				}
			}
		}
		read := 0
		for i := range all {
			put(order[i])
			put(i)
			for read < len(all) && done[read] && rnd.IntN(50) > 0 {
				got, ok := s.take(numbers[read])
				want := all[read]
				if !ok || got.first != want.first || got.n != want.n || got.units != want.units || got.local != want.local || string(got.data) != string(want.data) {
					t.Fatalf("arrival %d is %+v, %v, want %+v", read, got, ok, want)
				}
				if _, again := s.take(numbers[read]); again {
					t.Fatalf("arrival %d came twice", read)
				}
				read++
			}
		}
		for ; read < len(all); read++ {
			if got, ok := s.take(numbers[read]); !ok || string(got.data) != string(all[read].data) {
				t.Fatalf("arrival %d: %+v, %v", read, got, ok)
			}
		}
		if len(s.index) > 0 || len(s.rest) > 0 || len(s.pages) > 1 {
			t.Errorf("left behind: %d blocks, %d pages, %d others", len(s.index), len(s.pages), len(s.rest))
		}
	}
}

func TestAShelfWhoseReaderKeepsUpStaysSmall(t *testing.T) {
	s := shelf{chunk: 1}
	for i := range 100_000 {
		s.put(i, incoming{first: i, n: 1, units: 1, data: make([]byte, 100)})
		if _, ok := s.take(i); !ok {
			t.Fatal("it is not there")
		}
		if len(s.pages) > 2 || len(s.index) > 2 {
			t.Fatalf("after %d results there are %d pages and %d blocks", i, len(s.pages), len(s.index))
		}
	}
}

// An unread result used to keep the 4 KiB of the frame that had brought it.
func TestAnUnreadResultTakesAtMost32BytesBeyondItsOwn(t *testing.T) {
	for _, size := range []int{1, 9, 100, 1000, 3000} {
		const n = 20_000
		s := shelf{chunk: 1}
		before := heapInUse()
		for i := range n {
			frame := make([]byte, size, 4096)
			if !s.put(i, incoming{first: i, n: 1, units: 1, data: frame}) {
				t.Fatal("the frame is kept")
			}
		}
		each := float64(heapInUse()-before) / n
		if beyond := each - float64(size); beyond > 32 {
			t.Errorf("an unread result of %d bytes takes %.1f beyond", size, beyond)
		}
		runtime.KeepAlive(&s)
	}
}

func heapInUse() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}
