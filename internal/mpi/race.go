//go:build race

package mpi

import "runtime"

// raceDetector tells whether the race detector is in this program.
const raceDetector = true

// races is how many data races it has found.
func races() int { return runtime.RaceErrors() }
