package dispatch

import (
	"testing"

	"github.com/rankpool/rankpool/internal/link"
)

// A worker that runs a million tasks a second comes there in 13 days.
func TestABatchIsHaltedAtTheRightUnitAfterATrillionOfThem(t *testing.T) {
	const first uint64 = 1<<40 - 1
	j := link.NewJournal(make([]byte, 1<<10))
	p := protocol{isSetUp: true, receiving: true, known: first - 1}
	j.Picked(first - 1)
	if v, _ := p.admit(arrival{first: first, units: 4}, j); v != toRun {
		t.Fatal(v)
	}
	j.Picked(first + 3)
	j.Finished(first+1, 1) // and the next runs
	if from := p.halt(first, j); from != first+3 {
		t.Errorf("everything from %d on is handed back, want %d", from, first+3)
	}
}
