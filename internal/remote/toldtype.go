package remote

import (
	"reflect"

	"github.com/rankpool/rankpool/internal/pkl5"
)

// toldType is what takes the place of a reflect.Type in an error that has travelled: a type cannot be found by its name. It says what the
// methods Error of the standard library ask for, kind and text, and is otherwise the empty struct.
type toldType struct {
	reflect.Type // nil on the way

	Text string
	Of   reflect.Kind
}

func init() { must(pkl5.RegisterType("reflect.Type", reflect.TypeFor[toldType]())) }

// String is the text of the type that was sent.
func (t toldType) String() string { return t.Text }

// Kind is its kind.
func (t toldType) Kind() reflect.Kind { return t.Of }

// outwardType is what travels for t.
func outwardType(t reflect.Type) toldType { return toldType{Text: t.String(), Of: t.Kind()} }

// arrived is the type itself where every program has it, or t as it can be used.
func (t toldType) arrived() reflect.Type {
	if own := predeclared[t.Text]; own != nil {
		return own
	}
	t.Type = reflect.TypeFor[struct{}]()
	return t
}

var predeclared = func() map[string]reflect.Type {
	all := map[string]reflect.Type{}
	for _, v := range []any{
		false, "", 0, int8(0), int16(0), int32(0), int64(0), uint(0), uint8(0), uint16(0), uint32(0), uint64(0), uintptr(0),
		float32(0), float64(0), complex64(0), complex128(0),
	} {
		all[reflect.TypeOf(v).String()] = reflect.TypeOf(v)
	}
	return all
}()
