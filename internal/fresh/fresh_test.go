package fresh_test

import (
	"io"
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

func TestPartsAreTheWholeInOrder(t *testing.T) {
	for _, n := range []int{0, 1, 4095, 1 << 20, 4 << 20, 4<<20 + 1, 13<<20 + 5} {
		b := fresh.Lazy(n)
		next := byte(0)
		at := 0
		err := fresh.Fill(b, func(part []byte) error {
			if len(part) > 4<<20 {
				t.Errorf("a part of %d bytes", len(part))
			}
			if len(part) > 0 && &part[0] != &b[at] {
				t.Fatalf("a part of %d does not begin at byte %d", n, at)
			}
			for i := range part {
				part[i] = next
				next++
			}
			at += len(part)
			return nil
		})
		if err != nil || at != n {
			t.Errorf("%d of %d bytes were filled: %v", at, n, err)
		}
		for i := range b {
			if b[i] != byte(i) {
				t.Fatalf("byte %d of %d is %d", i, n, b[i])
			}
		}
	}
	calls := 0
	if err := fresh.Fill(fresh.Lazy(64<<20), func([]byte) error { calls++; return io.ErrUnexpectedEOF }); err != io.ErrUnexpectedEOF || calls != 1 {
		t.Errorf("after an error: %v, %d calls", err, calls)
	}
	b := fresh.Lazy(1 << 20)
	for most := 1; most < len(b); most = most*3 + 1 {
		if p := fresh.Part(b, most); len(p) == 0 || len(p) > most {
			t.Errorf("a part of %d bytes, at most %d were asked for", len(p), most)
		}
	}
}
