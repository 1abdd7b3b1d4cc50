package pkl5

import (
	"encoding/binary"
	"reflect"
	"unsafe"
)

// field is one field of a struct, or of a struct inside it.
type field struct {
	off  uintptr
	op   op
	plan *plan
	name string // ".Outer.Inner"
}

// structure makes pl the plan of a struct: its fields in order, exported or not, but for those called _.
//
// A struct within is dissolved into its fields. A struct that has size but nothing to carry takes one byte.
func (b *builder) structure(pl *plan, t reflect.Type, path string) error {
	pl.flat = true
	var checks []field
	for i := range t.NumField() {
		f := t.Field(i)
		if f.Name == "_" {
			continue
		}
		sub, err := b.plan(f.Type, path+"."+f.Name)
		if err != nil {
			return err
		}
		pl.flat = pl.flat && sub.flat
		pl.borrowed = pl.borrowed || sub.borrowed
		if sub.check != nil {
			checks = append(checks, field{off: f.Offset, plan: sub})
		}
		if sub.fields != nil {
			for _, g := range sub.fields {
				pl.fields = append(pl.fields, field{f.Offset + g.off, g.op, g.plan, "." + f.Name + g.name})
			}
			pl.min = plus(pl.min, sub.min)
			continue
		}
		if sub.min > 0 {
			pl.fields = append(pl.fields, field{f.Offset, sub.op, sub, "." + f.Name})
			pl.min = plus(pl.min, sub.min)
		}
	}
	if len(checks) > 0 && pl.flat {
		size := t.Size()
		pl.check = func(p unsafe.Pointer, n int) bool {
			for i := range n {
				for _, c := range checks {
					if !c.plan.check(unsafe.Add(p, uintptr(i)*size+c.off), 1) {
						return false
					}
				}
			}
			return true
		}
	}
	switch {
	case pl.min > 0:
		fields(pl)
	case t.Size() == 0:
		empty(pl)
	default:
		filler(pl)
	}
	return nil
}

func fields(pl *plan) {
	list := pl.fields
	pl.enc = func(e *Encoder, p unsafe.Pointer) error {
		for i := range list {
			f := &list[i]
			q := unsafe.Add(p, f.off)
			switch f.op {
			case opInt64:
				e.Stream = appendUint(e.Stream, zigzag(*(*int64)(q)))
			case opFloat64:
				e.Stream = binary.LittleEndian.AppendUint64(e.Stream, *(*uint64)(q))
			case opString:
				e.string(*(*string)(q))
			default:
				if err := f.plan.enc(e, q); err != nil {
					return at(err, f.name)
				}
			}
		}
		return nil
	}
	pl.dec = func(d *Decoder, p unsafe.Pointer) error {
		for i := range list {
			f := &list[i]
			q := unsafe.Add(p, f.off)
			var err error
			switch f.op {
			case opInt64:
				var u uint64
				u, err = d.uint()
				*(*int64)(q) = unzigzag(u)
			case opString:
				*(*string)(q), err = d.string()
			case opFloat64:
				if len(d.in)-d.pos < 8 {
					err = d.cut(8)
					break
				}
				*(*uint64)(q) = binary.LittleEndian.Uint64(d.in[d.pos:])
				d.pos += 8
			default:
				err = f.plan.dec(d, q)
			}
			if err != nil {
				return at(err, f.name)
			}
		}
		return nil
	}
}

// filler carries one zero byte, so that what takes memory takes input too.
func filler(pl *plan) {
	pl.min = 1
	pl.enc = func(e *Encoder, _ unsafe.Pointer) error {
		e.Stream = append(e.Stream, 0)
		return nil
	}
	pl.dec = func(d *Decoder, _ unsafe.Pointer) error {
		b, err := d.take(1)
		if err == nil && b[0] != 0 {
			return d.corrupt("%d where nothing can be", b[0])
		}
		return err
	}
}
