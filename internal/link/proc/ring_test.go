package proc

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"testing"
	"unsafe"

	"github.com/rankpool/rankpool/internal/link"
)

// rings returns both ends of a ring whose receiver is awake.
func rings() (sender, receiver *ring) {
	mem := make([]uint64, ringSize/8)
	raw := unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(mem))), ringSize)
	sender, receiver = newRing(raw), newRing(raw)
	receiver.awake.Store(1)
	return sender, receiver
}

func TestARingDeliversInOrderHoweverFullItIs(t *testing.T) {
	in, out := rings()
	r := rand.New(rand.NewPCG(1, 2))
	var sent [][]byte
	number := uint64(0)
	check := func() {
		f, ok, err := out.take(number - uint64(len(sent)) + 1)
		if !ok || err != nil || !bytes.Equal(f.Stream, sent[0]) {
			t.Fatalf("%d bytes, %v, %v; want %d", len(f.Stream), ok, err, len(sent[0]))
		}
		sent = sent[1:]
		link.PutBuffer(f.Stream)
	}
	for range 20000 {
		b := bytes.Repeat([]byte{byte(r.Uint32())}, r.IntN(1<<r.IntN(15)))
		for !in.put(number+1, link.Frame{Stream: b}) {
			if len(sent) == 0 {
				t.Fatalf("%d bytes do not fit into an empty ring", len(b))
			}
			check()
		}
		number++
		sent = append(sent, b)
	}
	for len(sent) > 0 {
		check()
	}
	if out.some() {
		t.Error("the ring is not empty at the end")
	}
}

func TestARingTakesNothingThatIsLongOrForASleeper(t *testing.T) {
	in, out := rings()
	if in.put(1, link.Frame{Stream: make([]byte, longestRung+1)}) {
		t.Error("it took a stream that is too long")
	}
	out.awake.Store(0)
	if in.put(1, link.Frame{}) || out.some() {
		t.Error("it took a frame for a receiver that sleeps")
	}
}

func TestAFrameWaitsInTheRingForEarlierOnes(t *testing.T) {
	in, out := rings()
	in.put(3, link.Frame{Stream: []byte("third")})
	if _, ok, err := out.take(2); ok || err != nil {
		t.Fatalf("the third came as the second: %v, %v", ok, err)
	}
	if f, ok, err := out.take(3); !ok || err != nil || string(f.Stream) != "third" {
		t.Fatalf("%q, %v, %v", f.Stream, ok, err)
	}
}

func TestDamagedMemoryIsAnErrorAndNothingWorse(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	for range 20000 {
		in, out := rings()
		for n := range uint64(r.IntN(5)) {
			in.put(n+1, link.Frame{Stream: make([]byte, r.IntN(300))})
		}
		for range 1 + r.IntN(4) {
			out.data[r.IntN(400)] = byte(r.Uint32())
		}
		if r.IntN(3) == 0 {
			out.tail.Store(r.Uint64())
		}
		for n := uint64(1); n < 10; n++ {
			f, ok, err := out.take(n)
			if err != nil && !errors.Is(err, errWire) || ok && len(f.Stream) > longestRung {
				t.Fatalf("%v, %d bytes", err, len(f.Stream))
			}
			if !ok {
				break
			}
		}
	}
}
