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

	// leastOwned is how much of a block must be asked for to have it as one page.
	leastOwned = hugeSize / 4
)

// huge tells whether this machine's pages are of the usual sizes and the administrator allows huge ones.
var huge = sync.OnceValue(func() bool {
	mode, err := os.ReadFile("/sys/kernel/mm/transparent_hugepage/enabled")
	return err == nil && os.Getpagesize() == pageSize && !strings.Contains(string(mode), "[never]")
})

// back makes the kernel give huge pages to memory that is about to be overwritten and has no pages yet: one fault for 2 MiB
// in the place of 512, which cost more than the copy, and half the time of every copy from then on. It asks once for each
// run of blocks and leaves no mark on the memory, unlike MADV_HUGEPAGE, which would keep huge pages in the heap.
// What the kernel cannot do (before Linux 6.1, or when memory is in pieces) is left as it is, and so is a block of which
// little is b's, for its rest would take memory that nobody asked for; and everything in a program with a limit of memory.
func back(b []byte) {
	if len(b) < leastOwned || !huge() || limited() {
		return
	}
	first := uintptr(unsafe.Pointer(unsafe.SliceData(b)))
	end := first + uintptr(len(b))
	var pages [hugeSize / pageSize]byte
	run := uintptr(0) // how long the run is that ends at block
	for block := first &^ (hugeSize - 1); ; block += hugeSize {
		from, to := max(block, first), min(block+hugeSize, end)
		if block < end && to-from >= leastOwned && absent(block, &pages) {
			b[from-first] = 0 // a block without any page cannot be collapsed
			run += hugeSize
			continue
		}
		if run > 0 {
			_, _, _ = unix.Syscall(unix.SYS_MADVISE, block-run, run, unix.MADV_COLLAPSE)
		}
		if run = 0; block >= end {
			return
		}
	}
}

// absent tells whether no page of a block is in memory.
func absent(block uintptr, pages *[hugeSize / pageSize]byte) bool {
	_, _, e := unix.Syscall(unix.SYS_MINCORE, block, hugeSize, uintptr(unsafe.Pointer(pages)))
	return e == 0 && !resident(pages)
}

// resident tells whether any page is in memory.
func resident(pages *[hugeSize / pageSize]byte) bool {
	var all byte
	for _, p := range pages {
		all |= p
	}
	return all&1 != 0
}
