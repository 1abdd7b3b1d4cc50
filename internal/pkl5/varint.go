package pkl5

import (
	"encoding/binary"
	"math/bits"
)

// short is the first byte value that is not a number by itself but says how many bytes of it follow.
const short = 0xF8

// appendUint appends u: one byte below 0xF8, otherwise the byte 0xF7+n and the n low bytes of u, lowest first.
func appendUint(b []byte, u uint64) []byte {
	if u < short {
		return append(b, byte(u))
	}
	return appendLong(b, u)
}

func appendLong(b []byte, u uint64) []byte {
	n := (bits.Len64(u) + 7) >> 3
	// Nine bytes at once and a cut are cheaper than a loop.
	b = append(b, byte(short-1+n),
		byte(u), byte(u>>8), byte(u>>16), byte(u>>24), byte(u>>32), byte(u>>40), byte(u>>48), byte(u>>56))
	return b[:len(b)-8+n]
}

// uint reads a number written by appendUint.
func (d *Decoder) uint() (uint64, error) {
	if d.pos < len(d.in) {
		if b := d.in[d.pos]; b < short {
			d.pos++
			return uint64(b), nil
		}
	}
	return d.uintLong()
}

func (d *Decoder) uintLong() (uint64, error) {
	left := d.in[d.pos:]
	if len(left) == 0 {
		return 0, d.cut(1)
	}
	n := int(left[0]) - (short - 1)
	left = left[1:]
	if n > len(left) {
		return 0, d.cut(n + 1)
	}
	d.pos += 1 + n
	if len(left) >= 8 {
		return binary.LittleEndian.Uint64(left) & (^uint64(0) >> (64 - 8*uint(n))), nil
	}
	if n >= 4 { // two loads that overlap
		u := uint64(binary.LittleEndian.Uint32(left))
		return u | uint64(binary.LittleEndian.Uint32(left[n-4:]))<<(8*uint(n-4)), nil
	}
	middle := uint(n) / 2 // three that may be the same
	return uint64(left[0]) | uint64(left[middle])<<(8*middle) | uint64(left[n-1])<<(8*uint(n-1)), nil
}

// zigzag folds the sign into the lowest bit, so that small negative numbers stay short.
func zigzag(v int64) uint64   { return uint64(v)<<1 ^ uint64(v>>63) }
func unzigzag(u uint64) int64 { return int64(u>>1) ^ -int64(u&1) }
