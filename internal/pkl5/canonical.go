package pkl5

import (
	"bytes"
	"errors"
	"reflect"
	"slices"
	"unsafe"
)

// hole is a part of a flat value that holds nothing: padding, or a field called _. What stands there is chance.
type hole struct{ from, to uintptr }

// holesOf returns the holes of a flat type in order.
func holesOf(t reflect.Type) []hole {
	var all []hole
	switch t.Kind() {
	case reflect.Array:
		in := holesOf(t.Elem())
		if len(in) == 0 {
			return nil
		}
		for i := range uintptr(t.Len()) {
			for _, h := range in {
				at := i * t.Elem().Size()
				all = append(all, hole{at + h.from, at + h.to})
			}
		}
	case reflect.Struct:
		end := uintptr(0)
		for i := range t.NumField() {
			f := t.Field(i)
			if f.Name == "_" {
				continue
			}
			if f.Offset > end {
				all = append(all, hole{end, f.Offset})
			}
			for _, h := range holesOf(f.Type) {
				all = append(all, hole{f.Offset + h.from, f.Offset + h.to})
			}
			end = max(end, f.Offset+f.Type.Size())
		}
		if end < t.Size() {
			all = append(all, hole{end, t.Size()})
		}
	}
	return all
}

// filled returns flat memory with zeros in its holes: itself where there are none.
func filled(b []byte, size uintptr, holes []hole) []byte {
	if len(holes) == 0 || len(b) == 0 {
		return b
	}
	b = bytes.Clone(b)
	for at := uintptr(0); at < uintptr(len(b)); at += size {
		for _, h := range holes {
			clear(b[at+h.from : at+h.to])
		}
	}
	return b
}

// mostNested is how many maps may be in the keys of each other in a canonical encoding.
const mostNested = 8

var errKeys = errors.New("the keys of a map lead to maps, too deeply, or to their own")

// encodeSorted encodes the entries of a map in the order of their keys' encodings, and of their values' where those are equal.
func encodeSorted(e *Encoder, p unsafe.Pointer, pl, key, elem *plan) error {
	if e.nested >= mostNested {
		return errKeys
	}
	m := reflect.NewAt(pl.typ, p).Elem()
	e.Stream = appendUint(e.Stream, uint64(m.Len()))
	type entry struct {
		k, v     unsafe.Pointer
		from, to int // of the key in alone's stream
	}
	all := make([]entry, 0, m.Len())
	alone := &Encoder{Threshold: -1, Canonical: true, Level: e.Level, nested: e.nested + 1}
	for it := m.MapRange(); it.Next(); {
		k, v := reflect.New(key.typ), reflect.New(elem.typ)
		k.Elem().SetIterKey(it)
		v.Elem().SetIterValue(it)
		from := len(alone.Stream)
		if err := alone.value(key, k.UnsafePointer()); err != nil {
			return at(err, "[key]")
		}
		alone.forget()
		all = append(all, entry{k.UnsafePointer(), v.UnsafePointer(), from, len(alone.Stream)})
	}
	var problem error
	text := func(x entry) []byte {
		e := &Encoder{Threshold: -1, Canonical: true, Level: e.Level, nested: e.nested + 1}
		if err := e.value(elem, x.v); err != nil && problem == nil {
			problem = err
		}
		return e.Stream
	}
	slices.SortFunc(all, func(x, y entry) int {
		if c := bytes.Compare(alone.Stream[x.from:x.to], alone.Stream[y.from:y.to]); c != 0 {
			return c
		}
		return bytes.Compare(text(x), text(y)) // NaNs, and pointers to equal values
	})
	if problem != nil {
		return problem
	}
	for _, x := range all {
		if err := key.enc(e, x.k); err != nil {
			return at(err, "[key]")
		}
		if err := elem.enc(e, x.v); err != nil {
			return at(err, stepKey(reflect.NewAt(key.typ, x.k).Elem().Interface()))
		}
	}
	return nil
}

// HoldsAny tells whether values of the type, or of what it leads to, may stand in interfaces: then more types than it shows decide how they are encoded.
func (c *Codec) HoldsAny() bool { return holdsAny(c.plan.typ, map[reflect.Type]bool{}) }

func holdsAny(t reflect.Type, seen map[reflect.Type]bool) bool {
	if seen[t] {
		return false
	}
	seen[t] = true
	switch t.Kind() {
	case reflect.Interface:
		return true
	case reflect.Map:
		return holdsAny(t.Key(), seen) || holdsAny(t.Elem(), seen)
	case reflect.Pointer, reflect.Slice, reflect.Array:
		return holdsAny(t.Elem(), seen)
	case reflect.Struct:
		for i := range t.NumField() {
			if holdsAny(t.Field(i).Type, seen) {
				return true
			}
		}
	}
	return false
}
