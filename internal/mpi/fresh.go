package mpi

import (
	"strings"
	"unsafe"
)

// Fresh returns n bytes to receive into, aligned for every pointer-free type where n is 8 or more. What they hold is
// undefined: clearing memory that is about to be overwritten costs a third of a large transfer, and make always does it
// once the collector hands the memory out again.
func Fresh(n int) []byte {
	if n < 1<<12 {
		return make([]byte, n)
	}
	// A Builder's memory is the only kind that the runtime hands out without clearing it. String keeps the address of an
	// empty one; TestFreshMemoryIsTheCallersAlone would notice a runtime that does not.
	var b strings.Builder
	b.Grow(n)
	p := unsafe.StringData(b.String())
	if p == nil {
		return make([]byte, n)
	}
	return unsafe.Slice(p, n)
}
