package pkl5

import (
	"fmt"
	"reflect"
	"unsafe"
)

// An interface travels as a number and then the value as its own type would. 0 is nil. 1 is followed by the name of a
// registered type, or by an empty name and an error as package remote writes it. From 2 on come the types registered from the start, and after those the names met before in the
// same value.

// iface makes pl the plan of an interface type.
func iface(pl *plan) {
	typ := pl.typ
	if typ.NumMethod() == 0 {
		pl.enc = func(e *Encoder, p unsafe.Pointer) error { return e.any(*(*any)(p)) }
		pl.dec = func(d *Decoder, p unsafe.Pointer) (err error) {
			*(*any)(p), err = d.any()
			return err
		}
		return
	}
	exactly := typ == errorType
	pl.enc = func(e *Encoder, p unsafe.Pointer) error {
		// All interfaces with methods look alike in memory, and the conversion finds the type in any of them.
		v := any(*(*interface{ M() })(p))
		if v != nil && !exactly && !known(reflect.TypeOf(v)) { // the error that arrives could be of a type without the methods
			_, err := theCatalogue().lookup(reflect.TypeOf(v))
			return err
		}
		return e.any(v)
	}
	pl.dec = func(d *Decoder, p unsafe.Pointer) error {
		v, err := d.any()
		if err != nil || v == nil {
			return err
		}
		if t := reflect.TypeOf(v); !t.Implements(typ) {
			return d.corrupt("a %s where a %s belongs", t, typ)
		}
		reflect.NewAt(typ, p).Elem().Set(reflect.ValueOf(v))
		return nil
	}
}

// Numbers of the most frequent types.
const (
	tagNil     = 0
	tagName    = 1
	tagBuiltin = 2
	tagBool    = tagBuiltin + 0
	tagInt     = tagBuiltin + 1
	tagString  = tagBuiltin + 2
	tagFloat64 = tagBuiltin + 3
)

func (e *Encoder) any(v any) error {
	switch v := v.(type) {
	case nil:
		e.Stream = append(e.Stream, tagNil)
		return nil
	case int:
		e.Stream = appendUint(append(e.Stream, tagInt), zigzag(int64(v)))
		return nil
	case string:
		e.Stream = append(e.Stream, tagString)
		e.string(v)
		return nil
	case float64:
		e.Stream = append(e.Stream, tagFloat64)
		return floatCoder.put(e, v)
	case bool:
		e.Stream = append(e.Stream, tagBool)
		return boolCoder.put(e, v)
	}
	if err, ok := v.(error); ok && !known(reflect.TypeOf(v)) {
		return e.error(err)
	}
	c, err := e.tag(reflect.TypeOf(v))
	if err != nil {
		return err
	}
	q := (*eface)(unsafe.Pointer(&v)).data
	if c.direct {
		word := new(unsafe.Pointer)
		*word = q
		q = unsafe.Pointer(word)
	}
	if err := e.enter(); err != nil {
		return err
	}
	if err := c.plan.enc(e, q); err != nil {
		return at(err, ".("+typeName(c.typ)+")")
	}
	e.depth--
	return nil
}

// tag writes which type follows.
func (e *Encoder) tag(t reflect.Type) (*concrete, error) {
	cat := theCatalogue()
	for i, c := range e.types {
		if c.typ == t {
			e.Stream = appendUint(e.Stream, uint64(tagBuiltin+len(cat.builtin)+i))
			return c, nil
		}
	}
	c, err := cat.lookup(t)
	if err != nil {
		return nil, err
	}
	if c.builtin >= 0 {
		e.Stream = appendUint(e.Stream, uint64(tagBuiltin+c.builtin))
		return c, nil
	}
	e.types = append(e.types, c)
	e.Stream = append(e.Stream, tagName)
	e.Stream = append(appendUint(e.Stream, uint64(len(c.name))), c.name...)
	return c, nil
}

func (d *Decoder) any() (any, error) {
	tag, err := d.uint()
	if err != nil {
		return nil, err
	}
	switch tag {
	case tagNil:
		return nil, nil
	case tagInt:
		return boxed(readSigned[int](d))
	case tagString:
		return boxed(d.string())
	case tagFloat64:
		return boxed(readFloat64(d))
	case tagBool:
		return boxed(boolCoder.get(d))
	}
	c, err := d.concrete(tag)
	if err != nil {
		return nil, err
	}
	if c == nil {
		return d.error()
	}
	if err := d.enter(); err != nil {
		return nil, err
	}
	if err := d.claim(1, c.plan.min); err != nil {
		return nil, err
	}
	d.owed -= c.plan.min
	q := c.plan.alloc()
	if err := c.plan.dec(d, q); err != nil {
		return nil, at(err, ".("+typeName(c.typ)+")")
	}
	d.depth--
	if c.direct {
		q = *(*unsafe.Pointer)(q)
	}
	var v any
	*(*eface)(unsafe.Pointer(&v)) = eface{c.word, q}
	return v, nil
}

// boxed keeps a failed read from turning into a value.
func boxed[T any](v T, err error) (any, error) {
	if err != nil {
		return nil, err
	}
	return v, nil
}

// concrete returns the type that a tag stands for, nil for an error.
func (d *Decoder) concrete(tag uint64) (*concrete, error) {
	cat := theCatalogue()
	if tag != tagName {
		tag -= tagBuiltin
		if tag < uint64(len(cat.builtin)) {
			c := cat.builtin[tag]
			return c, c.ready()
		}
		if tag -= uint64(len(cat.builtin)); tag < uint64(len(d.types)) {
			return d.types[tag], nil
		}
		return nil, d.corrupt("no type has the number %d", tag)
	}
	n, err := d.uint()
	if err != nil {
		return nil, err
	}
	name, err := d.take(n)
	if err != nil {
		return nil, err
	}
	if n == 0 {
		return nil, nil // an error
	}
	r, ok := cat.byName.Load(string(name))
	if !ok {
		if len(name) > 200 {
			name = name[:200]
		}
		return nil, fmt.Errorf("%w: %q arrived inside an interface: call RegisterType for it in every process, at package level", ErrUnregistered, name)
	}
	c := r.(*concrete)
	if err := c.ready(); err != nil {
		return nil, err
	}
	d.types = append(d.types, c)
	return c, nil
}
