// Package early asks as a library does that knows nothing of package spmd. By its path it is initialised before that.
package early

import "github.com/rankpool/rankpool/futures"

// Worker is what InWorker says at the start of the program.
var Worker = futures.InWorker()
