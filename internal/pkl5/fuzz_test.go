package pkl5_test

import (
	"bytes"
	"errors"
	"math"
	"reflect"
	"runtime"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rankpool/rankpool/internal/pkl5"
)

// targets are types into which arbitrary bytes are decoded.
var targets = []reflect.Type{
	reflect.TypeFor[wide](), reflect.TypeFor[any](), reflect.TypeFor[[]any](), reflect.TypeFor[*node](),
	reflect.TypeFor[tree](), reflect.TypeFor[forest](), reflect.TypeFor[graph](), reflect.TypeFor[[]*node](),
	reflect.TypeFor[map[string]any](), reflect.TypeFor[map[any]any](), reflect.TypeFor[[][]string](),
	reflect.TypeFor[map[key][]padded](), reflect.TypeFor[[]struct{}](), reflect.TypeFor[map[struct{}]struct{}](),
	reflect.PointerTo(reflect.ArrayOf(math.MaxInt/1024, reflect.TypeFor[byte]())), reflect.TypeFor[[]*[1 << 20]int](), reflect.TypeFor[[]time.Time](),
	reflect.TypeFor[[][4]bool](), reflect.TypeFor[crossed](), reflect.TypeFor[[]forest](), reflect.TypeFor[map[string]map[string]int](),
}

// crossed has pointers and maps of several types, so that references can be of the wrong one.
type crossed struct {
	A *int
	B *string
	C map[string]*int
	D map[string]int
	E *crossed
	F error
	G []any
}

// decodeHostile decodes, and fails the test if the error is of no known kind or memory grew out of proportion.
func decodeHostile(t testing.TB, typ reflect.Type, stream []byte, segments [][]byte) (reflect.Value, error) {
	t.Helper()
	c, err := pkl5.Compile(typ)
	if err != nil {
		t.Fatal(err)
	}
	var d pkl5.Decoder
	d.Reset(stream, segments)
	var root reflect.Value
	if typ.Size() < 1<<20 {
		root = reflect.New(typ)
	}
	size := len(stream)
	for _, s := range segments {
		size += len(s)
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	err = c.Decode(&d, root.UnsafePointer())
	runtime.ReadMemStats(&after)
	if grown := after.TotalAlloc - before.TotalAlloc; grown > uint64(size)*1000+1<<20 {
		t.Fatalf("%d bytes of input made Decode of %s allocate %d", size, typ, grown)
	}
	var v *pkl5.ValueError
	if err != nil && !errors.As(err, &v) {
		t.Fatalf("error of an unexpected type %T: %v", err, err)
	}
	if err != nil && d.Len() != len(stream) {
		t.Fatalf("a failed Decode consumed %d bytes", len(stream)-d.Len())
	}
	return root, err
}

func FuzzDecode(f *testing.F) {
	for _, v := range values() {
		p := reflect.New(reflect.TypeOf(v))
		p.Elem().Set(reflect.ValueOf(v))
		c, err := pkl5.Compile(p.Type().Elem())
		if err != nil {
			f.Fatal(err)
		}
		for i := range targets {
			if targets[i] != p.Type().Elem() {
				continue
			}
			e := pkl5.Encoder{Threshold: 64}
			if err := c.Encode(&e, p.UnsafePointer()); err != nil {
				f.Fatal(err)
			}
			f.Add(uint8(i), e.Stream, bytes.Join(e.Segments, nil), uint16(64))
		}
	}
	for i := range targets {
		f.Add(uint8(i), []byte{1, 1, 1, 2, 3, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0x7F, 0xFF}, make([]byte, 400), uint16(400))
	}
	f.Fuzz(func(t *testing.T, target uint8, stream, segment []byte, cut uint16) {
		typ := targets[int(target)%len(targets)]
		var segments [][]byte
		if n := int(cut); n > 0 {
			for len(segment) >= n && len(segments) < 100 {
				segments = append(segments, append([]byte(nil), segment[:n]...))
				segment = segment[n:]
			}
		}
		got, err := decodeHostile(t, typ, stream, segments)
		if err != nil {
			return
		}
		// What decodes is a value: it can be encoded, and arrives again.
		c, _ := pkl5.Compile(typ)
		var e pkl5.Encoder
		if err := c.Encode(&e, got.UnsafePointer()); err != nil {
			t.Fatalf("%s decoded, but: %v", typ, err)
		}
		if _, err := decodeHostile(t, typ, e.Stream, e.Segments); err != nil {
			t.Fatalf("%s encoded, but: %v", typ, err)
		}
	})
}

// mixed is what FuzzRoundTrip fills.
type mixed struct {
	I    int64
	U    uint32
	F    float64
	S    string
	B    []byte
	L    []string
	M    map[string]float64
	N    map[uint8][]int16
	P    *mixed
	A    any
	Arr  [70]byte
	Pads []padded
}

func FuzzRoundTrip(f *testing.F) {
	f.Add(int64(0), 0.0, "", []byte{}, 0)
	f.Add(int64(math.MinInt64), math.Copysign(0, -1), "text", []byte("some bytes to cut into pieces"), 4)
	f.Add(int64(248), nan(9), "\xff", bytes.Repeat([]byte{0xF8}, 300), 64)
	f.Fuzz(func(t *testing.T, i int64, x float64, s string, b []byte, threshold int) {
		in := mixed{I: i, U: uint32(i), F: x, S: s, B: b, A: s}
		for n := range b {
			piece := string(b[n/2 : n])
			if len(piece) > 300 || len(in.L) > 50 {
				break
			}
			in.L = append(in.L, piece)
			if in.M == nil {
				in.M, in.N = map[string]float64{}, map[uint8][]int16{}
			}
			in.M[piece] = x / float64(n+1)
			in.N[b[n]] = append(in.N[b[n]], int16(n)*int16(b[n]))
			in.Arr[n%70] = b[n]
			in.Pads = append(in.Pads, padded{int8(n), x, n%2 == 0, int32(i)})
		}
		if len(b) > 4 {
			in.P = &mixed{S: s, A: []any{i, x, b, nil, map[string]any{s: in.L}}, P: &in}
			in.P.P = in.P
		}
		got := send(t, &pkl5.Encoder{Threshold: threshold, Snapshot: i%2 == 0}, in)
		if diff := cmp.Diff(in, got, bitwise); diff != "" {
			t.Errorf("-sent +received:\n%s", diff)
		}
	})
}
