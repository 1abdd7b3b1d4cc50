//go:build !race

package behaviour_test

// raceDetector says that everything is ten times slower.
const raceDetector = false
