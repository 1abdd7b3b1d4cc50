//go:build !linux

package behaviour_test

import "testing"

// setUmask does nothing: elsewhere workers are not told of it.
func setUmask(*testing.T, int) {}
