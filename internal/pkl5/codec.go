package pkl5

import (
	"encoding/binary"
	"reflect"
	"sync"
	"unsafe"
)

// Codec encodes and decodes the values of one type. It is immutable; its methods may be called together.
type Codec struct {
	plan *plan
}

var (
	plans   sync.Map   // reflect.Type → *plan, complete ones only
	planMu  sync.Mutex // held while plans are made, so that each type has one plan in the process
	refusal sync.Map   // reflect.Type → *UnsupportedError
)

// Compile returns the codec of t, made once per type.
//
// The error is an *UnsupportedError when t contains something that cannot be sent. Interfaces are not looked into:
// what they hold is known at Encode only.
func Compile(t reflect.Type) (*Codec, error) {
	pl, err := planOf(t)
	if err != nil {
		return nil, err
	}
	return &pl.codec, nil
}

func planOf(t reflect.Type) (*plan, error) {
	if t == nil {
		return nil, &UnsupportedError{Path: "nil", Reason: "there is no type; give the static one, any for an interface"}
	}
	if pl, ok := plans.Load(t); ok {
		return pl.(*plan), nil
	}
	if err, ok := refusal.Load(t); ok {
		return nil, err.(*UnsupportedError)
	}
	planMu.Lock()
	defer planMu.Unlock()
	b := builder{made: map[reflect.Type]*plan{}}
	pl, err := b.all(t)
	if err != nil {
		refusal.Store(t, err)
		return nil, err
	}
	for t, pl := range b.made {
		plans.Store(t, pl)
	}
	return pl, nil
}

// Type returns the type whose values c encodes.
func (c *Codec) Type() reflect.Type { return c.plan.typ }

// Plain tells whether values lead to no pointer, map, interface or code of their type: then Encode cannot fail.
func (c *Codec) Plain() bool { return c.plan.plain }

// Borrows tells whether segments may alias the very memory that Encode is given, not only what that leads to: the value
// itself must then be left alone until they have been sent.
func (c *Codec) Borrows() bool { return c.plan.borrowed }

// Typed is a Codec whose methods take *T.
type Typed[T any] struct {
	codec *Codec
	op    op // what needs no call
}

// Of returns the codec of T; see Compile.
func Of[T any]() (*Typed[T], error) {
	c, err := Compile(reflect.TypeFor[T]())
	if err != nil {
		return nil, err
	}
	return &Typed[T]{c, c.plan.op}, nil
}

// Codec returns the untyped codec.
func (c *Typed[T]) Codec() *Codec { return c.codec }

// Encode appends *v to e; see Codec.Encode.
func (c *Typed[T]) Encode(e *Encoder, v *T) error {
	switch c.op {
	case opInt64:
		e.Stream = appendUint(e.Stream, zigzag(*(*int64)(unsafe.Pointer(v))))
		return nil
	case opFloat64:
		e.Stream = binary.LittleEndian.AppendUint64(e.Stream, *(*uint64)(unsafe.Pointer(v)))
		return nil
	}
	return c.codec.Encode(e, unsafe.Pointer(v))
}

// Decode reads the next value of d into *v, which must be zero; see Codec.Decode.
func (c *Typed[T]) Decode(d *Decoder, v *T) error {
	switch c.op {
	case opInt64:
		if d.pos < len(d.in) && d.in[d.pos] < short {
			*(*int64)(unsafe.Pointer(v)) = unzigzag(uint64(d.in[d.pos]))
			d.pos++
			return nil
		}
		if left := d.in[d.pos:]; len(left) == 5 || len(left) == 4 { // a number alone
			if n := int(left[0]) - (short - 1); n == len(left)-1 {
				u := uint64(binary.LittleEndian.Uint32(left[len(left)-4:]))
				if n == 3 {
					u >>= 8
				}
				*(*int64)(unsafe.Pointer(v)) = unzigzag(u)
				d.pos += 1 + n
				return nil
			}
		}
		if u, err := d.uintLong(); err == nil {
			*(*int64)(unsafe.Pointer(v)) = unzigzag(u)
			return nil
		}
	case opFloat64:
		if len(d.in)-d.pos >= 8 {
			*(*uint64)(unsafe.Pointer(v)) = binary.LittleEndian.Uint64(d.in[d.pos:])
			d.pos += 8
			return nil
		}
	}
	return c.codec.Decode(d, unsafe.Pointer(v))
}
