// Package memlimit says how much memory this process may have at most: no message that is larger can be received.
package memlimit

import (
	"math"
	"sync"
)

// unknown bounds a message where the size of the memory cannot be asked for the same way everywhere.
const unknown = 1 << 38

// Bytes returns the least of what the machine has, its swap space included, of what the control groups of this process
// allow, and of half of what its addresses count. It is found out once.
var Bytes = sync.OnceValue(func() uint64 { return min(system(), math.MaxInt/2) })
