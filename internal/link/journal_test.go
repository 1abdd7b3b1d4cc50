package link_test

import (
	"testing"

	"github.com/rankpool/rankpool/internal/link"
)

func TestAHaltIsSeenByTheNextMarkAndByNoOther(t *testing.T) {
	j := link.NewJournal(make([]byte, 1<<10))
	if j.Finished(6, 10) {
		t.Error("halted before anybody said so")
	}
	if n := j.Halt(); n != 6 {
		t.Errorf("task %d had finished, want 6", n)
	}
	if seq, n := j.Unsent(); seq != 6 || n != 10 {
		t.Errorf("after a halt the mark says %d, %d, want 6, 10", seq, n)
	}
	if finished, _, unsent := j.Read(); finished != 6 || len(unsent) != 10 {
		t.Errorf("after a halt the journal says %d, %d bytes, want 6, 10", finished, len(unsent))
	}
	if !j.Finished(7, 11) {
		t.Error("the mark after the halt does not say so")
	}
	if j.Finished(8, 12) {
		t.Error("a halt was seen twice")
	}
}

func TestNumbersMayBecomeLargerThanTheirPlaceInTheMark(t *testing.T) {
	const edge = 1 << 40
	j := link.NewJournal(make([]byte, 1<<10))
	for _, first := range []uint64{1, edge - 2, edge - 1, edge, edge + 1, 1<<50 + 7, 5 * edge} {
		j.Picked(first - first%1000)
		j.Finished(first-1, 0) // before anything of the next batch is picked
		if seq, _ := j.Unsent(); seq != first-1 {
			t.Errorf("before a batch from %d on: %d", first, seq)
		}
		j.Picked(first + 4095)
		for _, done := range []uint64{0, 1, 4096} {
			j.Finished(first-1+done, 3)
			if seq, n := j.Unsent(); seq != first-1+done || n != 3 {
				t.Errorf("%d, %d bytes; want %d and 3", seq, n, first-1+done)
			}
			if finished, picked, _ := j.Read(); finished != first-1+done || picked != first+4095 {
				t.Errorf("read %d and %d", finished, picked)
			}
			if finished := j.Halt(); finished != first-1+done {
				t.Errorf("halted after %d, want %d", finished, first-1+done)
			}
		}
	}
}

func TestResultsThatAreBeingMovedAreNotRead(t *testing.T) {
	j := link.NewJournal(make([]byte, 1<<10))
	j.Picked(1)
	j.Entered(1, 0, 3)
	j.Over(2, 9)
	if over, results, intact := j.Begun(); over != 2 || len(results) != 6 || !intact {
		t.Errorf("%d elements, %d bytes, intact %v; want 2, 6, true", over, len(results), intact)
	}
	j.Unsettled(3)
	if over, results, intact := j.Begun(); over != 3 || len(results) != 0 || intact {
		t.Errorf("while they are moved: %d elements, %d bytes, intact %v; want 3, 0, false", over, len(results), intact)
	}
	j.Entered(1, 3, 20)
	if over, results, intact := j.Begun(); over != 3 || len(results) != 0 || !intact {
		t.Errorf("afterwards: %d elements, %d bytes, intact %v; want 3, 0, true", over, len(results), intact)
	}
}
