package proc

import (
	"math"
	"runtime/debug"
	"sync"
	"sync/atomic"
)

// A process that receives large segments and has a small heap collects garbage every few segments, which costs more than
// they do, and then gives the memory back to the kernel, which has to clear it for the next ones. So while such segments
// come the heap is made to look larger, by memory that is never touched and hence takes none: the collector waits until as
// much has become garbage. It is not done in a program with a limit of memory.
const (
	leastBallasted = 256 << 10 // the least segment that counts
	ballastSize    = 16 << 20
)

var ballast struct {
	settled atomic.Bool // there is one, or there will be none
	mu      sync.Mutex
	users   int
	mem     []byte
}

// useBallast says that this process receives segments.
func useBallast() {
	ballast.mu.Lock()
	defer ballast.mu.Unlock()
	ballast.users++
}

// dropBallast gives it up after the last user.
func dropBallast() {
	ballast.mu.Lock()
	defer ballast.mu.Unlock()
	if ballast.users--; ballast.users == 0 {
		ballast.mem = nil
		ballast.settled.Store(false)
	}
}

// loadBallast is called for every segment.
func loadBallast(n int) {
	if n < leastBallasted || ballast.settled.Load() {
		return
	}
	ballast.mu.Lock()
	defer ballast.mu.Unlock()
	if ballast.users > 0 && ballast.mem == nil && debug.SetMemoryLimit(-1) == math.MaxInt64 {
		ballast.mem = unzeroed(ballastSize)
	}
	ballast.settled.Store(ballast.users > 0)
}
