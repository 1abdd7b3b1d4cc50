package pkl5_test

import (
	"bytes"
	"errors"
	"math"
	"reflect"
	"testing"

	"github.com/rankpool/rankpool/internal/pkl5"
)

func TestAStreamCutAnywhereIsCorrupt(t *testing.T) {
	for _, v := range []any{wideValue(), []any{1, "a", map[string]any{"x": []int{1}}}, node{1, &node{2, nil}}, tree{1, []tree{{}}}} {
		typ := reflect.TypeOf(v)
		c, err := pkl5.Compile(typ)
		if err != nil {
			t.Fatal(err)
		}
		in := reflect.New(typ)
		in.Elem().Set(reflect.ValueOf(v))
		e := pkl5.Encoder{Threshold: 64}
		if err := c.Encode(&e, in.UnsafePointer()); err != nil {
			t.Fatal(err)
		}
		for n := range e.Stream {
			var d pkl5.Decoder
			d.Reset(e.Stream[:n:n], e.Segments)
			if err := c.Decode(&d, reflect.New(typ).UnsafePointer()); !errors.Is(err, pkl5.ErrCorrupt) {
				t.Errorf("%s cut to %d of %d bytes: %v", typ, n, len(e.Stream), err)
			}
		}
	}
}

func huge(prefix ...byte) []byte {
	return append(prefix, 0xFF, 0, 0, 0, 0, 0, 0, 0, 0x40) // 1<<62
}

func TestHostileLengthsAllocateLittle(t *testing.T) {
	const cells = math.MaxInt >> 20 // 8 TiB where addresses have 64 bits
	type giant struct{ Cells [cells]byte }
	type gap struct {
		_ [1 << 16]byte
	}
	megabyte := bytes.Repeat([]byte{0xFB, 0, 0, 0xF, 0}, 200_000) // each a slice of 983040 elements
	for _, tc := range []struct {
		name   string
		typ    reflect.Type
		stream []byte
	}{
		{"slice", reflect.TypeFor[[]string](), huge()},
		{"slice of pointers", reflect.TypeFor[[]*int](), huge()},
		{"bytes", reflect.TypeFor[[]byte](), huge()},
		{"structs", reflect.TypeFor[[]padded](), huge()},
		{"string", reflect.TypeFor[string](), huge()},
		{"map", reflect.TypeFor[map[string]int](), huge(1)},
		{"map by reflection", reflect.TypeFor[map[key]int](), huge(1)},
		{"map of nothing", reflect.TypeFor[map[struct{}]struct{}](), huge(1)},
		{"structs of padding", reflect.TypeFor[[]gap](), huge()},
		{"giant array", reflect.TypeFor[*[cells]byte](), []byte{1, 0}},
		{"giant array in a struct", reflect.TypeFor[*giant](), []byte{1, 0}},
		{"giant arrays in a slice", reflect.TypeFor[[]giant](), []byte{2, 0}},
		{"giant array of slices", reflect.TypeFor[*[cells][]int](), []byte{1, 0}},
		{"slices in slices", reflect.TypeFor[forest](), megabyte},
		{"maps in maps", reflect.TypeFor[graph](), bytes.Repeat([]byte{1, 0xFB, 0, 0, 4, 0, 0}, 100_000)},
		{"marshaller", reflect.TypeFor[[]loud](), huge(2)},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if _, err := decodeHostile(t, tc.typ, tc.stream, nil); !errors.Is(err, pkl5.ErrCorrupt) {
				t.Errorf("%v", err)
			} else if len(err.Error()) > 2000 {
				t.Errorf("an error of %d bytes", len(err.Error()))
			}
		})
	}
}

func TestEmptyElementsCostNothing(t *testing.T) {
	many := make([]struct{}, math.MaxInt/2)
	c, err := pkl5.Of[[]struct{}]()
	if err != nil {
		t.Fatal(err)
	}
	var e pkl5.Encoder
	if err := c.Encode(&e, &many); err != nil {
		t.Fatal(err)
	}
	got, err := decodeHostile(t, reflect.TypeFor[[]struct{}](), e.Stream, nil)
	if err != nil || got.Elem().Len() != len(many) {
		t.Errorf("%d elements, %v", got.Elem().Len(), err)
	}
}

func TestHostileStreamsAreRefused(t *testing.T) {
	deep := bytes.Repeat([]byte{2}, 20_000)
	for _, tc := range []struct {
		name   string
		typ    reflect.Type
		stream []byte
	}{
		{"reference of the wrong type", reflect.TypeFor[crossed](), []byte{1, 2, 3, 0, 0, 0, 0, 0}},
		{"reference that points nowhere", reflect.TypeFor[*node](), []byte{9}},
		{"bool of 2", reflect.TypeFor[bool](), []byte{2}},
		{"bool of 2 in a slice", reflect.TypeFor[[]bool](), []byte{1 + 1<<1, 2}},
		{"bool of 2 in a slice of structs", reflect.TypeFor[[]struct{ A, B bool }](), []byte{1 + 1<<1, 1, 3}},
		{"bool of 2 in an array", reflect.TypeFor[[2]bool](), []byte{1, 9}},
		{"number out of range", reflect.TypeFor[int16](), []byte{0xFA, 0, 0, 1}},
		{"unhashable key", reflect.TypeFor[map[any]int](), []byte{1, 1, 2 + 17, 0, 0, 0, 0, 0}},
		{"key twice", reflect.TypeFor[map[string]int](), []byte{1, 2, 0, 0, 0, 0}},
		{"too deep", reflect.TypeFor[forest](), deep},
		{"type without number", reflect.TypeFor[any](), []byte{0xF0}},
		{"int where an error belongs", reflect.TypeFor[error](), []byte{3, 0}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, err := decodeHostile(t, tc.typ, tc.stream, nil)
			if !errors.Is(err, pkl5.ErrCorrupt) {
				t.Errorf("%v", err)
			}
		})
	}
}
