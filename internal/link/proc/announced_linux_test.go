package proc

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"math"
	"os"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"testing"

	"github.com/rankpool/rankpool/internal/link"
)

// resident is how much memory this process takes.
func resident(t *testing.T) uint64 {
	t.Helper()
	b, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		t.Fatal(err)
	}
	pages, err := strconv.ParseUint(strings.Fields(string(b))[1], 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return pages * uint64(os.Getpagesize())
}

// header is the beginning of a frame that announces so much.
func header(kind uint32, stream uint64, segments ...uint64) []byte {
	b := binary.LittleEndian.AppendUint32(nil, kind)
	b = binary.LittleEndian.AppendUint32(b, uint32(len(segments)))
	b = binary.LittleEndian.AppendUint64(b, stream)
	b = binary.LittleEndian.AppendUint64(b, 0) // no mark
	for _, n := range segments {
		b = binary.LittleEndian.AppendUint64(b, n)
	}
	return b
}

func TestWhatIsAnnouncedTakesNoMemoryBeforeItComes(t *testing.T) {
	const much = min(math.MaxInt/4, 2<<30) // addresses of 32 bits count no more
	defer debug.SetGCPercent(debug.SetGCPercent(-1))
	for name, c := range map[string]struct {
		wire []byte
		came uint64
	}{
		"a stream":              {header(kindFrame, much), 0},
		"a segment":             {header(kindFrame, 0, much), 0},
		"a segment and a bit":   {append(header(kindFrame, 0, much), make([]byte, 8<<20)...), 8 << 20},
		"a segment after small": {append(header(kindFrame, 0, 5, much), "small"...), 5},
	} {
		runtime.GC()
		before := resident(t)
		_, _, err := newReader(bytes.NewReader(c.wire), math.MaxInt/2).frame()
		if !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Fatalf("%s: %v", name, err)
		}
		if now := resident(t); now > before+c.came+32<<20 {
			t.Errorf("%s: %d MiB came, and %d MiB were taken", name, c.came>>20, (now-before)>>20)
		}
	}
}

func TestWhatIsShownOfAPlaceWithoutMemoryTakesNone(t *testing.T) {
	d, ours := new(handover), make([]byte, ringSize)
	*d = newRing(ours).handover
	d.offer()
	s := newSource(d, os.Getpid(), math.MaxInt/2)
	s.probe()
	if d.able.Load() == 0 {
		t.Skip("this process cannot read its own memory here")
	}
	d.shown.Store(1)
	table := binary.LittleEndian.AppendUint64(nil, 1<<29)
	table = binary.LittleEndian.AppendUint64(table, 4096) // the first pages are never mapped
	before := resident(t)
	if _, err := s.fetch(table, 0); err == nil {
		t.Fatal("it was fetched")
	}
	if now := resident(t); now > before+64<<20 {
		t.Errorf("%d MiB were taken", (now-before)>>20)
	}
}

func TestLengthsThatNoIntCanCountAreRefused(t *testing.T) {
	for name, wire := range map[string][]byte{
		"a stream":     header(kindFrame, math.MaxUint64),
		"a segment":    header(kindFrame, 0, math.MaxUint64),
		"half of all":  header(kindFrame, 0, math.MaxInt/2+1),
		"many at once": header(kindFrame, 0, math.MaxInt/4, math.MaxInt/4, math.MaxInt/4),
	} {
		if _, _, err := newReader(bytes.NewReader(wire), math.MaxInt/2).frame(); !errors.Is(err, errWire) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func FuzzRing(f *testing.F) {
	mem := make([]byte, ringSize)
	sender := newRing(mem)
	sender.awake.Store(1)
	sender.put(1, link.Frame{Stream: []byte("stream")})
	sender.put(3, link.Frame{Stream: []byte("later")})
	f.Add(mem[ringMarks:ringMarks+100], uint64(96), uint64(0), uint64(1))
	f.Add(binary.LittleEndian.AppendUint32(nil, ringSkip), uint64(ringData+48), uint64(0), uint64(1))
	f.Add([]byte{16, 0, 0, 0, 1, 0, 0, 0, 1}, uint64(32), uint64(0), uint64(1))
	f.Add([]byte{255, 255, 255, 127}, uint64(1)<<63, uint64(1)<<62, uint64(9))
	f.Fuzz(func(t *testing.T, data []byte, tail, head, number uint64) {
		mem := make([]byte, ringSize)
		r := newRing(mem)
		copy(r.data, data)
		r.at = head / ringRound * ringRound // this end's own, which is always in step
		r.tail.Store(tail)
		total := 0
		for range ringData / ringRound {
			f, ok, err := r.take(number)
			if !ok || err != nil {
				return
			}
			if len(f.Segments) > 0 {
				t.Fatal("segments were shown, and there is nobody to show them")
			}
			if total += len(f.Stream); total > ringData {
				t.Fatalf("%d bytes came out of a ring of %d", total, ringData)
			}
			number++
		}
	})
}
