//go:build !race

package modes_test

const raceEnabled = false
