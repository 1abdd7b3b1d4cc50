package pkl5

import (
	"encoding/binary"
	"math"
	"reflect"
	"unsafe"

	"golang.org/x/exp/constraints"
)

// mapping makes pl the plan of a map: a reference as for a pointer, the number of entries, the entries in any order.
func mapping(pl, key, elem *plan) {
	w := fastMap(pl)
	if w == nil {
		w = &mapWalk{
			enc: func(e *Encoder, p unsafe.Pointer) error { return encodeMap(e, p, pl, key, elem) },
			dec: func(d *Decoder, p unsafe.Pointer, n, least int) error {
				return decodeMap(d, p, n, least, pl, key, elem)
			},
		}
	}
	pl.enc = func(e *Encoder, p unsafe.Pointer) error {
		m := *(*unsafe.Pointer)(p)
		if m == nil {
			e.Stream = append(e.Stream, 0)
			return nil
		}
		if known, err := e.refer(m, pl, false); known || err != nil {
			return err
		}
		if err := e.enter(); err != nil {
			return err
		}
		var err error
		if e.Canonical {
			err = encodeSorted(e, p, pl, key, elem)
		} else {
			err = w.enc(e, p)
		}
		e.depth--
		return err
	}
	pl.dec = func(d *Decoder, p unsafe.Pointer) error {
		fresh, err := d.refer(p, pl)
		if !fresh || err != nil {
			return err
		}
		n, err := d.uint()
		if err != nil {
			return err
		}
		least := plus(key.min, elem.min)
		if err := d.claim(n, least); err != nil {
			return err
		}
		if least == 0 && n > 1 {
			return d.corrupt("%d entries in a map that holds one at most", n)
		}
		if err := d.enter(); err != nil {
			return err
		}
		err = w.dec(d, p, int(n), least)
		d.depth--
		return err
	}
}

// mapWalk encodes and decodes the entries of a map that is there.
type mapWalk struct {
	enc func(e *Encoder, p unsafe.Pointer) error

	// dec makes the map first. For each of the n entries it settles a claim of least.
	dec func(d *Decoder, p unsafe.Pointer, n, least int) error
}

// made sets the word at p to the new map m and gives it its number.
func (d *Decoder) made(p, m unsafe.Pointer, pl *plan) {
	*(*unsafe.Pointer)(p) = m
	d.refs = append(d.refs, ref{p: m, plan: pl})
}

func encodeMap(e *Encoder, p unsafe.Pointer, pl, key, elem *plan) error {
	m := reflect.NewAt(pl.typ, p).Elem()
	e.Stream = appendUint(e.Stream, uint64(m.Len()))
	k, v := reflect.New(key.typ), reflect.New(elem.typ)
	for it := m.MapRange(); it.Next(); {
		if key.borrowed {
			k = reflect.New(key.typ)
		}
		if elem.borrowed {
			v = reflect.New(elem.typ)
		}
		k.Elem().SetIterKey(it)
		v.Elem().SetIterValue(it)
		if err := key.enc(e, k.UnsafePointer()); err != nil {
			return at(err, "[key "+stepKey(k.Elem().Interface())[1:])
		}
		if err := elem.enc(e, v.UnsafePointer()); err != nil {
			return at(err, stepKey(k.Elem().Interface()))
		}
	}
	return nil
}

func decodeMap(d *Decoder, p unsafe.Pointer, n, least int, pl, key, elem *plan) error {
	m := reflect.MakeMapWithSize(pl.typ, n)
	d.made(p, m.UnsafePointer(), pl)
	k, v := reflect.New(key.typ).Elem(), reflect.New(elem.typ).Elem()
	for range n {
		d.owed -= least
		k.SetZero()
		v.SetZero()
		if err := key.dec(d, k.Addr().UnsafePointer()); err != nil {
			return at(err, "[key]")
		}
		if key.linked && !k.Comparable() {
			return d.corrupt("a map key that cannot be compared")
		}
		if err := elem.dec(d, v.Addr().UnsafePointer()); err != nil {
			return at(err, stepKey(k.Interface()))
		}
		m.SetMapIndex(k, v)
	}
	if m.Len() != n {
		return d.corrupt("%d of %d map keys occur twice", n-m.Len(), n)
	}
	return nil
}

// coder reads and writes one kind of key or element by value.
type coder[T any] struct {
	put func(e *Encoder, v T) error
	get func(d *Decoder) (T, error)
}

var (
	stringCoder = coder[string]{
		func(e *Encoder, v string) error { e.string(v); return nil },
		(*Decoder).string,
	}
	intCoder   = coder[int]{putSigned[int], readSigned[int]}
	int64Coder = coder[int64]{putSigned[int64], readSigned[int64]}
	floatCoder = coder[float64]{
		func(e *Encoder, v float64) error {
			e.Stream = binary.LittleEndian.AppendUint64(e.Stream, math.Float64bits(v))
			return nil
		},
		readFloat64,
	}
	boolCoder = coder[bool]{
		func(e *Encoder, v bool) error { return encodeBool(e, unsafe.Pointer(&v)) },
		func(d *Decoder) (v bool, err error) { err = decodeBool(d, unsafe.Pointer(&v)); return v, err },
	}
)

func putSigned[T constraints.Signed](e *Encoder, v T) error {
	e.Stream = appendUint(e.Stream, zigzag(int64(v)))
	return nil
}

// fastMap returns the walk of the maps that programs use most, which needs no reflection, or nil.
func fastMap(pl *plan) *mapWalk {
	switch pl.typ.Key() {
	case reflect.TypeFor[string]():
		return fastKey(pl, stringCoder)
	case reflect.TypeFor[int]():
		return fastKey(pl, intCoder)
	case reflect.TypeFor[int64]():
		return fastKey(pl, int64Coder)
	}
	return nil
}

func fastKey[K comparable](pl *plan, k coder[K]) *mapWalk {
	switch pl.typ.Elem() {
	case reflect.TypeFor[string]():
		return fast(pl, k, stringCoder)
	case reflect.TypeFor[int]():
		return fast(pl, k, intCoder)
	case reflect.TypeFor[int64]():
		return fast(pl, k, int64Coder)
	case reflect.TypeFor[float64]():
		return fast(pl, k, floatCoder)
	case reflect.TypeFor[bool]():
		return fast(pl, k, boolCoder)
	case reflect.TypeFor[any]():
		return fast(pl, k, coder[any]{(*Encoder).any, (*Decoder).any})
	}
	return nil
}

func fast[K comparable, V any](pl *plan, key coder[K], elem coder[V]) *mapWalk {
	return &mapWalk{
		enc: func(e *Encoder, p unsafe.Pointer) error {
			m := *(*map[K]V)(p)
			e.Stream = appendUint(e.Stream, uint64(len(m)))
			for k, v := range m {
				_ = key.put(e, k) // these keys cannot fail
				if err := elem.put(e, v); err != nil {
					return at(err, stepKey(k))
				}
			}
			return nil
		},
		dec: func(d *Decoder, p unsafe.Pointer, n, least int) error {
			m := make(map[K]V, n)
			*(*map[K]V)(p) = m
			d.refs = append(d.refs, ref{p: *(*unsafe.Pointer)(p), plan: pl})
			for range n {
				d.owed -= least
				k, err := key.get(d)
				if err != nil {
					return at(err, "[key]")
				}
				v, err := elem.get(d)
				if err != nil {
					return at(err, stepKey(k))
				}
				m[k] = v
			}
			if len(m) != n {
				return d.corrupt("%d of %d map keys occur twice", n-len(m), n)
			}
			return nil
		},
	}
}
