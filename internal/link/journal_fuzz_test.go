package link_test

import (
	"encoding/binary"
	"testing"

	"github.com/rankpool/rankpool/internal/link"
)

// A journal's memory is its worker's to write, and a worker that dies may have written anything.
func FuzzJournal(f *testing.F) {
	f.Add([]byte{1, 2, 3}, uint64(5)<<24|3, uint64(6), uint64(0), uint64(0), 100)
	f.Add([]byte{1, 2, 3}, uint64(5)<<24|3, uint64(6), uint64(30)<<23|3, uint64(2)<<23|9, 100)
	f.Add([]byte{}, ^uint64(0), ^uint64(0), ^uint64(0), ^uint64(0), 1)
	f.Fuzz(func(t *testing.T, data []byte, first, second, start, over uint64, size int) {
		mem := make([]byte, (link.JournalHeader+1+int(uint(size)%4096)+7)/8*8)
		binary.NativeEndian.PutUint64(mem, first)
		binary.NativeEndian.PutUint64(mem[8:], second)
		binary.NativeEndian.PutUint64(mem[24:], first>>24+1)
		binary.NativeEndian.PutUint64(mem[32:], start)
		binary.NativeEndian.PutUint64(mem[40:], over)
		copy(mem[link.JournalHeader:], data)
		j := link.NewJournal(mem)
		_, _, unsent := j.Read()
		if len(unsent) > len(mem)-link.JournalHeader {
			t.Fatalf("%d bytes of %d", len(unsent), len(mem)-link.JournalHeader)
		}
		if _, results := j.Begun(); len(results) > len(mem)-link.JournalHeader {
			t.Fatalf("%d bytes of %d", len(results), len(mem)-link.JournalHeader)
		}
		j.Reset()
		if seq, n := j.Unsent(); seq != 0 || n != 0 {
			t.Fatalf("after a reset it says %d, %d", seq, n)
		}
	})
}
