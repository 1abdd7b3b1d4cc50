package pkl5

import (
	"math"
	"reflect"
	"unsafe"
)

// header is a slice in memory.
type header struct {
	data     unsafe.Pointer
	len, cap int
}

// nothing is what empty slices that are not nil point to.
var nothing uint64

const (
	// flagged is the size from which a flat array says whether it went out of band, and so may.
	flagged = 64

	maxBytes = 1 << 47 // no allocation is larger on any platform
)

// slice makes pl the plan of a slice of elem. Zero stands for nil, otherwise the length follows, plus one.
func slice(pl, elem *plan) {
	switch {
	case elem.flat && elem.typ.Size() > 0:
		flatSlice(pl, elem)
	case elem.op == opString && elem.typ.Kind() == reflect.String:
		stringSlice(pl)
	default:
		anySlice(pl, elem)
	}
}

func flatSlice(pl, elem *plan) {
	size, align := elem.typ.Size(), uintptr(elem.typ.Align())
	holes := holesOf(elem.typ)
	pl.enc = func(e *Encoder, p unsafe.Pointer) error {
		s := (*header)(p)
		if s.data == nil {
			e.Stream = append(e.Stream, 0)
			return nil
		}
		b := unsafe.Slice((*byte)(s.data), uintptr(s.len)*size)
		if e.Canonical {
			b = filled(b, size, holes)
		}
		e.block(b, uint64(s.len), 1, true)
		return nil
	}
	pl.dec = func(d *Decoder, p unsafe.Pointer) error {
		h, err := d.uint()
		if err != nil || h == 0 {
			return err
		}
		b, out, err := d.block(h-1, size)
		if err != nil {
			return err
		}
		if !out || uintptr(unsafe.Pointer(unsafe.SliceData(b)))%align != 0 {
			b = alignedCopy(b, align)
		}
		n := len(b) / int(size)
		s := header{unsafe.Pointer(unsafe.SliceData(b)), n, n}
		if n == 0 {
			s.data = unsafe.Pointer(&nothing)
		}
		if elem.check != nil && !elem.check(s.data, n) {
			return d.corrupt("a bool that is neither true nor false")
		}
		*(*header)(p) = s
		return nil
	}
}

// alignedCopy returns a copy of b that is aligned for any element.
func alignedCopy(b []byte, align uintptr) []byte {
	// The allocator aligns to the size of what it is asked for, and append does not clear what it will overwrite.
	if c := append([]byte(nil), b...); uintptr(unsafe.Pointer(unsafe.SliceData(c)))%align == 0 {
		return c
	}
	w := make([]uint64, (len(b)+7)/8)
	c := unsafe.Slice((*byte)(unsafe.Pointer(&w[0])), len(b))
	copy(c, b)
	return c
}

func stringSlice(pl *plan) {
	pl.enc = func(e *Encoder, p unsafe.Pointer) error {
		s := *(*[]string)(p)
		if s == nil {
			e.Stream = append(e.Stream, 0)
			return nil
		}
		e.Stream = appendUint(e.Stream, uint64(len(s))+1)
		for _, v := range s {
			e.string(v)
		}
		return nil
	}
	pl.dec = func(d *Decoder, p unsafe.Pointer) error {
		h, err := d.uint()
		if err != nil || h == 0 {
			return err
		}
		if err := d.claim(h-1, 1); err != nil {
			return err
		}
		s := make([]string, h-1)
		*(*[]string)(p) = s
		for i := range s {
			d.owed--
			if s[i], err = d.string(); err != nil {
				return at(err, stepIndex(i))
			}
		}
		return nil
	}
}

func anySlice(pl, elem *plan) {
	size, nested, typ := elem.typ.Size(), elem.linked, pl.typ
	pl.enc = func(e *Encoder, p unsafe.Pointer) error {
		s := (*header)(p)
		if s.data == nil {
			e.Stream = append(e.Stream, 0)
			return nil
		}
		e.Stream = appendUint(e.Stream, uint64(s.len)+1)
		if elem.min == 0 {
			return nil
		}
		if nested {
			if err := e.enter(); err != nil {
				return err
			}
		}
		for i := range s.len {
			if err := elem.enc(e, unsafe.Add(s.data, uintptr(i)*size)); err != nil {
				return at(err, stepIndex(i))
			}
		}
		if nested {
			e.depth--
		}
		return nil
	}
	pl.dec = func(d *Decoder, p unsafe.Pointer) error {
		h, err := d.uint()
		if err != nil || h == 0 {
			return err
		}
		n, least := h-1, elem.min
		if n > math.MaxInt || size > 0 && n > maxBytes/uint64(size) {
			return d.corrupt("%d elements of %d bytes announced", n, size)
		}
		if err := d.claim(n, least); err != nil {
			return err
		}
		s := header{unsafe.Pointer(&nothing), int(n), int(n)}
		if n > 0 && size > 0 {
			s.data = reflect.MakeSlice(typ, int(n), int(n)).UnsafePointer()
		}
		*(*header)(p) = s
		if least == 0 {
			return nil
		}
		if nested {
			if err := d.enter(); err != nil {
				return err
			}
		}
		for i := range s.len {
			d.owed -= least
			if err := elem.dec(d, unsafe.Add(s.data, uintptr(i)*size)); err != nil {
				return at(err, stepIndex(i))
			}
		}
		if nested {
			d.depth--
		}
		return nil
	}
}

// array makes pl the plan of an array of n elem, n > 0.
func array(pl, elem *plan, n int) {
	size := elem.typ.Size()
	pl.flat, pl.borrowed = elem.flat, elem.borrowed
	switch {
	case elem.min == 0:
		empty(pl)
	case elem.flat:
		flatArray(pl, elem, n)
	default:
		pl.min = times(n, elem.min)
		pl.enc = func(e *Encoder, p unsafe.Pointer) error {
			for i := range n {
				if err := elem.enc(e, unsafe.Add(p, uintptr(i)*size)); err != nil {
					return at(err, stepIndex(i))
				}
			}
			return nil
		}
		pl.dec = func(d *Decoder, p unsafe.Pointer) error {
			for i := range n {
				if err := elem.dec(d, unsafe.Add(p, uintptr(i)*size)); err != nil {
					return at(err, stepIndex(i))
				}
			}
			return nil
		}
	}
}

// flatArray carries memory as it is. From 64 bytes on, a byte before it says whether it went out of band.
func flatArray(pl, elem *plan, n int) {
	size := pl.typ.Size()
	holes := holesOf(elem.typ)
	pl.bigArray = size >= flagged
	pl.borrowed = pl.bigArray
	pl.min = int(size)
	if pl.bigArray {
		pl.min = plus(pl.min, 1)
	}
	if elem.check != nil {
		pl.check = func(p unsafe.Pointer, m int) bool { return elem.check(p, n*m) }
	}
	pl.enc = func(e *Encoder, p unsafe.Pointer) error {
		b := unsafe.Slice((*byte)(p), size)
		if e.Canonical {
			b = filled(b, elem.typ.Size(), holes)
		}
		if pl.bigArray {
			if e.outOfBand(b, true) {
				e.Stream = append(e.Stream, 1)
				return nil
			}
			e.Stream = append(e.Stream, 0)
		}
		e.Stream = append(e.Stream, b...)
		return nil
	}
	pl.dec = func(d *Decoder, p unsafe.Pointer) error {
		b, _, err := d.arrayBytes(pl)
		if err != nil {
			return err
		}
		copy(unsafe.Slice((*byte)(p), size), b)
		return d.checkArray(pl, p)
	}
}

func (d *Decoder) arrayBytes(pl *plan) (b []byte, out bool, err error) {
	size := uint64(pl.typ.Size())
	if pl.bigArray {
		h, err := d.take(1)
		switch {
		case err != nil:
			return nil, false, err
		case h[0] > 1:
			return nil, false, d.corrupt("%d does not say where an array is", h[0])
		case h[0] == 1:
			b, err = d.segment(size)
			return b, true, err
		}
	}
	b, err = d.take(size)
	return b, false, err
}

func (d *Decoder) checkArray(pl *plan, p unsafe.Pointer) error {
	if pl.check != nil && !pl.check(p, 1) {
		return d.corrupt("a bool that is neither true nor false")
	}
	return nil
}

// arrayPointee decodes what the pointer at p leads to, an array that may be the segment itself.
func (d *Decoder) arrayPointee(p unsafe.Pointer, elem *plan) error {
	b, out, err := d.arrayBytes(elem)
	if err != nil {
		return err
	}
	q := unsafe.Pointer(unsafe.SliceData(b))
	if align := uintptr(elem.typ.Align()); !out || uintptr(q)%align != 0 {
		q = unsafe.Pointer(unsafe.SliceData(alignedCopy(b, align)))
	}
	if err := d.checkArray(elem, q); err != nil {
		return err
	}
	*(*unsafe.Pointer)(p) = q
	d.refs = append(d.refs, ref{p: q, plan: elem})
	return nil
}
