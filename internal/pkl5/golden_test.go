package pkl5_test

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"flag"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"
	"unsafe"

	"github.com/google/go-cmp/cmp"

	"github.com/rankpool/rankpool/internal/pkl5"
)

var update = flag.Bool("update", false, "write the golden files anew")

func TestTheFormatIsGolden(t *testing.T) {
	if binary.NativeEndian.Uint16([]byte{1, 0}) != 1 || unsafe.Sizeof(0) != 8 {
		t.Skip("the golden files hold memory of 64-bit little-endian machines")
	}
	n, far := 5, math.MaxInt>>23+1 // 1<<40
	ring := &node{Value: 1}
	ring.Next = &node{2, ring}
	var b strings.Builder
	for _, tc := range []struct {
		name string
		v    any
	}{
		{"numbers", []any{0, -1, 123, 124, -125, far, uint8(255), int8(-1), uint16(248), float32(1.5), 2.5, complex64(1i), true}},
		{"text", []string{"", "a", strings.Repeat("long", 32)}},
		{"nil and empty", [][]int{nil, {}, {1, -1}}},
		{"flat structs", []small{{1, 2, 3}}},
		{"arrays", struct {
			A [3]int16
			B [64]byte
			C [2]string
		}{C: [2]string{"x", "y"}}},
		{"pointers", []*int{nil, &n, &n}},
		{"ring", ring},
		{"map", map[string]float64{"pi": 3.25}},
		{"map by reflection", map[key][]string{{1, "k"}: {"v"}}},
		{"interfaces", []any{nil, "s", []byte{1}, map[string]any{"k": nil}, time.Unix(0, 0).UTC(), time.Second, struct{}{}}},
		{"registered", []any{square{3}, square{4}, &square{5}}},
		{"marshaller", loud{"text"}},
		{"filler", hidden{"n", -3, struct{ deep []string }{[]string{"d"}}}},
	} {
		if err := pkl5.RegisterType("square", reflect.TypeFor[square]()); err != nil {
			t.Fatal(err)
		}
		p := reflect.New(reflect.TypeOf(tc.v))
		p.Elem().Set(reflect.ValueOf(tc.v))
		c, err := pkl5.Compile(p.Type().Elem())
		if err != nil {
			t.Fatal(err)
		}
		e := pkl5.Encoder{Threshold: 64}
		if err := c.Encode(&e, p.UnsafePointer()); err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&b, "%s\n%s", tc.name, hex.Dump(e.Stream))
		for i, s := range e.Segments {
			fmt.Fprintf(&b, "segment %d\n%s", i, hex.Dump(s))
		}
	}
	file := filepath.Join("testdata", "format.golden")
	if *update {
		if err := os.WriteFile(file, []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(bytes.TrimSpace(want)), strings.TrimSpace(b.String())); diff != "" {
		t.Errorf("the format has changed (-golden +now); if that is meant, run with -update:\n%s", diff)
	}
}
