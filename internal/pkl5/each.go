package pkl5

import (
	"encoding/binary"
	"math/bits"
	"unsafe"
)

// longest is the most bytes that a number takes, and LongestOne what AppendOne appends at most.
const (
	longest    = 9
	LongestOne = 1 + longest
)

// Number tells whether the methods of numbers know the type: int64, float64, an int of 64 bits, and types made of them. The
// others must not be called for any other type.
func (c *Typed[T]) Number() bool { return c.op == opInt64 || c.op == opFloat64 }

// EncodeEach appends each of some numbers behind a byte with the length of its encoding: what a loop of Encode would, and
// without a call for each.
func (c *Typed[T]) EncodeEach(e *Encoder, xs []T) {
	const block = 256
	for len(xs) > 0 {
		some := xs[:min(block, len(xs))]
		xs = xs[len(some):]
		b := e.Stream
		if cap(b)-len(b) < block*(1+longest) {
			b = append(b, make([]byte, block*(1+longest))...)[:len(b)]
		}
		at := len(b)
		b = b[:cap(b)]
		if c.op == opFloat64 {
			for i := range some {
				to := b[at : at+9]
				to[0] = 8
				binary.LittleEndian.PutUint64(to[1:], *(*uint64)(unsafe.Pointer(&some[i])))
				at += 9
			}
		} else {
			for i := range some {
				u := zigzag(*(*int64)(unsafe.Pointer(&some[i])))
				to := b[at : at+1+longest]
				if u < short {
					to[0], to[1] = 1, byte(u)
					at += 2
					continue
				}
				n := (bits.Len64(u) + 7) >> 3
				to[0], to[1] = byte(1+n), byte(short-1+n)
				binary.LittleEndian.PutUint64(to[2:], u)
				at += 2 + n
			}
		}
		e.Stream = b[:at]
	}
}

// AppendOne appends one number as EncodeEach does, without an Encoder.
func (c *Typed[T]) AppendOne(b []byte, v T) []byte {
	if c.op == opFloat64 {
		return binary.LittleEndian.AppendUint64(append(b, 8), *(*uint64)(unsafe.Pointer(&v)))
	}
	u := zigzag(*(*int64)(unsafe.Pointer(&v)))
	if u < short {
		return append(b, 1, byte(u))
	}
	n := (bits.Len64(u) + 7) >> 3
	b = append(b, byte(1+n), byte(short-1+n))
	return binary.LittleEndian.AppendUint64(b, u)[:len(b)+n]
}

// One returns the number whose encoding is all of b. False says that b is anything else, or no number in its usual form:
// Decode knows.
func (c *Typed[T]) One(b []byte) (v T, ok bool) {
	switch {
	case c.op == opFloat64:
		if ok = len(b) == 8; ok {
			*(*uint64)(unsafe.Pointer(&v)) = binary.LittleEndian.Uint64(b)
		}
	case len(b) == 1 && b[0] < short:
		*(*int64)(unsafe.Pointer(&v)), ok = unzigzag(uint64(b[0])), true
	case len(b) > 1 && len(b) <= longest && b[0] == byte(short-2+len(b)):
		u := uint64(0)
		for i, x := range b[1:] {
			u |= uint64(x) << (8 * i)
		}
		*(*int64)(unsafe.Pointer(&v)), ok = unzigzag(u), true
	}
	return v, ok
}

// DecodeEach reads numbers into dst, each behind a byte with the length of its encoding times 1<<shift, and returns how
// many of them there were, and in how many bytes. It stops in front of what is anything else, for Decode to say what it
// is.
func (c *Typed[T]) DecodeEach(b []byte, shift uint, dst []T) (n, size int) {
	if c.op == opFloat64 {
		for ; n < len(dst) && len(b)-size >= 9 && b[size] == 8<<shift; n++ {
			*(*uint64)(unsafe.Pointer(&dst[n])) = binary.LittleEndian.Uint64(b[size+1:])
			size += 9
		}
		return n, size
	}
	for ; n < len(dst) && len(b)-size >= 1+longest; n++ {
		from := b[size : size+1+longest]
		if from[1] < short {
			if from[0] != 1<<shift {
				break
			}
			*(*int64)(unsafe.Pointer(&dst[n])) = unzigzag(uint64(from[1]))
			size += 2
			continue
		}
		length := uint(from[1]) - (short - 1)
		if from[0] != byte((1+length)<<shift) {
			break
		}
		u := binary.LittleEndian.Uint64(from[2:]) & (^uint64(0) >> ((64 - 8*length) & 63))
		*(*int64)(unsafe.Pointer(&dst[n])) = unzigzag(u)
		size += int(2 + length)
	}
	return n, size
}
