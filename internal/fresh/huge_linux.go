package fresh

import (
	"os"
	"strings"
	"sync"
	"unsafe"

	"golang.org/x/sys/unix"
)

const (
	pageSize = 4 << 10
	hugeSize = 2 << 20

	// leastHuge is the size from which memory is asked for by huge pages.
	leastHuge = 256 << 10
)

// huge tells whether this machine's pages are of the usual sizes and the administrator allows huge ones.
var huge = sync.OnceValue(func() bool {
	mode, err := os.ReadFile("/sys/kernel/mm/transparent_hugepage/enabled")
	return err == nil && os.Getpagesize() == pageSize && !strings.Contains(string(mode), "[never]")
})

// back makes the kernel give huge pages to memory that is about to be overwritten and has no pages yet: one fault for 2 MiB
// in the place of 512, which cost more than the copy, and half the time of every copy from then on. It asks once for each
// block and leaves no mark on the memory, unlike MADV_HUGEPAGE, which would keep huge pages in the heap for ever. What the
// kernel cannot do (before Linux 6.1, or when memory is in pieces) is left as it is.
func back(b []byte) {
	if len(b) < leastHuge || !huge() {
		return
	}
	first := uintptr(unsafe.Pointer(unsafe.SliceData(b)))
	var pages [hugeSize / pageSize]byte
	for block := first &^ (hugeSize - 1); block < first+uintptr(len(b)); block += hugeSize {
		if _, _, e := unix.Syscall(unix.SYS_MINCORE, block, hugeSize, uintptr(unsafe.Pointer(&pages))); e != 0 || resident(&pages) {
			continue
		}
		b[max(block, first)-first] = 0 // a block without any page cannot be collapsed
		if _, _, e := unix.Syscall(unix.SYS_MADVISE, block, hugeSize, unix.MADV_COLLAPSE); e == unix.EINVAL {
			return
		}
	}
}

// resident tells whether any page is in memory.
func resident(pages *[hugeSize / pageSize]byte) bool {
	var all byte
	for _, p := range pages {
		all |= p
	}
	return all&1 != 0
}
