package linktest

import (
	"bytes"
	"encoding/binary"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
	"unsafe"

	"github.com/google/go-cmp/cmp"

	"github.com/rankpool/rankpool/internal/link"
)

func testOrder(t *testing.T, h Harness) {
	fx := started(t, h, 1)
	const n = 2000
	for i := range uint64(n) {
		fx.Send(0, numbers(verbEcho, i))
	}
	for i := range uint64(n) {
		if got := binary.LittleEndian.Uint64(fx.frame(0).Stream[1:]); got != i {
			t.Fatalf("frame %d arrived as number %d", got, i)
		}
	}
}

func testEmpty(t *testing.T, h Harness) {
	fx := started(t, h, 1)
	f := command(verbEcho)
	f.Segments = [][]byte{nil, {}, []byte("x"), {}}
	fx.Send(0, f)
	fx.Send(0, command(verbEcho))
	got := fx.frame(0)
	var lengths []int
	for _, s := range got.Segments {
		lengths = append(lengths, len(s))
	}
	if diff := cmp.Diff([]int{0, 0, 1, 0}, lengths); diff != "" {
		t.Errorf("lengths of the segments (-want +got):\n%s", diff)
	}
	if got := fx.frame(0); len(got.Stream) != 1 || len(got.Segments) != 0 {
		t.Errorf("a frame of one byte came back with %d bytes and %d segments", len(got.Stream), len(got.Segments))
	}

	// The other way round: a frame without a stream, which Worker sends as a burst of one without segments' content.
	fx.Send(0, numbers(verbBurst, 1, 0))
	if got := fx.frame(0); len(got.Segments) != 1 || len(got.Segments[0]) != 0 {
		t.Errorf("want one empty segment, got %d segments", len(got.Segments))
	}
}

func testLargeSegments(t *testing.T, h Harness) {
	size := 64 << 20
	if h.Small {
		size = 8 << 20
	}
	fx := started(t, h, 1)
	big := pattern(size+3, 1)
	f := command(verbEcho)
	f.Segments = [][]byte{big, {}, pattern(1<<20, 2)}
	fx.Send(0, f)
	fx.Send(0, text(verbEcho, "behind"))
	equalSegments(t, fx.frame(0).Segments, [][]byte{big, {}, pattern(1<<20, 2)})
	if got := string(fx.frame(0).Stream); got != "ebehind" {
		t.Errorf("the frame behind a large one is %q", got)
	}
}

func testManySegments(t *testing.T, h Harness) {
	fx := started(t, h, 1)
	f := command(verbEcho)
	for i := range 5000 {
		f.Segments = append(f.Segments, pattern(i%97, byte(i)))
	}
	fx.Send(0, f)
	equalSegments(t, fx.frame(0).Segments, f.Segments)
}

func testLargeStream(t *testing.T, h Harness) {
	fx := started(t, h, 1)
	want := append([]byte{verbEcho}, pattern(10<<20, 7)...)
	fx.Send(0, link.Frame{Stream: bytes.Clone(want), Segments: [][]byte{pattern(100, 1)}})
	got := fx.frame(0)
	if !bytes.Equal(got.Stream, want) {
		t.Errorf("a stream of %d bytes came back different, with %d bytes", len(want), len(got.Stream))
	}
	equalSegments(t, got.Segments, [][]byte{pattern(100, 1)})
}

func testOwnership(t *testing.T, h Harness) {
	fx := started(t, h, 1)
	sizes := []int{1, 2, 4, 6, 8, 12, 16, 24, 40, 1000, 4096, 65536, 100_000, 1 << 20}
	var segments [][]byte
	for _, n := range sizes {
		segments = append(segments, pattern(n, byte(n)))
	}
	want := make([][]byte, len(segments))
	for i, s := range segments {
		want[i] = bytes.Clone(s)
	}
	for range 2 {
		f := command(verbEcho)
		f.Segments = segments
		fx.Send(0, f)
	}
	first, second := fx.frame(0), fx.frame(0)
	for _, s := range first.Segments {
		align := min(len(s)&-len(s), 8) // an element size that divides the length
		if addr := uintptr(unsafe.Pointer(unsafe.SliceData(s))); addr%uintptr(align) != 0 {
			t.Errorf("a segment of %d bytes is at %#x, want a multiple of %d", len(s), addr, align)
		}
		clear(s)
		_ = append(s[:len(s):cap(s)], 1) // capacity beyond the length belongs to the receiver too
	}
	equalSegments(t, segments, want)
	equalSegments(t, second.Segments, want)
}

func testSendNeverBlocks(t *testing.T, h Harness) {
	fx := started(t, h, 1)
	release := fx.hold(0)
	const n = 1000
	payload := pattern(64<<10, 3)
	fx.within("1000 Sends to a worker that does not receive", func() {
		for i := range uint64(n) {
			f := numbers(verbEcho, i)
			if i%2 == 0 {
				f.Segments = [][]byte{payload}
			} else {
				f.Stream = append(f.Stream, payload...)
			}
			fx.Send(0, f)
		}
	})
	release()
	for i := range uint64(n) {
		f := fx.frame(0)
		if got := binary.LittleEndian.Uint64(f.Stream[1:]); got != i {
			t.Fatalf("frame %d arrived as number %d", got, i)
		}
		content := f.Stream[9:]
		if i%2 == 0 {
			content = f.Segments[0]
		}
		if !bytes.Equal(content, payload) {
			t.Fatalf("frame %d arrived with another content", i)
		}
	}
}

func testBothWays(t *testing.T, h Harness) {
	fx := started(t, h, 1)
	const n, size = 8, 4 << 20
	payload := pattern(size, 5)
	fx.Send(0, numbers(verbBurst, n, size))
	for range n {
		f := command(verbEcho)
		f.Segments = [][]byte{payload}
		fx.Send(0, f)
	}
	var echoes, bursts int
	for range 2 * n {
		switch f := fx.frame(0); f.Stream[0] {
		case verbEcho:
			echoes++
			equalSegments(t, f.Segments, [][]byte{payload})
		case verbBurst:
			checkBurst(t, f, size)
			bursts++
		}
	}
	if echoes != n || bursts != n {
		t.Errorf("%d echoes and %d frames of the worker's own, want %d of each", echoes, bursts, n)
	}
}

// checkBurst returns who sent a frame of verbBurst and which it is.
func checkBurst(t *testing.T, f link.Frame, size int) (sender int, i uint64) {
	t.Helper()
	if len(f.Stream) != 17 || len(f.Segments) != 1 {
		t.Fatalf("a frame with %d bytes and %d segments, want 17 and 1", len(f.Stream), len(f.Segments))
	}
	sender, i = int(binary.LittleEndian.Uint64(f.Stream[1:])), binary.LittleEndian.Uint64(f.Stream[9:])
	if !bytes.Equal(f.Segments[0], bytes.Repeat([]byte{byte(i) ^ byte(sender)}, size)) {
		t.Fatalf("frame %d of sender %d arrived with another content", i, sender)
	}
	return sender, i
}

func testConcurrentWorkerSends(t *testing.T, h Harness) {
	fx := started(t, h, 1)
	const n, size = 50, 20_000
	fx.Send(0, numbers(verbCrowd, n, size))
	var next [crowd]uint64
	for range n * crowd {
		sender, i := checkBurst(t, fx.frame(0), size)
		if i != next[sender] {
			t.Fatalf("sender %d: frame %d, want %d", sender, i, next[sender])
		}
		next[sender]++
	}
}

func testConcurrentSends(t *testing.T, h Harness) {
	const slots, senders, n = 4, 8, 50
	fx := started(t, h, slots)
	var sends sync.WaitGroup
	for s := range uint64(senders) {
		sends.Go(func() {
			for i := range uint64(n) {
				for w := range slots {
					f := numbers(verbEcho, s, i)
					f.Segments = [][]byte{pattern(int(10*i), byte(s))}
					fx.Send(w, f)
				}
			}
		})
	}
	for w := range slots {
		var next [senders]uint64
		for range senders * n {
			f := fx.frame(w)
			s, i := binary.LittleEndian.Uint64(f.Stream[1:]), binary.LittleEndian.Uint64(f.Stream[9:])
			if i != next[s] {
				t.Fatalf("slot %d, sender %d: frame %d, want %d", w, s, i, next[s])
			}
			next[s]++
			equalSegments(t, f.Segments, [][]byte{pattern(int(10*i), byte(s))})
		}
	}
	sends.Wait()
}

func testStress(t *testing.T, h Harness) {
	const slots, rounds, window = 2, 300, 16
	fx := started(t, h, slots)
	var pairs sync.WaitGroup
	for w := range slots {
		pairs.Go(func() {
			r := rand.New(rand.NewPCG(1, uint64(w)))
			var sent []link.Frame
			check := func() {
				e := fx.next(w)
				if e.loss != nil {
					t.Errorf("slot %d was lost: %v", w, e.loss.Err)
					return
				}
				if !bytes.Equal(e.frame.Stream, sent[0].Stream) || !sameSegments(e.frame.Segments, sent[0].Segments) {
					t.Errorf("slot %d: a frame came back different", w)
				}
				sent = sent[1:]
				link.PutBuffer(e.frame.Stream)
			}
			for range rounds {
				f := command(verbEcho, pattern(r.IntN(1<<r.IntN(18)), byte(w))...)
				for range r.IntN(4) {
					f.Segments = append(f.Segments, pattern(r.IntN(1<<r.IntN(19)), byte(r.Uint32())))
				}
				sent = append(sent, link.Frame{Stream: bytes.Clone(f.Stream), Segments: f.Segments})
				fx.Send(w, f)
				if len(sent) == window {
					check()
				}
			}
			for len(sent) > 0 && !t.Failed() {
				check()
			}
		})
	}
	pairs.Wait()
}

// hold makes a worker stop receiving, and returns what lets it go on.
func (fx *fixture) hold(w int) (release func()) {
	fx.t.Helper()
	path := filepath.Join(fx.dir, "release"+strconv.Itoa(w))
	fx.Send(w, text(verbHold, path))
	fx.frame(w)
	release = func() {
		if err := os.WriteFile(path, nil, 0o600); err != nil {
			fx.t.Error(err)
		}
	}
	// Before the fixture closes the group: a worker that cannot be killed must be let go, or Close waits for it.
	fx.t.Cleanup(release)
	return release
}

func pattern(n int, seed byte) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(i>>8) ^ byte(i)*31 ^ seed
	}
	return b
}

func sameSegments(a, b [][]byte) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if !bytes.Equal(a[i], b[i]) {
			return false
		}
	}
	return true
}

func equalSegments(t *testing.T, got, want [][]byte) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%d segments, want %d", len(got), len(want))
	}
	for i := range got {
		if !bytes.Equal(got[i], want[i]) {
			t.Errorf("segment %d (%d bytes) arrived with another content or length (%d)", i, len(want[i]), len(got[i]))
		}
	}
}
