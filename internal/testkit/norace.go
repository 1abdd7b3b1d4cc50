//go:build !race

package testkit

// Race tells whether the race detector is in this test.
const Race = false
