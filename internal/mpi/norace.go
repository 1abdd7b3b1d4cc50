//go:build !race

package mpi

// raceDetector tells whether the race detector is in this program.
const raceDetector = false

// races is how many data races it has found.
func races() int { return 0 }
