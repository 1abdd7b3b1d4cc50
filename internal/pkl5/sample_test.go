package pkl5_test

import (
	"fmt"
	"math"
	"slices"
	"testing"
	"unsafe"

	"github.com/rankpool/rankpool/internal/pkl5"
)

// memory is what a slice holds.
func memory[T any](s []T) []byte {
	return unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(s))), uintptr(len(s))*unsafe.Sizeof(s[0]))
}

func one(b []byte) uint64 { return pkl5.Sample([][]byte{b}) }

// refill checks that a slice of n elements whose every element gets another value has another fingerprint.
func refill[T any](t *testing.T, n int, value func(round, i int) T) {
	t.Helper()
	s := make([]T, n)
	seen := map[uint64]int{}
	for round := range 5 {
		for i := range s {
			s[i] = value(round, i)
		}
		h := one(memory(s))
		if h != one(slices.Clone(memory(s))) {
			t.Fatalf("%d of %T: equal memory has two fingerprints", n, s)
		}
		if before, found := seen[h]; found {
			t.Errorf("%d of %T: round %d has the fingerprint of round %d", n, s, round, before)
		}
		seen[h] = round
	}
}

func TestABufferThatIsFilledAgainHasAnotherFingerprint(t *testing.T) {
	type row struct {
		Name  [3]uint64 // never changes
		Value float64
		Flags [5]uint64
	}
	for _, n := range []int{1, 7, 63, 64, 65, 255, 1000, 4096, 16 << 10, 100_000, 1 << 18} {
		refill(t, n, func(round, _ int) byte { return byte(round) })
		refill(t, n, func(round, i int) uint8 { return uint8(round + i) })
		refill(t, n, func(round, i int) uint16 { return uint16(round ^ i&1) })
		refill(t, n, func(round, _ int) int32 { return int32(round) })
		refill(t, n, func(round, i int) int64 { return int64(i + round) })
		refill(t, n, func(round, _ int) float64 { return float64(round) }) // the low bytes are zero
		refill(t, n, func(round, i int) float64 { return math.Sqrt(float64(i + round)) })
		refill(t, n, func(round, _ int) complex128 { return complex(1, float64(round)) })
		refill(t, n, func(round, i int) row { return row{Value: float64(round), Flags: [5]uint64{uint64(i)}} })
	}
}

func TestAPartThatIsFilledAgainIsFound(t *testing.T) {
	const part = 128 << 10
	b := make([]byte, 1_300_000)
	before := one(b)
	for from := 0; from+part <= len(b); from += 997 {
		for i := range part {
			b[from+i] = 1
		}
		if one(b) == before {
			t.Errorf("128 KiB from byte %d on changed unseen", from)
		}
		clear(b[from : from+part])
	}
}

func TestTheFirstAndTheLastBytesAreLookedAt(t *testing.T) {
	for _, n := range []int{1, 8, 63, 64, 100, 127, 128, 64<<10 - 1, 64 << 10, 64<<10 + 1, 64<<10 + 65, 1 << 20, 1<<20 + 7} {
		b := make([]byte, n)
		before := one(b)
		for _, at := range []int{0, min(63, n-1), max(0, n-64), n - 1} {
			b[at] ^= 0x80
			if one(b) == before {
				t.Errorf("byte %d of %d changed unseen", at, n)
			}
			b[at] ^= 0x80
		}
	}
}

func TestWhereASegmentEndsIsPartOfTheFingerprint(t *testing.T) {
	zeros := make([]byte, 1000)
	seen := map[uint64]string{}
	for _, lengths := range [][]int{{}, {0}, {0, 0}, {1}, {2}, {64}, {65}, {100, 50}, {50, 100}, {150}, {100, 50, 0}} {
		var segments [][]byte
		for _, n := range lengths {
			segments = append(segments, zeros[:n])
		}
		h := pkl5.Sample(segments)
		if before, found := seen[h]; found {
			t.Errorf("segments of %v have the fingerprint of %s", lengths, before)
		}
		seen[h] = fmt.Sprint(lengths)
	}
}

// Beside a copy, since the fingerprint is to be cheap in comparison: of memory that is in no cache, as what was just
// computed is not.
func BenchmarkSample(b *testing.B) {
	for _, mib := range []int{1, 16, 256} {
		size := mib << 20
		pool := make([]byte, max(size, 512<<20)) // more than the caches hold
		for i := 0; i < len(pool); i += 4096 {
			pool[i] = 1
		}
		to := make([]byte, size)
		copy(to, pool)
		n := len(pool) / size
		run := func(name string, f func(from []byte)) {
			b.Run(fmt.Sprintf("%s/%dMiB", name, mib), func(b *testing.B) {
				for i := 0; b.Loop(); i++ {
					at := i % n * size
					f(pool[at : at+size])
				}
				b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(mib), "ns/MiB")
			})
		}
		run("sample", func(from []byte) { sink += one(from) })
		run("copy", func(from []byte) { copy(to, from) })
	}
}

var sink uint64
