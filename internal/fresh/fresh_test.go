package fresh_test

import (
	"runtime"
	"testing"
	"unsafe"

	"github.com/rankpool/rankpool/internal/fresh"
)

func TestMemoryIsTheCallersAlone(t *testing.T) {
	var all [][]byte
	for i := range 200 {
		n := []int{0, 1, 8, 4095, 4096, 4097, 65537, 1 << 20, 5<<20 + 3}[i%9]
		b := fresh.Bytes(n)
		if len(b) != n {
			t.Fatalf("asked for %d bytes, got %d", n, len(b))
		}
		if n >= 8 && uintptr(unsafe.Pointer(&b[0]))%8 != 0 {
			t.Fatalf("%d bytes are not aligned", n)
		}
		for k := range b {
			b[k] = byte(i)
		}
		all = append(all, b)
		if i%50 == 0 {
			runtime.GC()
		}
	}
	for i, b := range all {
		for k := range b {
			if b[k] != byte(i) {
				t.Fatalf("byte %d of allocation %d was overwritten", k, i)
			}
		}
	}
}
