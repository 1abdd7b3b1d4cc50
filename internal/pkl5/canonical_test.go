package pkl5_test

import (
	"bytes"
	"fmt"
	"math"
	"reflect"
	"testing"
	"unsafe"

	"github.com/rankpool/rankpool/internal/pkl5"
)

// canonical returns the canonical encoding of a value.
func canonical[T any](t *testing.T, v T) []byte {
	t.Helper()
	c, err := pkl5.Of[T]()
	if err != nil {
		t.Fatal(err)
	}
	e := pkl5.Encoder{Canonical: true}
	if err := c.Encode(&e, &v); err != nil {
		t.Fatal(err)
	}
	return append(bytes.Clone(e.Stream), bytes.Join(e.Segments, []byte("|"))...)
}

// maps builds a map in another order each time.
func maps[V any](n, first int, value func(int) V) map[string]V {
	m := map[string]V{}
	for i := range n {
		k := (i*7 + first) % n
		m[fmt.Sprint("key ", k)] = value(k)
	}
	return m
}

func TestTheCanonicalEncodingDoesNotDependOnTheOrderOfMaps(t *testing.T) {
	type node struct {
		Name string
		Next *node
		Tags map[string]any
	}
	for range 20 {
		for first := range 3 {
			for i, pair := range [][2][]byte{
				{canonical(t, maps(50, 0, func(i int) int { return i })), canonical(t, maps(50, first, func(i int) int { return i }))},
				{canonical(t, maps(50, 0, func(i int) *int { return &i })), canonical(t, maps(50, first, func(i int) *int { return &i }))},
				{
					canonical(t, maps(20, 0, func(i int) any { return maps(5, 0, func(j int) any { return i * j }) })),
					canonical(t, maps(20, first, func(i int) any { return maps(5, first, func(j int) any { return i * j }) })),
				},
				{
					canonical(t, node{"a", &node{Name: "b"}, maps(9, 0, func(i int) any { return []string{fmt.Sprint(i)} })}),
					canonical(t, node{"a", &node{Name: "b"}, maps(9, first, func(i int) any { return []string{fmt.Sprint(i)} })}),
				},
				{
					canonical(t, map[float64]int{math.NaN(): 1, math.Float64frombits(math.Float64bits(math.NaN())): 2, 1: 3}),
					canonical(t, map[float64]int{math.NaN(): 2, 1: 3, math.Float64frombits(math.Float64bits(math.NaN())): 1}),
				},
			} {
				if !bytes.Equal(pair[0], pair[1]) {
					t.Fatalf("case %d: %x and %x", i, pair[0], pair[1])
				}
			}
		}
	}
	if bytes.Equal(canonical(t, map[string]int{"a": 1, "b": 2}), canonical(t, map[string]int{"a": 2, "b": 1})) {
		t.Error("two maps are one")
	}
}

func TestTheCanonicalEncodingDoesNotDependOnPadding(t *testing.T) {
	type padded struct {
		A byte
		B int64
		_ int32
		C [3]struct {
			D int16
			E byte
		}
	}
	make := func(chance byte, n int) []padded {
		s := make([]padded, n)
		for i := range s {
			b := unsafe.Slice((*byte)(unsafe.Pointer(&s[i])), unsafe.Sizeof(s[i]))
			for j := range b {
				b[j] = chance
			}
			s[i].A, s[i].B = byte(i), int64(i)
			for j := range s[i].C {
				s[i].C[j].D, s[i].C[j].E = int16(j), 9
			}
		}
		return s
	}
	for _, n := range []int{1, 3, 20_000} {
		x, y := make(0x55, n), make(0xAA, n)
		if !bytes.Equal(canonical(t, x), canonical(t, y)) {
			t.Errorf("slices of %d are two", n)
		}
		if x[0].A != 0 || *(*byte)(unsafe.Add(unsafe.Pointer(&x[0]), 1)) != 0x55 {
			t.Error("the value was changed")
		}
	}
	if x, y := [4]padded(make(1, 4)), [4]padded(make(2, 4)); !bytes.Equal(canonical(t, x), canonical(t, y)) {
		t.Error("arrays are two")
	}
}

func TestAMapWhoseKeysLeadToItHasNoCanonicalEncoding(t *testing.T) {
	type key struct{ m map[any]int }
	m := map[any]int{}
	m[&key{m}] = 1
	if err := pkl5.RegisterType("canonical.key", reflect.TypeFor[*key]()); err != nil {
		t.Fatal(err)
	}
	c, err := pkl5.Of[map[any]int]()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Encode(&pkl5.Encoder{Canonical: true}, &m); err == nil {
		t.Error("it has one")
	}
}
