//go:build !linux

package bench

import "time"

var scaleBegun = time.Now()

// threadTime is the time that has passed: this system does not tell what one thread has used.
func threadTime() time.Duration { return time.Since(scaleBegun) }

// processTime is the same, for the same reason.
func processTime() time.Duration { return time.Since(scaleBegun) }
