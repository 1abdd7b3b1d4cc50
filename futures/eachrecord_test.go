package futures

import (
	"errors"
	"testing"
)

// A member may return what it sees of a loss before the scheduler tells of the loss.
func TestTheLossOfAMemberIsNoFailureOfTheGangInWhateverOrderItIsTold(t *testing.T) {
	own, lost := errors.New("no answer from rank 1"), error(&BrokenError{})
	for _, order := range [][]error{{own, lost}, {lost, own}, {own, nil}} {
		g := &eachTask[int, int]{left: 3} // the third is not told of, so nothing ends
		for _, err := range order {
			g.end(nil, err)
		}
		if want := order[1] != nil; g.passing != want {
			t.Errorf("after %v: %v", order, g.passing)
		}
	}
}
