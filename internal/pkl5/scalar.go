package pkl5

import (
	"encoding/binary"
	"math"
	"reflect"
	"unsafe"

	"golang.org/x/exp/constraints"
)

// op marks the kinds that a struct handles in its own loop, without a call.
type op uint8

const (
	opCall op = iota
	opInt64
	opFloat64
	opString
	opBool
)

func scalar(pl *plan, k reflect.Kind) {
	pl.flat, pl.min = true, 1
	switch k {
	case reflect.Bool:
		pl.op, pl.enc, pl.dec, pl.check = opBool, encodeBool, decodeBool, validBools
	case reflect.Int8, reflect.Uint8:
		pl.enc, pl.dec = encodeByte, decodeByte
	case reflect.Int16:
		signed[int16](pl)
	case reflect.Int32:
		signed[int32](pl)
	case reflect.Int:
		signed[int](pl)
		if unsafe.Sizeof(int(0)) == 8 {
			pl.op = opInt64
		}
	case reflect.Int64:
		signed[int64](pl)
		pl.op = opInt64
	case reflect.Uint16:
		unsigned[uint16](pl)
	case reflect.Uint32:
		unsigned[uint32](pl)
	case reflect.Uint:
		unsigned[uint](pl)
	case reflect.Uint64:
		unsigned[uint64](pl)
	case reflect.Uintptr:
		unsigned[uintptr](pl)
	case reflect.Float32:
		pl.min, pl.enc, pl.dec = 4, encodeFloat32, decodeFloat32
	case reflect.Float64:
		pl.op, pl.min, pl.enc, pl.dec = opFloat64, 8, encodeFloat64, decodeFloat64
	case reflect.Complex64:
		pl.min = 8
		pl.enc = func(e *Encoder, p unsafe.Pointer) error {
			_ = encodeFloat32(e, p)
			return encodeFloat32(e, unsafe.Add(p, 4))
		}
		pl.dec = func(d *Decoder, p unsafe.Pointer) error {
			if err := decodeFloat32(d, p); err != nil {
				return err
			}
			return decodeFloat32(d, unsafe.Add(p, 4))
		}
	case reflect.Complex128:
		pl.min = 16
		pl.enc = func(e *Encoder, p unsafe.Pointer) error {
			_ = encodeFloat64(e, p)
			return encodeFloat64(e, unsafe.Add(p, 8))
		}
		pl.dec = func(d *Decoder, p unsafe.Pointer) error {
			if err := decodeFloat64(d, p); err != nil {
				return err
			}
			return decodeFloat64(d, unsafe.Add(p, 8))
		}
	case reflect.String:
		pl.flat = false
		pl.op, pl.enc, pl.dec = opString, encodeString, decodeString
	default:
		panic("pkl5: no plan for kind " + k.String())
	}
}

func signed[T constraints.Signed](pl *plan) {
	pl.enc = func(e *Encoder, p unsafe.Pointer) error {
		e.Stream = appendUint(e.Stream, zigzag(int64(*(*T)(p))))
		return nil
	}
	pl.dec = func(d *Decoder, p unsafe.Pointer) (err error) {
		*(*T)(p), err = readSigned[T](d)
		return err
	}
}

func unsigned[T constraints.Unsigned](pl *plan) {
	pl.enc = func(e *Encoder, p unsafe.Pointer) error {
		e.Stream = appendUint(e.Stream, uint64(*(*T)(p)))
		return nil
	}
	pl.dec = func(d *Decoder, p unsafe.Pointer) (err error) {
		*(*T)(p), err = readUnsigned[T](d)
		return err
	}
}

func readSigned[T constraints.Signed](d *Decoder) (T, error) {
	u, err := d.uint()
	v := unzigzag(u)
	if err == nil && int64(T(v)) != v {
		return 0, d.corrupt("%d does not fit in %d bits", v, 8*unsafe.Sizeof(T(0)))
	}
	return T(v), err
}

func readUnsigned[T constraints.Unsigned](d *Decoder) (T, error) {
	u, err := d.uint()
	if err == nil && uint64(T(u)) != u {
		return 0, d.corrupt("%d does not fit in %d bits", u, 8*unsafe.Sizeof(T(0)))
	}
	return T(u), err
}

func encodeByte(e *Encoder, p unsafe.Pointer) error {
	e.Stream = append(e.Stream, *(*byte)(p))
	return nil
}

func decodeByte(d *Decoder, p unsafe.Pointer) error {
	if d.pos >= len(d.in) {
		return d.cut(1)
	}
	*(*byte)(p) = d.in[d.pos]
	d.pos++
	return nil
}

func encodeBool(e *Encoder, p unsafe.Pointer) error {
	var b byte
	if *(*bool)(p) {
		b = 1
	}
	e.Stream = append(e.Stream, b)
	return nil
}

func decodeBool(d *Decoder, p unsafe.Pointer) error {
	if d.pos >= len(d.in) {
		return d.cut(1)
	}
	b := d.in[d.pos]
	if b > 1 {
		return d.corrupt("%d is not a bool", b)
	}
	*(*bool)(p) = b == 1
	d.pos++
	return nil
}

// validBools reports whether n bytes are bools. The compiler relies on it, so any other byte is refused.
func validBools(p unsafe.Pointer, n int) bool {
	b := unsafe.Slice((*byte)(p), n)
	var all uint64
	for ; len(b) >= 8; b = b[8:] {
		all |= binary.LittleEndian.Uint64(b)
	}
	for _, x := range b {
		all |= uint64(x)
	}
	return all&^0x0101010101010101 == 0
}

// Floating-point numbers travel as their bits, so the payload of a NaN and the sign of zero survive.

func encodeFloat32(e *Encoder, p unsafe.Pointer) error {
	e.Stream = binary.LittleEndian.AppendUint32(e.Stream, *(*uint32)(p))
	return nil
}

func decodeFloat32(d *Decoder, p unsafe.Pointer) error {
	if len(d.in)-d.pos < 4 {
		return d.cut(4)
	}
	*(*uint32)(p) = binary.LittleEndian.Uint32(d.in[d.pos:])
	d.pos += 4
	return nil
}

func encodeFloat64(e *Encoder, p unsafe.Pointer) error {
	e.Stream = binary.LittleEndian.AppendUint64(e.Stream, *(*uint64)(p))
	return nil
}

func decodeFloat64(d *Decoder, p unsafe.Pointer) error {
	if len(d.in)-d.pos < 8 {
		return d.cut(8)
	}
	*(*uint64)(p) = binary.LittleEndian.Uint64(d.in[d.pos:])
	d.pos += 8
	return nil
}

func readFloat64(d *Decoder) (v float64, err error) {
	b, err := d.take(8)
	if err == nil {
		v = math.Float64frombits(binary.LittleEndian.Uint64(b))
	}
	return v, err
}

func encodeString(e *Encoder, p unsafe.Pointer) error {
	e.string(*(*string)(p))
	return nil
}

func decodeString(d *Decoder, p unsafe.Pointer) (err error) {
	*(*string)(p), err = d.string()
	return err
}

func (e *Encoder) string(s string) {
	if len(s) < short>>1 && (len(s) < e.limit()) {
		e.Stream = append(append(e.Stream, byte(len(s)<<1)), s...)
		return
	}
	// A string does not change, so a snapshot may alias it too.
	e.block(unsafe.Slice(unsafe.StringData(s), len(s)), uint64(len(s)), 0, false)
}

func (d *Decoder) string() (string, error) {
	h, err := d.uint()
	if err != nil {
		return "", err
	}
	b, out, err := d.block(h, 1)
	if err != nil || len(b) == 0 {
		return "", err
	}
	if out {
		return unsafe.String(&b[0], len(b)), nil // the segment is ours from now on
	}
	return string(b), nil
}
