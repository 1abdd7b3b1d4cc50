package mpilink

import (
	"errors"
	"testing"

	"github.com/rankpool/rankpool/internal/mpi"
)

// The master does not wait until its last word has arrived, and where failures are told the news of its end may overtake it.
func TestARankThatTheMasterHasToldGoodbyeLeavesInPeaceWhenTheMasterEnds(t *testing.T) {
	ended := mpi.Event{Kind: mpi.Failed, Err: mpi.ErrEnded}
	for _, said := range []bool{false, true} {
		r := &rank{free: make(chan struct{}, 1), bye: said}
		r.event(&ended)
		r.event(&mpi.Event{Kind: mpi.Failed, Err: errors.New("cut off")})
		if len(r.free) != 1 {
			t.Errorf("goodbye %v: the rank does not end", said)
		}
		if r.leave != said || (r.err == nil) != said {
			t.Errorf("goodbye %v: leaves in peace %v, with the error %v", said, r.leave, r.err)
		}
	}
}
