package registry

import (
	"encoding"
	"reflect"
	"strconv"
	"strings"

	"github.com/rankpool/rankpool/internal/pkl5"
)

// Describe spells out the structure of a type, so that two descriptions are equal when values of one can be read as
// values of the other.
//
// The layout of a named type follows its name where it first occurs: a field that was added, removed, moved, renamed or
// given another type changes the description. Later occurrences, among them those that close a cycle, are the name
// alone. A type that writes itself (encoding.BinaryMarshaler, or its text where that is let) is its name and the word binary or
// text: its fields never travel.
func Describe(t reflect.Type) string {
	if t == nil {
		return ""
	}
	d := describer{labels: make(map[reflect.Type]string), uses: make(map[string]int)}
	d.typ(t)
	return d.String()
}

type describer struct {
	strings.Builder
	labels map[reflect.Type]string
	uses   map[string]int
}

func (d *describer) typ(t reflect.Type) {
	// Predeclared types have a name and no package.
	if t.Name() == "" || t.PkgPath() == "" {
		d.layout(t)
		return
	}
	if label, seen := d.labels[t]; seen {
		d.WriteString(label)
		return
	}
	label := t.PkgPath() + "." + t.Name()
	// Two functions may each declare a type of one name; reflection calls both the same.
	if d.uses[label]++; d.uses[label] > 1 {
		label += "#" + strconv.Itoa(d.uses[label])
	}
	d.labels[t] = label
	d.WriteString(label)
	d.WriteByte(' ')
	if form := selfWritten(t); form != "" {
		d.WriteString(form)
		return
	}
	d.layout(t)
}

// layout writes the type without its name.
func (d *describer) layout(t reflect.Type) {
	switch t.Kind() {
	case reflect.Pointer:
		d.WriteByte('*')
		d.typ(t.Elem())
	case reflect.Slice:
		d.WriteString("[]")
		d.elem(t.Elem())
	case reflect.Array:
		d.WriteString("[" + strconv.Itoa(t.Len()) + "]")
		d.elem(t.Elem())
	case reflect.Map:
		d.WriteString("map[")
		d.typ(t.Key())
		d.WriteByte(']')
		d.typ(t.Elem())
	case reflect.Struct:
		d.fields(t)
	case reflect.Interface:
		d.methods(t)
	case reflect.Chan, reflect.Func:
		// Never registered; named so that a message can show them.
		d.WriteString(t.String())
	default:
		d.WriteString(t.Kind().String())
	}
}

// elem writes the element of a slice or an array: bytes by the name people use.
func (d *describer) elem(t reflect.Type) {
	if t == reflect.TypeFor[byte]() {
		d.WriteString("byte")
		return
	}
	d.typ(t)
}

func (d *describer) fields(t reflect.Type) {
	d.WriteString("struct{")
	for i := range t.NumField() {
		if i > 0 {
			d.WriteString("; ")
		}
		f := t.Field(i)
		if !f.Anonymous {
			d.WriteString(f.Name + " ")
		}
		d.typ(f.Type)
	}
	d.WriteByte('}')
}

func (d *describer) methods(t reflect.Type) {
	if t == reflect.TypeFor[error]() {
		d.WriteString("error")
		return
	}
	if t.NumMethod() == 0 {
		d.WriteString("any")
		return
	}
	d.WriteString("interface{")
	for i := range t.NumMethod() {
		if i > 0 {
			d.WriteString("; ")
		}
		m := t.Method(i)
		d.WriteString(m.Name + strings.TrimPrefix(m.Type.String(), "func"))
	}
	d.WriteByte('}')
}

var (
	binaryMarshaler   = reflect.TypeFor[encoding.BinaryMarshaler]()
	binaryAppender    = reflect.TypeFor[encoding.BinaryAppender]()
	binaryUnmarshaler = reflect.TypeFor[encoding.BinaryUnmarshaler]()
	gobEncoder        = reflect.TypeFor[interface{ GobEncode() ([]byte, error) }]()
	gobDecoder        = reflect.TypeFor[interface{ GobDecode(b []byte) error }]()
)

// SelfWritten tells whether values of a type are written and read by methods of its own.
func SelfWritten(t reflect.Type) bool { return selfWritten(t) != "" }

// selfWritten says in which form a type writes and reads itself, or "" when its layout is what travels.
func selfWritten(t reflect.Type) string {
	if t.Kind() == reflect.Interface || t.Kind() == reflect.Pointer {
		return ""
	}
	// An embedded field lends its methods, which know nothing of the fields beside it: the codec does not use those.
	if t.Kind() == reflect.Struct {
		for i := range t.NumField() {
			if t.Field(i).Anonymous {
				return ""
			}
		}
	}
	p := reflect.PointerTo(t)
	switch {
	case (p.Implements(binaryMarshaler) || p.Implements(binaryAppender)) && p.Implements(binaryUnmarshaler):
		return "binary"
	case p.Implements(gobEncoder) && p.Implements(gobDecoder):
		return "binary"
	case pkl5.ByText(t):
		return "text"
	}
	return ""
}
