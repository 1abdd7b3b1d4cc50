package awake

import (
	"testing"
	"time"
)

func TestATimeInWhichTheProcessWasStoppedCountsAsATurn(t *testing.T) {
	const turn = 100 * time.Millisecond
	for took, want := range map[time.Duration]time.Duration{
		turn: turn, 130 * time.Millisecond: 130 * time.Millisecond, time.Minute: turn, 100 * time.Hour: turn,
	} {
		if got := counted(took, turn); got != want {
			t.Errorf("%v: %v, want %v", took, got, want)
		}
	}
}
