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
	if n < leastUnzeroed {
		return make([]byte, n)
	}
	loadBallast(n)
	mem := unzeroed(n)
	back(mem)
	return mem
}

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
