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

func TestResultsThatAreBeingMovedAreReadFromTheirCopy(t *testing.T) {
	mem := make([]byte, 1<<10)
	j := link.NewJournal(mem)
	b := j.Buffer()
	begun := func(over int, results string) {
		t.Helper()
		if o, r := j.Begun(); o != over || string(r) != results {
			t.Errorf("%d elements, %q; want %d, %q", o, r, over, results)
		}
	}
	j.Picked(1)
	b = append(b, "...abcdefgh"...)
	j.Entered(1, 0, 3)
	begun(0, "")
	j.Over(2, 9)
	begun(2, "abcdef")
	copy(b[50:60], b[3:9])
	j.Moved(50)
	copy(b[3:], "header")
	begun(2, "abcdef")
	j.Finished(0, 20) // the entry that has been written holds them
	j.Entered(1, 3, 24)
	begun(3, "")
	j.Finished(1, 30)
	begun(0, "")
}
