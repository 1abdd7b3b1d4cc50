package fresh

import (
	"math"
	"runtime/debug"
	"sync"
	"sync/atomic"
)

// A process that receives large segments and has a small heap collects garbage every few segments, which costs more than
// they do, and then gives the memory back to the kernel, which has to clear it for the next ones. So once such segments
// come the heap is made to look larger, by memory that is never touched and hence takes none: the collector waits until as
// much has become garbage. It is not done in a program with a limit of memory.
const (
	leastBallasted = 256 << 10 // the least segment that counts
	ballastSize    = 32 << 20
)

var ballast struct {
	settled atomic.Bool // there is one, or there will be none
	mu      sync.Mutex
	users   int
	mem     []byte
}

// Steady says that this process receives with Bytes from now on, until it calls release: meanwhile its garbage is collected
// less often if what it receives is large. Release may be called once.
func Steady() (release func()) {
	ballast.mu.Lock()
	defer ballast.mu.Unlock()
	ballast.users++
	return dropBallast
}

func dropBallast() {
	ballast.mu.Lock()
	defer ballast.mu.Unlock()
	if ballast.users--; ballast.users == 0 {
		ballast.mem = nil
		ballast.settled.Store(false)
	}
}

// limited tells whether the program has a limit of memory.
func limited() bool { return debug.SetMemoryLimit(-1) != math.MaxInt64 }

// loadBallast is called for every segment.
func loadBallast(n int) {
	if n < leastBallasted || ballast.settled.Load() {
		return
	}
	ballast.mu.Lock()
	defer ballast.mu.Unlock()
	if ballast.users > 0 && ballast.mem == nil && !limited() {
		ballast.mem = unzeroed(ballastSize)
	}
	ballast.settled.Store(ballast.users > 0)
}
