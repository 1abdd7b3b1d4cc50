package pkl5_test

import (
	"bytes"
	"reflect"
	"testing"

	"github.com/rankpool/rankpool/internal/pkl5"
)

// Four families of the same types, each entered from another side.
type (
	viaStruct  cell[viaStruct]
	viaPointer cell[viaPointer]
	viaSlice   cell[viaSlice]
	viaMap     cell[viaMap]
	viaArray   cell[viaArray]

	cell[T any] struct {
		V int
		P *T
		S []T
		M map[string]T
		A [2]*T
		E struct{ Inner []*T }
		N any
	}
)

// chain is c → c.P, with something in every field.
func chain[T any](set func(p *T, c cell[T])) *T {
	last, first := new(T), new(T)
	set(last, cell[T]{V: 2})
	set(first, cell[T]{1, last, []T{*last}, map[string]T{"k": *last}, [2]*T{last, nil}, struct{ Inner []*T }{[]*T{last}}, 7})
	return first
}

func TestTheSideFromWhichATypeIsEnteredDoesNotMatter(t *testing.T) {
	encode := func(entry reflect.Type, typ reflect.Type, v reflect.Value) []byte {
		t.Helper()
		for _, typ := range []reflect.Type{entry, typ} {
			if _, err := pkl5.Compile(typ); err != nil {
				t.Fatal(err)
			}
		}
		c, _ := pkl5.Compile(typ)
		var e pkl5.Encoder
		if err := c.Encode(&e, v.UnsafePointer()); err != nil {
			t.Fatal(err)
		}
		var d pkl5.Decoder
		d.Reset(e.Stream, e.Segments)
		out := reflect.New(typ)
		if err := c.Decode(&d, out.UnsafePointer()); err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(v.Interface(), out.Interface()) {
			t.Errorf("%s entered through %s did not arrive as sent", typ, entry)
		}
		return e.Stream
	}
	want := encode(reflect.TypeFor[viaStruct](), reflect.TypeFor[viaStruct](),
		reflect.ValueOf(chain[viaStruct](func(p *viaStruct, c cell[viaStruct]) { *p = viaStruct(c) })))
	for entry, got := range map[string][]byte{
		"pointer": encode(reflect.TypeFor[*viaPointer](), reflect.TypeFor[viaPointer](),
			reflect.ValueOf(chain[viaPointer](func(p *viaPointer, c cell[viaPointer]) { *p = viaPointer(c) }))),
		"slice": encode(reflect.TypeFor[[]viaSlice](), reflect.TypeFor[viaSlice](),
			reflect.ValueOf(chain[viaSlice](func(p *viaSlice, c cell[viaSlice]) { *p = viaSlice(c) }))),
		"map": encode(reflect.TypeFor[map[string]viaMap](), reflect.TypeFor[viaMap](),
			reflect.ValueOf(chain[viaMap](func(p *viaMap, c cell[viaMap]) { *p = viaMap(c) }))),
		"array": encode(reflect.TypeFor[[2]*viaArray](), reflect.TypeFor[viaArray](),
			reflect.ValueOf(chain[viaArray](func(p *viaArray, c cell[viaArray]) { *p = viaArray(c) }))),
	} {
		if !bytes.Equal(got, want) {
			t.Errorf("entered through a %s:\n% x, otherwise\n% x", entry, got, want)
		}
	}
}

type (
	outer1 struct{ P *inner1 }
	inner1 struct {
		X outer1
		N int
	}
	outer2 struct{ P *inner2 }
	inner2 struct {
		X outer2
		N int
	}
)

func TestAStructReachedFromWithinItselfIsCarriedWhole(t *testing.T) {
	a := send(t, &pkl5.Encoder{}, outer1{&inner1{outer1{&inner1{N: 2}}, 1}})
	if a.P == nil || a.P.N != 1 || a.P.X.P == nil || a.P.X.P.N != 2 {
		t.Errorf("%v", a)
	}
	b := send(t, &pkl5.Encoder{}, inner2{outer2{&inner2{N: 2}}, 1})
	if b.N != 1 || b.X.P == nil || b.X.P.N != 2 {
		t.Errorf("%v", b)
	}
}
