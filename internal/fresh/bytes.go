// Package fresh makes memory for what is received: memory that is overwritten as a whole before anybody reads it.
package fresh

import (
	"strings"
	"unsafe"
)

// leastUnzeroed is the size from which not zeroing memory pays for the detour.
const leastUnzeroed = 4 << 10

// Bytes returns memory that nobody else has, aligned for every type. Large memory holds anything at all; the kernel backs
// the largest by huge pages, where it can.
func Bytes(n int) []byte {
	mem := Lazy(n)
	back(mem)
	return mem
}

// Lazy is Bytes without any pages: memory for what somebody has announced and may never send. Fill, or Part and Back, have
// the kernel give it as it is filled.
func Lazy(n int) []byte {
	if n < leastUnzeroed {
		return make([]byte, n)
	}
	loadBallast(n)
	return unzeroed(n)
}

// mostBacked is how much memory Fill asks for in front of what has come.
const mostBacked = 4 << 20

// Fill has f fill b, part after part, and asks the kernel for the memory of each just before. It returns the first error.
func Fill(b []byte, f func(part []byte) error) error {
	for {
		part := Part(b, mostBacked)
		Back(part)
		if err := f(part); err != nil || len(part) == len(b) {
			return err
		}
		b = b[len(part):]
	}
}

// Part returns the beginning of b, at most so many bytes and some if there are any. It ends where a huge page does, if it
// can and is not all of b, so that the next part has pages of its own.
func Part(b []byte, most int) []byte {
	if len(b) <= most {
		return b
	}
	end := uintptr(unsafe.Pointer(unsafe.SliceData(b))) + uintptr(most)
	if n := most - int(end%hugeSize); n > 0 {
		return b[:n]
	}
	return b[:most]
}

// Back has the kernel give pages to memory that has none yet and is about to be overwritten, the largest that it can.
func Back(b []byte) { back(b) }

// hugeSize is the size of a huge page where they are asked for.
const hugeSize = 2 << 20

func unzeroed(n int) []byte {
	// strings.Builder is the standard library's one door to memory that is not zeroed. The string of one byte is the
	// only reference it leaves behind, and it is dropped here, so the memory is nobody else's.
	var b strings.Builder
	b.Grow(n)
	_ = b.WriteByte(0)
	if p := unsafe.StringData(b.String()); b.Cap() >= n && uintptr(unsafe.Pointer(p))%8 == 0 {
		return unsafe.Slice(p, n)
	}
	return make([]byte, n)
}
