//go:build unix

package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"time"

	"github.com/rankpool/rankpool/internal/testkit"
)

// slack is by how much the heap may grow: far less than what 200,000 tasks would leave, were it 50 bytes each.
const slack = 8 << 20

// residue is what a program has at a time.
type residue struct {
	heap                               uint64
	goroutines, descriptors, processes int
}

// look finds it. Where the system does not show descriptors and processes there are none.
func look() residue {
	runtime.GC()
	runtime.GC() // what the first one's finalizers have freed
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	files, _ := os.ReadDir("/proc/self/fd")
	return residue{m.HeapAlloc, runtime.NumGoroutine(), len(files), children()}
}

// beyond says what is more than before.
func (r residue) beyond(before residue) (all []string) {
	if r.heap > before.heap+slack {
		all = append(all, fmt.Sprintf("the heap has grown from %d to %d KiB", before.heap>>10, r.heap>>10))
	}
	for what, n := range map[string][2]int{
		"goroutines":  {before.goroutines, r.goroutines},
		"descriptors": {before.descriptors, r.descriptors},
		"processes":   {before.processes, r.processes},
	} {
		if n[1] > n[0] {
			all = append(all, fmt.Sprintf("%d %s, where there were %d", n[1], what, n[0]))
		}
	}
	return all
}

// grown waits until there is no more than before, for the limit of a test, and enters what is.
func (l *ledger) grown(when string, before residue) {
	after := look()
	for end := time.Now().Add(testkit.Limit); len(after.beyond(before)) > 0 && time.Now().Before(end); after = look() {
		time.Sleep(10 * time.Millisecond)
	}
	for _, what := range after.beyond(before) {
		l.fault("%s: %s", when, what)
	}
	fmt.Printf("%s: heap %d to %d KiB, goroutines %d to %d, descriptors %d to %d, processes %d to %d\n", when, before.heap>>10, after.heap>>10,
		before.goroutines, after.goroutines, before.descriptors, after.descriptors, before.processes, after.processes)
}

// children counts the processes that this one has started and that have not been waited for.
func children() (n int) {
	stats, _ := filepath.Glob("/proc/[0-9]*/stat")
	for _, path := range stats {
		stat, _ := os.ReadFile(path)
		rest := bytes.Fields(stat[bytes.LastIndexByte(stat, ')')+1:])
		if len(rest) > 1 && string(rest[1]) == strconv.Itoa(os.Getpid()) {
			n++
		}
	}
	return n
}
