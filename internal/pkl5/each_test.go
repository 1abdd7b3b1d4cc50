package pkl5_test

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rankpool/rankpool/internal/pkl5"
)

func each[T comparable](t *testing.T, xs []T) {
	t.Helper()
	c, err := pkl5.Of[T]()
	if err != nil {
		t.Fatal(err)
	}
	if !c.Number() {
		t.Fatalf("%T is no number", xs)
	}
	var want []byte
	for i := range xs {
		var e pkl5.Encoder
		if err := c.Encode(&e, &xs[i]); err != nil {
			t.Fatal(err)
		}
		want = append(append(want, byte(len(e.Stream))), e.Stream...)
	}
	var alone []byte
	for _, x := range xs {
		begin := len(alone)
		alone = c.AppendOne(alone, x)
		if got, ok := c.One(alone[begin+1:]); !ok || got != x && x == x {
			t.Fatalf("%v came back as %v, %v", x, got, ok)
		}
	}
	if !cmp.Equal(alone, want) {
		t.Fatalf("%d numbers appended one by one are not what they are encoded", len(xs))
	}
	e := pkl5.Encoder{Stream: []byte("before")}
	c.EncodeEach(&e, xs)
	if got := e.Stream[len("before"):]; !cmp.Equal(got, want) || string(e.Stream[:6]) != "before" {
		t.Fatalf("%d numbers together are not what they are one by one", len(xs))
	}
	for _, shift := range []uint{0, 2} {
		b := append([]byte(nil), want...)
		for i := 0; i < len(b); i += 1 + int(b[i]>>shift) {
			b[i] <<= shift
		}
		got := make([]T, len(xs))
		n, size := c.DecodeEach(append(b, make([]byte, 16)...), shift, got)
		if n != len(xs) || size != len(b) || !cmp.Equal(got, xs, cmp.Comparer(func(a, b T) bool { return a == b || a != a && b != b })) {
			t.Errorf("%d numbers of %d in %d bytes of %d were read", n, len(xs), size, len(b))
		}
		n, size = c.DecodeEach(b[:len(b)-1], shift, got)
		if n >= len(xs) || size >= len(b) {
			t.Errorf("%d numbers of %d were read of a stream that is cut", n, len(xs))
		}
	}
}

func TestNumbersTogetherAreWhatTheyAreOneByOne(t *testing.T) {
	ints := []int64{0, 1, -1, 123, 124, -124, -125, math.MaxInt64, math.MinInt64}
	var floats []float64
	var times []time.Duration
	for range 1000 {
		n := rand.Int64() >> rand.IntN(64)
		ints, times = append(ints, n, -n), append(times, time.Duration(n))
		floats = append(floats, math.Float64frombits(uint64(n)))
	}
	each(t, ints)
	each(t, times)
	each(t, floats)
	if c, err := pkl5.Of[int](); err != nil {
		t.Fatal(err)
	} else if c.Number() { // where it has 64 bits
		each(t, []int{0, 1, -1, 123, 124, -124, -125, math.MaxInt, math.MinInt})
	}
}

func TestNumbersTogetherStopAtWhatIsNoNumber(t *testing.T) {
	c, err := pkl5.Of[int64]()
	if err != nil {
		t.Fatal(err)
	}
	dst := make([]int64, 4)
	pad := make([]byte, 16)
	for name, b := range map[string][]byte{
		"a length that is too short": {1, 2, 1, 0xF9, 1, 2}, "one that is too long": {1, 2, 3, 4, 0},
		"none": {1, 2, 0}, "that of another form": {1, 2, 0x81, 1},
	} {
		if n, size := c.DecodeEach(append(b, pad...), 0, dst); n != 1 || size != 2 || dst[0] != 1 {
			t.Errorf("%s: %d numbers in %d bytes", name, n, size)
		}
	}
}

func TestOneNumberIsWhatDecodeFindsInTheSameBytes(t *testing.T) {
	c, err := pkl5.Of[int64]()
	if err != nil {
		t.Fatal(err)
	}
	b := make([]byte, 12)
	for range 200_000 {
		for i := range b {
			b[i] = byte(rand.Uint32())
		}
		if rand.IntN(4) > 0 {
			b[0] |= 0xF8 // as long numbers begin
		}
		in := b[:rand.IntN(len(b))]
		var d pkl5.Decoder
		var want int64
		d.Reset(in, nil)
		err := c.Decode(&d, &want)
		whole := err == nil && d.Len() == 0
		if got, ok := c.One(in); ok && (!whole || got != want) {
			t.Fatalf("%v is %d, and for Decode %d (%v, %d bytes left)", in, got, want, err, d.Len())
		}
	}
}
