package pkl5

import (
	"fmt"
	"math"
	"reflect"
	"strings"
	"unsafe"
)

type (
	encodeFunc func(e *Encoder, p unsafe.Pointer) error
	decodeFunc func(d *Decoder, p unsafe.Pointer) error
)

// plan is how one type travels. Everything in it depends on the type alone, so that both ends agree.
//
// Of a type that leads to itself, a part may be planned before the whole: enc and dec of what a slice, pointer or map
// leads to are read when a value comes, not when it is planned.
type plan struct {
	codec Codec
	typ   reflect.Type
	enc   encodeFunc
	dec   decodeFunc

	// min is the fewest bytes of stream and segments that a value takes. It is at least 1 unless the type has no size:
	// what costs memory costs input.
	min int

	linked   bool // reaches a pointer, map, interface or itself: values need the tables of references
	plain    bool // neither linked nor with marshallers: cannot fail
	flat     bool // no pointers and no marshallers: slices and arrays of it are one piece of memory
	bigArray bool // flat array that may go out of band by itself
	borrowed bool // encoding may hand out memory inside the value, which must then live on

	// check reports whether n flat values side by side are valid in Go. It is nil if any bytes are.
	check func(p unsafe.Pointer, n int) bool

	fields []field // of a struct without marshaller
	op     op
}

// alloc returns a zero value.
func (pl *plan) alloc() unsafe.Pointer { return reflect.New(pl.typ).UnsafePointer() }

// builder plans a type and all that it reaches. Plans are published together, when all have succeeded.
//
// A struct or array asks its parts for facts (min, flat, fields) and so needs them complete. It contains them by value
// and so never itself: planning goes down by value first. Slices, pointers and maps tell others nothing but that they
// take a byte; what they lead to, perhaps back to where they are, waits until nothing is half done.
type builder struct {
	made  map[reflect.Type]*plan
	known map[reflect.Type]reach
	ours  map[reflect.Type]*marshaller
	later []indirect
	way   *way // to the type that is being planned
}

// way is a type, and what it is a part of.
type way struct {
	typ   reflect.Type
	outer *way
}

// byTextInstead says which of the types on the way could travel by its text, the nearest; nothing where none could.
func (w *way) byTextInstead() string {
	for ; w != nil; w = w.outer {
		if m := textOf(w.typ); m != nil {
			return fmt.Sprintf("; or call RegisterType for %s, before what contains it: it has %s and %s, and travels by its text then", w.typ, m.write, m.read)
		}
	}
	return ""
}

// indirect is a slice, pointer or map whose parts are not planned yet.
type indirect struct {
	plan *plan
	path string
	way  *way
}

// all plans t and what it leads to.
func (b *builder) all(t reflect.Type) (*plan, error) {
	pl, err := b.plan(t, typeName(t))
	for i := 0; err == nil && i < len(b.later); i++ {
		b.way = b.later[i].way
		err = b.follow(b.later[i].plan, b.later[i].path)
	}
	return pl, err
}

// plan plans t and what it contains by value.
func (b *builder) plan(t reflect.Type, path string) (*plan, error) {
	if pl, ok := plans.Load(t); ok {
		return pl.(*plan), nil
	}
	if pl, ok := b.made[t]; ok {
		return pl, nil
	}
	r := b.reach(t, map[reflect.Type]bool{})
	pl := &plan{typ: t, linked: r.linked, plain: !r.linked && !r.custom}
	pl.codec.plan = pl
	b.made[t] = pl
	outer := b.way
	b.way = &way{t, outer}
	err := b.fill(pl, t, path)
	b.way = outer
	return pl, err
}

func (b *builder) fill(pl *plan, t reflect.Type, path string) error {
	if special(pl, t) {
		return nil
	}
	if m := b.marshaller(t); m != nil {
		m.fill(pl)
		return nil
	}
	if why := refused(t); why != "" {
		return &UnsupportedError{Type: t, Path: path, Reason: why + b.way.byTextInstead()}
	}
	switch t.Kind() {
	case reflect.Slice, reflect.Pointer, reflect.Map:
		pl.min = 1
		b.later = append(b.later, indirect{pl, path, b.way})
	case reflect.Array:
		if t.Len() == 0 { // even [0]func(), which structs use to forbid comparison
			empty(pl)
			return nil
		}
		elem, err := b.plan(t.Elem(), path+"[]")
		if err != nil {
			return err
		}
		array(pl, elem, t.Len())
	case reflect.Struct:
		return b.structure(pl, t, path)
	case reflect.Interface:
		pl.min = 1
		iface(pl)
	default:
		scalar(pl, t.Kind())
	}
	return nil
}

// follow plans what a slice, pointer or map leads to.
func (b *builder) follow(pl *plan, path string) error {
	t := pl.typ
	if t.Kind() != reflect.Pointer {
		path += "[]"
	}
	elem, err := b.plan(t.Elem(), path)
	if err != nil {
		return err
	}
	switch t.Kind() {
	case reflect.Slice:
		slice(pl, elem)
	case reflect.Pointer:
		pointer(pl, elem)
	default:
		key, err := b.plan(t.Key(), strings.TrimSuffix(path, "[]")+"[key]")
		if err != nil {
			return err
		}
		mapping(pl, key, elem)
	}
	return nil
}

// reach is what a type leads to, whatever order types are planned in.
type reach struct{ linked, custom bool }

func (b *builder) reach(t reflect.Type, above map[reflect.Type]bool) reach {
	if r, ok := b.known[t]; ok {
		return r
	}
	if above[t] {
		return reach{linked: true}
	}
	above[t] = true
	var r reach
	join := func(t reflect.Type) {
		o := b.reach(t, above)
		r.linked, r.custom = r.linked || o.linked, r.custom || o.custom
	}
	switch {
	case isSpecial(t) || refused(t) != "":
	case b.marshaller(t) != nil:
		r.custom = true
	default:
		switch t.Kind() {
		case reflect.Pointer, reflect.Map, reflect.Interface:
			r.linked = true
		case reflect.Slice:
			join(t.Elem())
		case reflect.Array:
			if t.Len() > 0 {
				join(t.Elem())
			}
		case reflect.Struct:
			for i := range t.NumField() {
				if f := t.Field(i); f.Name != "_" {
					join(f.Type)
				}
			}
		}
	}
	delete(above, t)
	if b.known == nil {
		b.known = map[reflect.Type]reach{}
	}
	b.known[t] = r
	return r
}

// refused returns why values of t cannot be sent, or nothing. Only t itself is judged.
func refused(t reflect.Type) string {
	switch t.Kind() {
	case reflect.Chan:
		return "a channel lives in one process; send the values, or leave the field out of the type"
	case reflect.Func:
		return "a function lives in one process; register it and send its name, or leave the field out of the type"
	case reflect.UnsafePointer:
		return "an unsafe.Pointer means nothing in another process; use a typed pointer or a slice"
	}
	const state = "it holds the state of one process's goroutines; leave it out of the type or give the type a marshaller"
	name := t.Name()
	switch t.PkgPath() {
	case "sync":
		switch name {
		case "WaitGroup", "Once", "Cond", "Pool", "Map":
			return state
		}
	case "sync/atomic":
		if name == "Value" || strings.HasPrefix(name, "Pointer[") {
			return "it cannot be read as one with what it points to; send a plain value or pointer"
		}
	case "unique", "weak":
		return "its identity belongs to one process; send the value it stands for"
	case "container/list":
		return "its elements point into it, which would not survive; send a slice"
	case "internal/poll", "runtime":
		return "it stands for a resource of this process; send what is needed to open it again"
	case "reflect":
		if name == "Value" {
			return "send the value itself, inside an interface if its type varies"
		}
	case "strings":
		if name == "Builder" {
			return "it must not be copied; send its String()"
		}
	}
	return ""
}

// typeName is how paths call a type.
func typeName(t reflect.Type) string { return t.String() }

// times multiplies lengths and stays at the largest one.
func times(a, b int) int {
	if a != 0 && b > math.MaxInt/a {
		return math.MaxInt
	}
	return a * b
}

func plus(a, b int) int {
	if a > math.MaxInt-b {
		return math.MaxInt
	}
	return a + b
}

// empty makes pl the plan of a type without content.
func empty(pl *plan) {
	pl.min, pl.flat = 0, pl.typ.Size() == 0
	pl.enc = func(*Encoder, unsafe.Pointer) error { return nil }
	pl.dec = func(*Decoder, unsafe.Pointer) error { return nil }
}
