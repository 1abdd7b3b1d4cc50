package mpilink

import (
	"errors"
	"slices"
	"testing"

	"github.com/rankpool/rankpool/internal/mpi"
)

func TestCommunicatorsThatMayBeMadeAtTheSameTimeHaveDifferentTags(t *testing.T) {
	for _, most := range []int{1<<15 - 1, 1<<23 - 1, 1<<31 - 1} { // MPI's least, and those of libraries
		seen := map[int]bool{}
		for group := range uint64(50) {
			for serial := range uint64(ownEach + 1) {
				tag := nativeTag(group, serial, most)
				if tag < nativeTags || tag > most || seen[tag] {
					t.Fatalf("number %d of group %d has the tag %d of at most %d", serial, group, tag, most)
				}
				seen[tag] = true
			}
		}
	}
}

func TestSlotsAreOnTheRanksThatWereThereInOrder(t *testing.T) {
	for name, c := range map[string]struct {
		missing  []int
		siblings int
		slots    []int
		want     []int // nil: it is refused
	}{
		"one each":            {nil, 1, []int{0, 2}, []int{1, 3}},
		"in another order":    {nil, 1, []int{3, 0}, []int{4, 1}},
		"some are missing":    {[]int{1, 3}, 1, []int{0, 1}, []int{2, 4}},
		"two each":            {nil, 2, []int{1, 2, 7}, []int{1, 2, 4}},
		"two of one":          {nil, 2, []int{2, 3}, nil},
		"more than there are": {nil, 1, []int{4}, nil},
	} {
		e := &endpoint{startArgs: startArgs{siblings: c.siblings, missing: c.missing}}
		if got, err := e.ranksOf(c.slots, 1, 5); !slices.Equal(got, c.want) || (err != nil) != (c.want == nil) {
			t.Errorf("%s: %v, %v, want %v", name, got, err, c.want)
		}
	}
}

// A task may end before what it has asked for is made. That must be made all the same, and nothing is kept then.
func TestWhatATaskHasHadIsForgottenWhenItEnds(t *testing.T) {
	var n natives
	make := func() (*mpi.Comm, error) { return nil, errors.New("none") }
	if _, err := n.make(1, make); err == nil || len(n.all) != 1 {
		t.Errorf("%v, %d are kept", err, len(n.all))
	}
	n.end(1, true)
	n.end(2, true)
	made := false
	_, _ = n.make(2, func() (*mpi.Comm, error) { made = true; return nil, nil })
	_, _ = n.make(3, func() (*mpi.Comm, error) { n.end(3, true); return nil, nil })
	if !made || len(n.all) > 0 {
		t.Errorf("made: %v, %d are kept", made, len(n.all))
	}
	n.revoke(1) // too late
	if len(n.all) > 0 {
		t.Error("one is there again")
	}
}
