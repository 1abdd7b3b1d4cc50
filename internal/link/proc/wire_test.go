package proc

import (
	"bytes"
	"errors"
	"io"
	"math"
	"slices"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/rankpool/rankpool/internal/link"
)

// message is a frame as bytes.
func message(f link.Frame) []byte {
	b := append(appendHeader(nil, f, kindFrame), f.Stream...)
	return append(b, bytes.Join(f.Segments, nil)...)
}

func TestFramesSurviveEveryWayOfArriving(t *testing.T) {
	frames := []link.Frame{
		{Stream: []byte("one")},
		{},
		{Stream: bytes.Repeat([]byte("long"), 10_000), Segments: [][]byte{{}, bytes.Repeat([]byte("x"), 32<<10), []byte("y")}},
		{Segments: make([][]byte, 5000)},
		{Stream: []byte("last")},
	}
	var wire []byte
	for _, f := range frames {
		wire = append(wire, message(f)...)
	}
	wire = append(wire, sign(kindGoodbye)...)
	for name, src := range map[string]io.Reader{
		"at once":   bytes.NewReader(wire),
		"by bytes":  iotest.OneByteReader(bytes.NewReader(wire)),
		"by halves": iotest.HalfReader(bytes.NewReader(wire)),
	} {
		r := newReader(src, math.MaxInt)
		for i, want := range frames {
			got, kind, err := r.frame()
			if err != nil || kind != kindFrame {
				t.Fatalf("%s: frame %d: %x, %v", name, i, kind, err)
			}
			if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" {
				t.Fatalf("%s: frame %d (-want +got):\n%s", name, i, diff)
			}
		}
		if _, kind, err := r.frame(); kind != kindGoodbye || err != nil {
			t.Errorf("%s: the goodbye: %x, %v", name, kind, err)
		}
		if _, _, err := r.frame(); err != io.EOF {
			t.Errorf("%s: the end: %v", name, err)
		}
	}
}

func TestACutFrameIsAnError(t *testing.T) {
	wire := message(link.Frame{Stream: []byte("stream"), Segments: [][]byte{[]byte("a"), make([]byte, 100)}})
	for n := 1; n < len(wire); n++ {
		if _, _, err := newReader(bytes.NewReader(wire[:n]), math.MaxInt).frame(); !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Fatalf("cut after %d bytes: %v", n, err)
		}
	}
}

func TestAFrameLargerThanMemoryIsRefusedBeforeItIsAllocated(t *testing.T) {
	limit := uint64(1000)
	for name, f := range map[string]link.Frame{
		"stream":  {Stream: make([]byte, 1001)},
		"segment": {Segments: [][]byte{make([]byte, 1001)}},
		"sum":     {Stream: make([]byte, 400), Segments: [][]byte{make([]byte, 400), make([]byte, 400)}},
	} {
		if _, _, err := newReader(bytes.NewReader(message(f)), limit).frame(); !errors.Is(err, errWire) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestTheLastOfEqualVariablesCounts(t *testing.T) {
	got := share([]string{"A=1", "GOMAXPROCS=2", "B=", "A=3", "GOMEMLIMIT=8"}, 1, 1)
	if diff := cmp.Diff([]string{"GOMAXPROCS=2", "B=", "A=3", "GOMEMLIMIT=4"}, got); diff != "" {
		t.Errorf("the environment (-want +got):\n%s", diff)
	}
}

// marking notes what a journal has marked whenever it is read from.
type marking struct {
	io.Reader
	journal *link.Journal
	marks   []uint64
}

func (m *marking) Read(b []byte) (int, error) {
	m.marks = append(m.marks, m.journal.Receives())
	return m.Reader.Read(b)
}

func TestAWorkerMarksWhichFrameItTakesIn(t *testing.T) {
	journal := link.NewJournal(make([]byte, 256))
	large := [][]byte{make([]byte, 100<<10)}
	wire := slices.Concat(message(link.Frame{Mark: 7, Segments: large}), message(link.Frame{Segments: large}))
	src := &marking{Reader: bytes.NewReader(wire), journal: journal}
	r := newReader(src, math.MaxInt)
	r.journal = journal
	for _, mark := range []uint64{7, 0} {
		src.marks = nil
		if _, _, err := r.frame(); err != nil {
			t.Fatal(err)
		}
		if n := len(src.marks); n < 2 || src.marks[n-1] != mark || journal.Receives() != 0 {
			t.Errorf("%d were marked during the frame and %d after it, want %d", src.marks, journal.Receives(), mark)
		}
	}
}

func FuzzReader(f *testing.F) {
	f.Add(message(link.Frame{Stream: []byte("stream"), Segments: [][]byte{[]byte("a"), {}}}))
	f.Add(sign(kindGoodbye))
	f.Add(append(append(sign(kindWake), sign(kindReady)...), message(link.Frame{Stream: []byte("after")})...))
	f.Add(appendHeader(nil, link.Frame{Segments: [][]byte{[]byte("shown")}}, kindShown))
	f.Add(appendHeader(nil, link.Frame{Segments: [][]byte{make([]byte, 1<<16)}}, kindFrame))
	f.Fuzz(func(t *testing.T, wire []byte) {
		r := newReader(bytes.NewReader(wire), 1<<20)
		for out := 0; ; {
			frame, kind, err := r.frame()
			if err != nil {
				return
			}
			if out += headerSize; kind == kindFrame {
				out += len(message(frame)) - headerSize
			}
			if out > len(wire) {
				t.Fatalf("%d bytes came out of %d", out, len(wire))
			}
		}
	})
}

func TestLimitsAreSharedInEveryFormat(t *testing.T) {
	for value, want := range map[string]string{
		"8GiB": "2147483648", "400": "100", "4B": "1", "4KiB": "1024", "8MiB": "2097152", "4TiB": "1099511627776", "0": "1",
	} {
		env := share([]string{"GOMAXPROCS=5", "GOMEMLIMIT=" + value}, 64, 3)
		if got, _ := lookup(env, "GOMEMLIMIT"); got != want {
			t.Errorf("%s became %s, want %s", value, got, want)
		}
		if got, _ := lookup(env, "GOMAXPROCS"); got != "5" {
			t.Errorf("GOMAXPROCS became %s", got)
		}
	}
	for _, value := range []string{"off", "", "-1", "9999999999TiB", "1.5GiB"} {
		env := share([]string{"GOMEMLIMIT=" + value}, 64, 3)
		if got, _ := lookup(env, "GOMEMLIMIT"); got != value {
			t.Errorf("%q became %q", value, got)
		}
		if got, _ := lookup(env, "GOMAXPROCS"); got != "21" {
			t.Errorf("GOMAXPROCS is %s, want 64/3", got)
		}
	}
}
