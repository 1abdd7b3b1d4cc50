package pkl5_test

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"math/big"
	"net/netip"
	"net/url"
	"reflect"
	"testing"
	"time"
	"unsafe"

	"github.com/google/go-cmp/cmp"

	"github.com/rankpool/rankpool/internal/pkl5"
)

type (
	named  string
	small  struct{ A, B, C int }
	padded struct {
		A int8
		B float64
		C bool
		D int32
	}
	hidden struct {
		name  string
		count int
		inner struct{ deep []string }
	}
	tree struct {
		Value    int
		Children []tree
	}
	forest []forest
	node   struct {
		Value int
		Next  *node
	}
	graph map[string]graph
	wide  struct {
		Bool    bool
		I8      int8
		I16     int16
		I32     int32
		I64     int64
		U8      uint8
		U16     uint16
		U32     uint32
		U64     uint64
		Ptr     uintptr
		F32     float32
		F64     float64
		C64     complex64
		C128    complex128
		Text    string
		Bytes   []byte
		Floats  []float64
		Strings []string
		Array   [3]int16
		Big     [100]float32
		Any     any
		Map     map[string]int
		P       *int
		When    time.Time
		Pads    []padded
		_       int
		Nothing struct{}
	}
	key struct {
		A int
		B string
	}
)

var allExported = cmp.Exporter(func(reflect.Type) bool { return true })

// bitwise compares floats by their bits, so that NaN equals NaN and -0 is not 0.
var bitwise = cmp.Options{
	cmp.Comparer(func(a, b float64) bool { return math.Float64bits(a) == math.Float64bits(b) }),
	cmp.Comparer(func(a, b float32) bool { return math.Float32bits(a) == math.Float32bits(b) }),
	cmp.Comparer(func(a, b complex128) bool {
		return math.Float64bits(real(a)) == math.Float64bits(real(b)) && math.Float64bits(imag(a)) == math.Float64bits(imag(b))
	}),
	cmp.Comparer(func(a, b complex64) bool {
		return math.Float32bits(real(a)) == math.Float32bits(real(b)) && math.Float32bits(imag(a)) == math.Float32bits(imag(b))
	}),
	cmp.Comparer(func(a, b []byte) bool { return (a == nil) == (b == nil) && bytes.Equal(a, b) }), // and not each byte as a value of its own
	cmp.Comparer(func(a, b big.Int) bool { return a.Cmp(&b) == 0 }),
	cmp.Comparer(func(a, b big.Float) bool { return a.Cmp(&b) == 0 && a.Prec() == b.Prec() }),
	cmp.Comparer(func(a, b netip.Addr) bool { return a == b }),
	cmp.Comparer(func(a, b time.Time) bool { return a.Equal(b) }),
	allExported,
}

func nan(payload uint64) float64 { return math.Float64frombits(0x7FF8000000000000 | payload) }

func wideValue() wide {
	n := 7
	w := wide{
		true, -8, -1600, -320000, math.MinInt64, 200, 60000, 4e9, math.MaxUint64, 99, float32(math.Copysign(0, -1)), nan(5),
		complex(1, -2), complex(nan(3), math.Inf(-1)), "text\x00\xff", []byte{}, []float64{math.Copysign(0, -1), nan(1)},
		[]string{"", "a", "日本"}, [3]int16{1, -2, 3}, [100]float32{99: 1}, []any{1, nil, "x"}, map[string]int{"a": 1, "b": 2},
		&n, time.Date(2026, 1, 2, 3, 4, 5, 6, time.UTC), []padded{{1, 2, true, 3}, {C: true}}, 0, struct{}{},
	}
	return w
}

// values are what must arrive as it was sent.
func values() []any {
	loop := map[string]any{"x": 1}
	var vs []any
	add := func(v ...any) { vs = append(vs, v...) }
	for _, i := range []int64{0, 1, -1, 123, 124, 247, 248, -124, -125, 1 << 15, 1 << 31, 1 << 40, math.MaxInt64, math.MinInt64} {
		add(i, int(i), int32(i), int16(i), int8(i), uint64(i), uint(i), uint32(i), uint16(i), uint8(i), uintptr(i))
	}
	for _, f := range []float64{0, math.Copysign(0, -1), 1.5, math.Inf(1), math.Inf(-1), math.MaxFloat64, nan(0), nan(12345)} {
		add(f, float32(f), complex(f, -f), complex64(complex(f, 2)))
	}
	add(true, false, "", "x", "\xff\x00", string(make([]byte, 5000)), named("n"))
	add([]byte(nil), []byte{}, []byte{1, 2, 3}, make([]byte, 300<<10), []int(nil), []int{}, []int{1, -1, math.MinInt})
	add([]float64{1, nan(7)}, []bool{true, false, true}, []string(nil), []string{}, []string{"a", ""}, []named{"q"})
	add([][]int{nil, {}, {1, 2}}, [][][]byte{{{1}, nil}, nil, {}}, []struct{}{{}, {}, {}}, []struct{}(nil), []struct{}{})
	add([0]int{}, [3]int{1, 2, 3}, [2]string{"a", "b"}, [1]any{1}, [100]bool{3: true}, [4][4]float32{{1}, {2}}, struct{}{})
	add(small{1, 2, 3}, []small{{1, 2, 3}, {}}, padded{1, 2, true, 4}, []padded{{1, 2, true, 4}}, wideValue(), wide{})
	add(hidden{"n", 3, struct{ deep []string }{[]string{"d"}}}, [0]func(){})
	add(map[string]int(nil), map[string]int{}, map[string]int{"a": 1, "b": -2}, map[int]string{1: "a"}, map[int64]bool{5: true})
	add(map[string]any{"a": 1, "b": []any{nil, 2.5, map[string]any{"c": true}}}, map[string]struct{}{"a": {}}, map[named]uint8{"k": 1})
	add(map[key][]int{{1, "a"}: {1}, {2, "b"}: nil}, map[[2]int]*int{{1, 2}: nil}, map[struct{}]struct{}{{}: {}}, map[struct{}]int{{}: 3})
	add(map[any]any{1: "a", "b": 2, 2.5: nil, true: []int{1}}, map[bool][100]int64{true: {1}, false: {99: 2}}, loop)
	add(tree{1, []tree{{2, nil}, {3, []tree{}}}}, forest{nil, {}, {{}, nil}}, graph{"a": {"b": nil, "c": {}}})
	add(node{1, &node{2, &node{3, nil}}}, []*int{nil, new(int)}, new(*int), []*[]string{{"a"}, nil})
	add(time.Unix(1, 2).UTC(), time.Second, *big.NewInt(-1 << 62), big.NewInt(5), netip.MustParseAddr("fe80::1%eth0"), netip.Addr{})
	add(*new(big.Float).SetPrec(200).SetFloat64(1.0 / 3), url.URL{Scheme: "http", Host: "h", Path: "/p", RawQuery: "a=b"})
	add([]time.Time{time.Unix(1, 0).UTC(), {}}, map[netip.Addr]int{netip.MustParseAddr("1.2.3.4"): 5}, []any{nil, []byte{1}, struct{}{}})
	return vs
}

// transfer encodes the value that v holds and decodes it into a new one.
func transfer(t testing.TB, v any, threshold int) any {
	t.Helper()
	typ := reflect.TypeOf(v)
	c, err := pkl5.Compile(typ)
	if err != nil {
		t.Fatal(err)
	}
	in, out := reflect.New(typ), reflect.New(typ)
	in.Elem().Set(reflect.ValueOf(v))
	e := pkl5.Encoder{Threshold: threshold}
	if err := c.Encode(&e, in.UnsafePointer()); err != nil {
		t.Fatalf("%T: %v", v, err)
	}
	var d pkl5.Decoder
	d.Reset(e.Stream, e.Segments)
	if err := c.Decode(&d, out.UnsafePointer()); err != nil {
		t.Fatalf("%T: %v", v, err)
	}
	if d.Len() != 0 || d.SegmentsLeft() != 0 || len(d.Rest()) != 0 {
		t.Fatalf("%T: %d bytes and %d segments left", v, d.Len(), d.SegmentsLeft())
	}
	return out.Elem().Interface()
}

func TestValuesArriveAsTheyWereSent(t *testing.T) {
	for _, threshold := range []int{0, -1, 1, 8, 100} {
		for i, v := range values() {
			t.Run(fmt.Sprintf("threshold %d/%d %T", threshold, i, v), func(t *testing.T) {
				got := transfer(t, v, threshold)
				if diff := cmp.Diff(v, got, bitwise); diff != "" {
					t.Errorf("-sent +received:\n%s", diff)
				}
			})
		}
	}
}

func TestValuesFollowEachOtherInOneEncoder(t *testing.T) {
	var e pkl5.Encoder
	e.Threshold = 16
	vs := values()
	for _, v := range vs {
		in := reflect.New(reflect.TypeOf(v))
		in.Elem().Set(reflect.ValueOf(v))
		c, err := pkl5.Compile(in.Type().Elem())
		if err != nil {
			t.Fatal(err)
		}
		if err := c.Encode(&e, in.UnsafePointer()); err != nil {
			t.Fatal(err)
		}
	}
	var d pkl5.Decoder
	d.Reset(e.Stream, e.Segments)
	for _, v := range vs {
		out := reflect.New(reflect.TypeOf(v))
		c, _ := pkl5.Compile(out.Type().Elem())
		if err := c.Decode(&d, out.UnsafePointer()); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(v, out.Elem().Interface(), bitwise); diff != "" {
			t.Fatalf("%T: -sent +received:\n%s", v, diff)
		}
	}
	if d.Len() != 0 || d.SegmentsLeft() != 0 {
		t.Errorf("%d bytes and %d segments left", d.Len(), d.SegmentsLeft())
	}
}

func send[T any](t testing.TB, e *pkl5.Encoder, v T) T {
	t.Helper()
	c, err := pkl5.Of[T]()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Encode(e, &v); err != nil {
		t.Fatal(err)
	}
	var d pkl5.Decoder
	d.Reset(e.Stream, e.Segments)
	var out T
	if err := c.Decode(&d, &out); err != nil {
		t.Fatal(err)
	}
	return out
}

func TestSharedAndCyclicPointersKeepTheirShape(t *testing.T) {
	n := 5
	ps := send(t, &pkl5.Encoder{}, []*int{&n, &n, new(int)})
	if ps[0] != ps[1] || ps[0] == ps[2] || *ps[0] != 5 {
		t.Errorf("shared pointers arrived as %v", ps)
	}
	ring := &node{Value: 1}
	ring.Next = &node{2, ring}
	r := send(t, &pkl5.Encoder{}, ring)
	if r.Next.Next != r || r.Value != 1 || r.Next.Value != 2 {
		t.Errorf("ring arrived as %v", r)
	}
	m := map[string]any{}
	m["self"] = m
	got := send(t, &pkl5.Encoder{}, m)
	if reflect.ValueOf(got).UnsafePointer() != reflect.ValueOf(got["self"]).UnsafePointer() {
		t.Errorf("a map that holds itself arrived as another")
	}
	shared := map[string]int{"a": 1}
	ms := send(t, &pkl5.Encoder{}, []map[string]int{shared, shared})
	ms[0]["b"] = 2
	if ms[1]["b"] != 2 {
		t.Errorf("a shared map arrived as two")
	}
	many := make([]*node, 1000)
	for i := range many {
		many[i] = &node{Value: i}
	}
	for i := range many {
		many[i].Next = many[(i*7+1)%1000]
	}
	for i, p := range send(t, &pkl5.Encoder{}, many) {
		if p.Value != i || p.Next.Value != (i*7+1)%1000 {
			t.Fatalf("node %d arrived as %v", i, p)
		}
	}
}

func TestAValueMayPointToItself(t *testing.T) {
	c, err := pkl5.Of[node]()
	if err != nil {
		t.Fatal(err)
	}
	in := node{Value: 3}
	in.Next = &in
	var e pkl5.Encoder
	if err := c.Encode(&e, &in); err != nil {
		t.Fatal(err)
	}
	var d pkl5.Decoder
	d.Reset(e.Stream, e.Segments)
	var out node
	if err := c.Decode(&d, &out); err != nil {
		t.Fatal(err)
	}
	if out.Next != &out {
		t.Errorf("the pointer to the value arrived as a pointer to a copy")
	}
}

func TestAListOfAMillionNodesNeedsNoStack(t *testing.T) {
	var list *node
	for i := range 1_000_000 {
		list = &node{i, list}
	}
	got := send(t, &pkl5.Encoder{}, list)
	for list != nil {
		if got == nil || got.Value != list.Value {
			t.Fatalf("list differs at %d", list.Value)
		}
		got, list = got.Next, list.Next
	}
}

func TestNestingWithoutEndIsAnErrorWithADepth(t *testing.T) {
	s := []any{nil}
	s[0] = s
	c, err := pkl5.Of[[]any]()
	if err != nil {
		t.Fatal(err)
	}
	e := pkl5.Encoder{Stream: []byte("kept")}
	if err := c.Encode(&e, &s); err == nil || string(e.Stream) != "kept" {
		t.Errorf("Encode of a slice that holds itself: %v, stream %q", err, e.Stream)
	} else {
		t.Log(err)
	}
}

func TestSegmentsAliasOnTheWayOutAndIn(t *testing.T) {
	in := struct {
		Small, Large []float64
		Text         string
		Array        *[512]int64
	}{make([]float64, 511), make([]float64, 512), string(make([]byte, 4096)), new([512]int64)}
	c, err := pkl5.Compile(reflect.TypeOf(in))
	if err != nil {
		t.Fatal(err)
	}
	e := pkl5.Encoder{Threshold: 4096}
	if err := c.Encode(&e, unsafe.Pointer(&in)); err != nil {
		t.Fatal(err)
	}
	if len(e.Segments) != 3 { // exactly the threshold goes out of band
		t.Fatalf("%d segments", len(e.Segments))
	}
	if unsafe.Pointer(&e.Segments[0][0]) != unsafe.Pointer(&in.Large[0]) {
		t.Error("the segment does not alias the slice")
	}
	if unsafe.Pointer(&e.Segments[1][0]) != unsafe.Pointer(unsafe.StringData(in.Text)) {
		t.Error("the segment does not alias the string")
	}
	out := in
	out.Small, out.Large, out.Text, out.Array = nil, nil, "", nil
	var d pkl5.Decoder
	d.Reset(e.Stream, e.Segments)
	if err := c.Decode(&d, unsafe.Pointer(&out)); err != nil {
		t.Fatal(err)
	}
	if unsafe.Pointer(&out.Large[0]) != unsafe.Pointer(&e.Segments[0][0]) || cap(out.Large) != 512 || cap(out.Small) != 511 {
		t.Error("the slice does not alias the segment, or has spare capacity")
	}
	if unsafe.Pointer(out.Array) != unsafe.Pointer(&e.Segments[2][0]) {
		t.Error("the array does not alias the segment")
	}
	for i := range e.Segments {
		d.Reset(e.Stream, append(append([][]byte{}, e.Segments[:i]...), e.Segments[i+1:]...))
		err := c.Decode(&d, unsafe.Pointer(&out))
		if !errors.Is(err, pkl5.ErrCorrupt) {
			t.Errorf("without segment %d: %v", i, err)
		}
	}
	e = pkl5.Encoder{Threshold: 4096, Snapshot: true}
	if err := c.Encode(&e, unsafe.Pointer(&in)); err != nil {
		t.Fatal(err)
	}
	if unsafe.Pointer(&e.Segments[0][0]) == unsafe.Pointer(&in.Large[0]) {
		t.Error("a snapshot aliases the slice")
	}
}

func TestTheThresholdHasADefaultAndCanBeTurnedOff(t *testing.T) {
	for _, tc := range []struct{ n, threshold, want int }{
		{pkl5.DefaultThreshold, 0, 1}, {pkl5.DefaultThreshold - 1, 0, 0}, {1 << 20, -1, 0}, {10, 10, 1}, {9, 10, 0}, {0, 1, 0},
	} {
		e := pkl5.Encoder{Threshold: tc.threshold}
		send(t, &e, make([]byte, tc.n))
		if len(e.Segments) != tc.want {
			t.Errorf("%d bytes with threshold %d: %d segments, want %d", tc.n, tc.threshold, len(e.Segments), tc.want)
		}
	}
}

func TestMisalignedSegmentsAreCopied(t *testing.T) {
	e := pkl5.Encoder{Threshold: 1}
	c, _ := pkl5.Of[[]float64]()
	in := []float64{1, 2, 3}
	if err := c.Encode(&e, &in); err != nil {
		t.Fatal(err)
	}
	odd := append(make([]byte, 1, 32), e.Segments[0]...)[1:]
	var d pkl5.Decoder
	d.Reset(e.Stream, [][]byte{odd})
	var out []float64
	if err := c.Decode(&d, &out); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(in, out); diff != "" || unsafe.Pointer(&out[0]) == unsafe.Pointer(&odd[0]) {
		t.Errorf("-sent +received:\n%s", diff)
	}
}

func TestDecodedValuesDoNotAliasTheStream(t *testing.T) {
	e := pkl5.Encoder{Threshold: -1}
	in := wideValue()
	c, _ := pkl5.Of[wide]()
	if err := c.Encode(&e, &in); err != nil {
		t.Fatal(err)
	}
	var d pkl5.Decoder
	d.Reset(e.Stream, nil)
	var out wide
	if err := c.Decode(&d, &out); err != nil {
		t.Fatal(err)
	}
	for i := range e.Stream {
		e.Stream[i] = 0xAA
	}
	if diff := cmp.Diff(in, out, bitwise); diff != "" {
		t.Errorf("-sent +received:\n%s", diff)
	}
}

func TestLargeArraysInMapsAreNotOverwritten(t *testing.T) {
	in := map[int][100]int64{}
	for i := range int64(20) {
		in[int(i)] = [100]int64{i, i, i}
	}
	if diff := cmp.Diff(in, send(t, &pkl5.Encoder{Threshold: 100}, in)); diff != "" {
		t.Errorf("-sent +received:\n%s", diff)
	}
}
